/** One workload: all contenders at the same time, measured one after the other in interleaved rounds. */
import { request } from 'undici'
import { startBackends, type Contender, type Running } from './contenders.js'
import type { Cores } from './machine.js'
import type { Process } from './processes.js'
import { seeded, shuffled } from './statistics.js'
import type { Workload } from './workloads.js'
import { Wrk } from './wrk.js'

/** One contender in one round. */
export interface Sample {
  readonly round: number
  readonly contender: string
  readonly requests: number
  /** Of its process and its children, microseconds. */
  readonly cpuPerRequest: number
  readonly requestsPerSecond: number
  /** Milliseconds. */
  readonly p50: number
  readonly p99: number
  /** CPU by time: near 1 when it could not have done more on its core. */
  readonly busy: number
}

export interface Plan {
  readonly rounds: number
  readonly seconds: number
  readonly cores: Cores | null
  readonly before: string | null
  readonly say: (line: string) => void
}

/** Before the first round, so that what is compiled on the way is compiled (s). */
const FIRST_WARM_UP = 2
/** Before each turn: connections that were closed meanwhile are opened again, caches are filled (s). */
const WARM_UP = 0.3
/** All of a contender's turns at the same workload, in this order; another seed makes other orders. */
const SEED = 1

/** Sends one request and looks at the whole answer: what is fast because it is wrong does not count. */
async function verify (name: string, port: number, workload: Workload): Promise<void> {
  const path = workload.paths > 1 ? `${workload.path}1` : workload.path
  const answer = await request(`http://127.0.0.1:${port}${path}`, {
    method: workload.method,
    body: workload.sent === 0 ? null : Buffer.alloc(workload.sent, 'x'),
    headers: workload.sent === 0 ? {} : { 'content-type': 'application/octet-stream' },
    headersTimeout: 5000,
    bodyTimeout: 5000,
    reset: true
  })
  const body = await answer.body.text()
  const { 'content-type': type } = answer.headers
  if (answer.statusCode === 200 && body === 'x'.repeat(workload.answer) && type === 'text/plain') return
  throw new Error(`${name} answered ${answer.statusCode}, ${String(type)}, with ${body.length} characters: ${body.slice(0, 200)}`)
}

async function turn (name: string, { process, port }: Running, wrk: Wrk, seconds: number): Promise<Omit<Sample, 'round'>> {
  try {
    await wrk.run(port, WARM_UP)
    const before = process.cpu()
    const load = await wrk.run(port, seconds)
    const cpu = process.cpu() - before
    const { requests, p50, p99 } = load
    return { contender: name, requests, cpuPerRequest: cpu / requests * 1e6, requestsPerSecond: requests / load.seconds, p50, p99, busy: cpu / load.seconds }
  } catch (error) {
    throw process.failure(`failed: ${error instanceof Error ? error.message : String(error)}`)
  }
}

/** Measures `contenders` under `workload`. Throws when anything fails; what was started is ended either way. */
export async function compare (workload: Workload, contenders: readonly Contender[], plan: Plan): Promise<Sample[]> {
  const { cores, before, rounds, seconds, say } = plan
  const started: Process[] = []
  try {
    const backends = await startBackends(workload.answer, workload.hosts, cores)
    started.push(backends.process)
    const wrk = new Wrk(workload, cores?.others ?? null)
    const running = new Map<string, Running>()
    for (const { name, start } of contenders) {
      const one = await start({ addresses: backends.addresses, cores, before })
      started.push(one.process)
      running.set(name, one)
      await verify(name, one.port, workload)
      await wrk.run(one.port, FIRST_WARM_UP).catch((error: Error) => { throw one.process.failure(`failed: ${error.message}`) })
    }
    const random = seeded(SEED)
    const samples: Sample[] = []
    for (let round = 1; round <= rounds; round++) {
      say(`${workload.name}: round ${round} of ${rounds}`)
      for (const [name, one] of shuffled([...running], random)) samples.push({ round, ...await turn(name, one, wrk, seconds) })
    }
    return samples
  } finally {
    await Promise.all(started.map(process => process.end()))
  }
}
