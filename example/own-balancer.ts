/**
 * A balancer of one's own: canary releases. One request in ten goes to the peers whose registration says
 * `"params": {"track": "canary"}`, a tenant that is named below always does, all others to the stable ones.
 * `node --import tsx example/own-balancer.ts` listens until Ctrl-C; with `--once` it sends requests, says who took them,
 * and ends.
 */
import { parseArgs } from 'node:util'
import Fastify, { type FastifyInstance } from 'fastify'
import upstreamEtcd, { type CandidateView, type OwnBalancer, type PeerView } from 'fastify-upstream-etcd'
import { atEnd, run } from './demo/ending.js'
import { startNamedPeer } from './demo/named-peer.js'

const host = '127.0.0.1'
/** Always served by canaries. */
const TESTERS = new Set(['acme'])
const EVERY = 10

/** Candidates come with their weights; what is kept here is made anew whenever they change. */
class Canary implements OwnBalancer {
  readonly name = 'canary'
  #canaries: readonly CandidateView[] = []
  #stable: readonly CandidateView[] = []
  #requests = 0

  rebuild (candidates: readonly CandidateView[]): void {
    this.#canaries = candidates.filter(isCanary)
    this.#stable = candidates.filter(candidate => !isCanary(candidate))
  }

  /** `key` is what `hashKey` gives: here the tenant. `mayTake` knows who was tried already and who is full. */
  pick (_now: number, key: string | null, mayTake?: (state: PeerView) => boolean): PeerView | undefined {
    const toCanary = (key !== null && TESTERS.has(key)) || ++this.#requests % EVERY === 0
    const [first, second] = toCanary ? [this.#canaries, this.#stable] : [this.#stable, this.#canaries]
    // Better the other track than no answer.
    return leastBusy(first, mayTake) ?? leastBusy(second, mayTake)
  }
}

function isCanary ({ state }: CandidateView): boolean {
  return state.peer.params['track'] === 'canary'
}

function leastBusy (candidates: readonly CandidateView[], mayTake?: (state: PeerView) => boolean): PeerView | undefined {
  let best: CandidateView | undefined
  for (const candidate of candidates) {
    if (mayTake?.(candidate.state) === false) continue
    if (best === undefined || load(candidate) < load(best)) best = candidate
  }
  return best?.state
}

function load ({ state, weight }: CandidateView): number {
  return (state.inflight + 1) / weight
}

async function startGateway (): Promise<FastifyInstance> {
  const app = Fastify({ forceCloseConnections: true })
  atEnd(() => app.close())
  await app.register(upstreamEtcd, {
    peers: {
      orders: {
        [await startNamedPeer(() => 'stable')]: {},
        [await startNamedPeer(() => 'canary')]: { params: { track: 'canary' } }
      }
    },
    routes: [{ prefix: '/orders', service: 'orders', balancer: new Canary(), hashKey: 'header:x-tenant' }]
  })
  await app.listen({ host, port: 0 })
  return app
}

async function playOnce (url: string): Promise<number> {
  for (const tenant of ['somebody', 'acme']) {
    const got: Record<string, number> = {}
    for (let i = 0; i < 20; i++) {
      const answer = await fetch(`${url}/orders`, { headers: { 'x-tenant': tenant }, signal: AbortSignal.timeout(5000) })
      const name = await answer.text()
      got[name] = (got[name] ?? 0) + 1
    }
    console.log(`${tenant}: ${Object.entries(got).map(([name, n]) => `${n} by ${name}`).join(', ')}`)
  }
  return 0
}

run(async () => {
  const { values } = parseArgs({ options: { once: { type: 'boolean', default: false } } })
  const { listeningOrigin: url } = await startGateway()
  if (values.once) return await playOnce(url)
  console.log(`curl ${url}/orders\ncurl -H 'x-tenant: acme' ${url}/orders`)
  return await new Promise<never>(() => {})
})
