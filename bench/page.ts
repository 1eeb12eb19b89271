/**
 * What the page costs: `npm run bench:page`. All peers are busy; the browser is headless chromium, the gateway a process of its
 * own, and further viewers read the event stream and look at nothing. See bench/README.md.
 */
import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { get, type IncomingMessage } from 'node:http'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { startBrowser, type TestBrowser } from '../test/fixtures/browser.js'
import { busy, frames, type Frames } from '../test/fixtures/many.js'

const PEERS = [1000, 10_000]
const VIEWERS = [0, 1, 8]
/** How long one figure is measured, and how long all is left alone before that, ms. */
const MEASURED = 10_000
const WARM_UP = 5000

const endings: Array<() => unknown> = []
const t = { teardown: (end: () => unknown) => { endings.push(end) } } as Parameters<typeof busy>[0]

/** What the gateway's process says when it is asked: how late its event loop was since it was asked before, ms. */
interface Late { readonly p99: number, readonly max: number }

async function gateway (count: number): Promise<void> {
  const { url } = await busy(t, count)
  const late = monitorEventLoopDelay({ resolution: 1 })
  late.enable()
  process.on('message', () => {
    process.send?.({ p99: late.percentile(99) / 1e6, max: late.max / 1e6 } satisfies Late)
    late.reset()
  })
  process.once('disconnect', () => process.exit())
  process.send?.(url)
}

async function ask (child: ChildProcess): Promise<Late> {
  child.send('late')
  const [late] = await once(child, 'message') as [Late]
  return late
}

/** Reads the stream and counts its bytes. */
async function view (url: string): Promise<{ bytes: () => number, end: () => void }> {
  const asking = get(`${url}/_upstreams/events`, { agent: false })
  const [response] = await once(asking, 'response') as [IncomingMessage]
  response.on('error', () => {}).resume()
  return { bytes: () => response.socket.bytesRead, end: () => { response.destroy() } }
}

const header = ['peers', 'viewers', 'loop late p99', 'max', 'KiB/s each', 'frames > 50 ms idle', 'scrolling', 'longest frame', 'longest task']

async function measure (browser: TestBrowser, child: ChildProcess, url: string, count: number, viewers: number): Promise<string[]> {
  const own: Array<() => unknown> = []
  const page = viewers === 0 ? null : (await browser.openPage({ teardown: end => { own.push(end as () => unknown) } } as typeof t, `${url}/_upstreams`, { viewport: { width: 1440, height: 900 } })).page
  page?.setDefaultTimeout(60_000)
  const others = await Promise.all(Array.from({ length: Math.max(0, viewers - 1) }, async () => await view(url)))
  await sleep(WARM_UP)
  await ask(child)
  const before = others[0]?.bytes() ?? 0
  const [idle, scrolling] = page === null ? [null, null] : [await page.evaluate<Frames>(frames(MEASURED, false)), await page.evaluate<Frames>(frames(MEASURED, true))]
  if (page === null) await sleep(2 * MEASURED)
  const { p99, max } = await ask(child)
  const rate = others[0] === undefined ? '' : ((others[0].bytes() - before) / 1024 / (2 * MEASURED / 1000)).toFixed(0)
  for (const { end } of others) end()
  for (const end of own) await end()
  const told = (of: Frames | null): string => of === null ? '' : `${of.late} of ${of.frames}`
  const most = (name: 'longestFrame' | 'longestTask'): string => idle === null || scrolling === null ? '' : `${Math.max(idle[name], scrolling[name]).toFixed(0)} ms`
  return [String(count), String(viewers), `${p99.toFixed(1)} ms`, `${max.toFixed(1)} ms`, rate, told(idle), told(scrolling), most('longestFrame'), most('longestTask')]
}

async function run (): Promise<void> {
  const rows = [header]
  try {
    const browser = await startBrowser(t)
    for (const count of PEERS) {
      const child = fork(fileURLToPath(import.meta.url), [String(count)])
      endings.push(() => { child.kill() })
      const [url] = await once(child, 'message') as [string]
      for (const viewers of VIEWERS) rows.push(await measure(browser, child, url, count, viewers))
      child.kill()
    }
  } finally {
    for (const end of endings.reverse()) await end()
  }
  const widths = header.map((_, i) => Math.max(...rows.map(row => row[i]?.length ?? 0)))
  for (const row of rows) console.log(row.map((cell, i) => cell.padStart(widths[i] ?? 0)).join('  '))
  console.log(`Frames over 50 ms of all in ${MEASURED / 1000} s; a task is told of when it is longer than 50 ms.`)
}

const count = Number(process.argv[2])
if (count > 0) await gateway(count)
else await run()
