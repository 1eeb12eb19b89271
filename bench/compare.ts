/** One workload: all contenders at the same time, measured one after the other in interleaved rounds. */
import { request } from 'undici'
import { startBackends, type Contender, type Running } from './contenders.js'
import type { Cores } from './machine.js'
import { coreTime, type Process } from './processes.js'
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
  /** Share of its core that went to anybody else, or to the kernel for nobody in particular; null when not pinned. */
  readonly disturbed: number | null
}

export interface Plan {
  readonly rounds: number
  readonly seconds: number
  readonly cores: Cores | null
  readonly before: string | null
  readonly say: (line: string) => void
}

/** The longest that a contender warms up before the first round (s). */
const LONGEST_WARM_UP = 30
/** Before each turn: connections that were closed meanwhile are opened again, caches are filled (s). */
const WARM_UP = 0.1
/** Rounds until all processes are started anew: now and then one is a fifth slower than others like it, all its life. */
const GENERATION = 10
/** Of the order of turns within the rounds, which is the same in every run. */
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

/** Lets a contender compile and connect what it will need. */
async function warmUp (name: string, port: number, workload: Workload, wrk: Wrk): Promise<void> {
  await verify(name, port, workload)
  let requests = 0
  for (let second = 0; second < LONGEST_WARM_UP && requests < workload.warmUp; second++) requests += (await wrk.run(port, 1)).requests
}

async function turn (name: string, { process, port }: Running, wrk: Wrk, seconds: number, core: string | null): Promise<Omit<Sample, 'round'>> {
  const onCore = (): number => core === null ? NaN : coreTime(core)
  await wrk.run(port, WARM_UP)
  const [cpuBefore, coreBefore] = [process.cpu(), onCore()]
  const load = await wrk.run(port, seconds)
  const [cpu, all] = [process.cpu() - cpuBefore, onCore() - coreBefore]
  const { requests, p50, p99 } = load
  if (requests === 0) throw new Error(`no request was answered in ${seconds} s`)
  return {
    contender: name,
    requests,
    cpuPerRequest: cpu / requests * 1e6,
    requestsPerSecond: requests / load.seconds,
    p50,
    p99,
    busy: cpu / load.seconds,
    disturbed: core === null ? null : Math.max(0, all - cpu) / load.seconds
  }
}

/** What fails says whose it was, and what that one had to say. */
async function blaming<T> (process: Process, work: Promise<T>): Promise<T> {
  return await work.catch((error: Error) => { throw process.failure(`failed: ${error.message}`) })
}

/** `rounds` by processes of their own. Throws when anything fails; what was started is ended either way. */
async function generation (workload: Workload, contenders: readonly Contender[], plan: Plan, rounds: readonly number[], random: () => number): Promise<Sample[]> {
  const { cores, before, seconds, say } = plan
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
      await blaming(one.process, warmUp(name, one.port, workload, wrk))
    }
    const samples: Sample[] = []
    for (const round of rounds) {
      say(`${workload.name}: round ${round} of ${plan.rounds}`)
      for (const [name, one] of shuffled([...running], random)) {
        samples.push({ round, ...await blaming(one.process, turn(name, one, wrk, seconds * workload.length, cores?.contender ?? null)) })
      }
    }
    return samples
  } finally {
    await Promise.all(started.map(process => process.end()))
  }
}

/** Measures `contenders` under `workload`. Throws when anything fails. */
export async function compare (workload: Workload, contenders: readonly Contender[], plan: Plan): Promise<Sample[]> {
  const random = seeded(SEED)
  const rounds = Array.from({ length: plan.rounds }, (_, i) => i + 1)
  const samples: Sample[] = []
  while (rounds.length > 0) samples.push(...await generation(workload, contenders, plan, rounds.splice(0, GENERATION), random))
  return samples
}
