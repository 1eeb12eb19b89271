/** When a client sees something of an answer that comes slowly: its headers, and its first byte. */
import { request } from 'node:http'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { startNode, type Running } from './contenders.js'
import type { Cores } from './machine.js'
import { Process } from './processes.js'
import { median } from './statistics.js'

const REPEATED = 30
/** Before them, so that connections and code are warm. */
const WARM_UP = 5
/** How long an answer may take, ms. */
const PATIENCE = 5000

/** Milliseconds from the request on. */
interface Seen {
  readonly headers: number
  readonly first: number
  readonly end: number
}

interface FirstByte {
  readonly contender: string
  readonly backend: string
  /** Medians. */
  readonly seen: Seen
}

async function ask (port: number, path: string): Promise<Seen> {
  const signal = AbortSignal.timeout(PATIENCE)
  const startedAt = performance.now()
  const elapsed = (): number => performance.now() - startedAt
  const asked = request({ host: '127.0.0.1', port, path, agent: false, signal })
  asked.end()
  const [response] = await once(asked, 'response', { signal })
  const headers = elapsed()
  let first = NaN
  response.once('data', () => { first = elapsed() })
  await once(response, 'end', { signal })
  if (response.statusCode !== 200) throw new Error(`${path} was answered with ${response.statusCode}`)
  return { headers, first, end: elapsed() }
}

async function measure (contender: string, port: number, path: string, backend: string): Promise<FirstByte> {
  const all: Seen[] = []
  for (let i = 0; i < WARM_UP + REPEATED; i++) all.push(await ask(port, path))
  const middle = (name: keyof Seen): number => median(all.slice(WARM_UP).map(seen => seen[name]))
  return { contender, backend, seen: { headers: middle('headers'), first: middle('first'), end: middle('end') } }
}

const backends = [
  { path: '/headers', title: 'headers at once, the body 300 ms later' },
  { path: '/byte', title: 'headers and one byte at once, the rest 300 ms later' }
]

/** Measures ours and bare reply-from, and the backend without a proxy. Returns the figures; prints them when `print`. */
export async function firstByte (cores: Cores | null, print: boolean): Promise<readonly FirstByte[]> {
  const script = fileURLToPath(new URL('slow.js', import.meta.url))
  const slow = new Process('the slow backend', [process.execPath, script], cores?.others ?? null, true)
  const { port } = await slow.ready<{ port: number }>()
  const around = { addresses: [`127.0.0.1:${port}`], cores, before: null }
  const running: Array<[string, Pick<Running, 'port'>]> = [['no proxy', { port }]]
  for (const name of ['ours', 'bare']) running.push([name, await startNode(name, name, around)])
  const found: FirstByte[] = []
  for (const { path, title } of backends) {
    if (print) console.log(`\n${title}; medians of ${REPEATED}, ms`)
    for (const [name, one] of running) {
      const row = await measure(name, one.port, path, title)
      found.push(row)
      const { headers, first, end } = row.seen
      if (print) console.log(`${name.padEnd(8)}  headers ${headers.toFixed(1).padStart(6)}  first byte ${first.toFixed(1).padStart(6)}  end ${end.toFixed(1).padStart(6)}`)
    }
  }
  return found
}
