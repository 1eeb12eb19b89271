/** The story that `--once` plays: what is done to etcd and to the peers, and what must come of it. */
import type { Etcd3 } from 'etcd3'
import type { OwnEtcd } from './etcd.js'
import type { Gateway } from './gateway.js'
import { SERVICE, type DemoService, type Three } from './services.js'
import type { Traffic } from './traffic.js'
import { until } from './wait.js'

/** Who plays. Of the three services the first has weight 3, the second 4 and the third 5. */
export interface Stage {
  readonly gateway: Gateway
  readonly traffic: Traffic
  readonly client: Etcd3
  readonly services: Three
  /** Null when it is somebody else's, and so not ours to kill. */
  readonly etcd: OwnEtcd | null
}

/** Does something, waits until the gateway knows, and says how long that took. */
interface Step {
  readonly title: string
  readonly act: (stage: Stage) => Promise<string>
  /** The weights by which the requests must be shared afterwards. */
  readonly weights: readonly number[]
}

const steps: Step[] = [
  {
    title: '1. Three services with weights 3, 4 and 5',
    act: async () => 'as registered',
    weights: [3, 4, 5]
  }, {
    title: '2. The third gets weight 1 through etcd',
    act: stage => change(stage, 2, { weight: 1 }),
    weights: [3, 4, 1]
  }, {
    title: '3. The second is killed (SIGKILL)',
    // Between two requests: one that is being answered by a peer when it dies cannot be saved.
    act: ({ traffic, services: [, second], ...stage }) => timed('out', async () => {
      await traffic.between(() => second.end('SIGKILL'))
      await until('the killed peer is out', () => stateOf(stage, second) === 'down')
    }),
    weights: [3, 0, 1]
  }, {
    title: '   It comes back on the same port',
    act: ({ services: [, second], ...stage }) => timed('in again', async () => {
      await second.start()
      await until('the peer is in again', () => stateOf(stage, second) === 'healthy')
    }),
    weights: [3, 4, 1]
  }, {
    title: '4. The first gets "status": "down" through etcd',
    act: stage => change(stage, 0, { status: 'down' }),
    weights: [0, 4, 1]
  }, {
    title: '   It gets "status": "up"',
    act: stage => change(stage, 0, { status: 'up' }),
    weights: [3, 4, 1]
  }, {
    title: '5. Etcd is killed (SIGKILL)',
    act: ({ etcd }) => timed('gone', async () => { await etcd?.kill() }),
    weights: [3, 4, 1]
  }, {
    title: '   It comes back, and the third gets weight 5',
    act: async stage => {
      const back = await timed('answers', async () => { await stage.etcd?.start() })
      return `${back}, ${await change(stage, 2, { weight: 5 })}`
    },
    weights: [3, 4, 5]
  }
]

/** Plays all steps and tells each; resolves with the exit code. */
export async function tell (stage: Stage): Promise<number> {
  const { traffic, etcd } = stage
  const playable = etcd === null ? steps.slice(0, 6) : steps
  let good = 0
  for (const { title, act, weights } of playable) {
    const failedBefore = traffic.failed
    const took = await act(stage).catch((error: Error) => error)
    const { expected, seen, n } = await shares(stage, weights)
    const failed = traffic.failed - failedBefore
    const isGood = expected === seen && failed === 0 && typeof took === 'string'
    if (isGood) good++
    console.log(`${(isGood ? 'ok' : 'FAILED').padEnd(8)}${title}: ${took instanceof Error ? took.message : took}`)
    console.log(`           of ${n} requests expected ${expected}, 0 failed; seen ${seen}, ${failed} failed`)
  }
  if (etcd === null) console.log('skipped 5. Etcd is killed: the one that ETCD names is not ours to kill')
  const isGood = good === playable.length && traffic.failed === 0
  console.log(`\n${isGood ? 'ok' : 'FAILED'}: ${good} of ${playable.length} as expected; ` +
    `${traffic.sent} requests, ${traffic.failed} failed; ${(performance.now() / 1000).toFixed(1)} s`)
  return isGood ? 0 : 1
}

/** How the next requests are shared. After a change shares are exact once a cycle is over, so one goes by uncounted. */
async function shares ({ traffic, services }: Stage, weights: readonly number[]) {
  const cycle = weights.reduce((sum, weight) => sum + weight, 0)
  const n = cycle * Math.ceil(24 / cycle)
  await traffic.next(cycle)
  const counts = await traffic.next(n)
  return {
    n,
    expected: weights.map(weight => weight * n / cycle).join(', '),
    seen: services.map(({ id }) => counts.get(id) ?? 0).join(', ')
  }
}

/** Writes a registration, under the lease that the service holds, and waits until the gateway's next pick goes by it. */
async function change (stage: Stage, index: 0 | 1 | 2, fields: { weight?: number, status?: 'up' | 'down' }): Promise<string> {
  const { key, value, id } = stage.services[index]
  Object.assign(value, fields)
  // Right after a restart etcd may not answer at once.
  await until('etcd takes the change', () => stage.client.put(key).value(JSON.stringify(value)).ignoreLease().exec().catch(() => null))
  return await timed('seen', () => until('the change is seen', () => {
    const peer = stage.gateway.app.upstreams.show(SERVICE).peers.find(({ host, port }) => `${host}:${port}` === id)
    return peer?.weight === value.weight && peer.status === (value.status ?? 'up')
  }, 10_000))
}

function stateOf ({ gateway }: Pick<Stage, 'gateway'>, { id }: DemoService): string | undefined {
  const { services } = gateway.app.upstreams.status()
  return services.find(({ name }) => name === SERVICE)?.peers.find(peer => peer.id === id)?.state
}

async function timed (what: string, act: () => Promise<unknown>): Promise<string> {
  const start = performance.now()
  await act()
  return `${what} after ${Math.round(performance.now() - start)} ms`
}
