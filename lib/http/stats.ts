import { series } from '../logger/report.js'
import type { PeerState } from '../store/peer.js'
import type { Service } from '../store/service.js'
import type { Gateway } from './gateway.js'
import { recordOf } from './records.js'
import { head, iso, registryStatus, serviceSteps, totals, type PeerStatus, type ServiceStatus } from './status.js'

/** How far back the seconds of a peer reach in a snapshot, and how many of the last records come with it. */
const REACH = 60
const RECORDS = 200

/** A second of a peer: epoch second, requests, errors. Seconds without any are left out. */
export type PeerSecond = readonly [second: number, requests: number, errors: number]

interface Told {
  readonly live: string
  readonly registration: string
}

/** The text of the events `snapshot` and `stats`. Remembers what the last `stats` said, to tell only what is otherwise since. */
export class Stats {
  readonly #gateway: Gateway
  #services = new Map<Service, { readonly summary: string, readonly peers: Map<PeerState, Told> }>()
  #invalidKeys = ''
  #second = 0

  constructor (gateway: Gateway) {
    this.#gateway = gateway
  }

  /** The JSON of `GET /_upstreams`, with the last minute of each peer in `history` and the last records in `events`. */
  * snapshot (): Generator<undefined, string> {
    const gateway = this.#gateway
    const now = gateway.now()
    const last = Math.floor(now / 1000) - 1
    const events = gateway.journal.latest(RECORDS).map(happening => recordOf(gateway.epoch, happening))
    const texts: string[] = []
    const summaries: Array<Omit<ServiceStatus, 'peers'>> = []
    for (const service of gateway.store.sorted()) {
      const { peers, ...summary } = yield * serviceSteps(gateway, service, now)
      summaries.push(summary)
      const lines: string[] = []
      for (const peer of peers) {
        lines.push(JSON.stringify({ ...peer, history: seconds(stateOf(service, peer), last - REACH + 1, last) }))
        if (lines.length % 64 === 0) yield
      }
      texts.push(`${JSON.stringify(summary).slice(0, -1)},"peers":[${lines.join(',')}]}`)
      yield
    }
    const rest = JSON.stringify({ ...head(gateway, now), totals: totals(summaries), events })
    return `${rest.slice(0, -1)},"services":[${texts.join(',')}]}`
  }

  /**
   * What is otherwise than at the `stats` before: services that differ, with those of their peers that do. A peer's
   * `registration` is there only when it has changed, `history` has the seconds since. `registry` and `totals` are whole, but
   * for `invalidKeys`, which are there only when they have changed.
   */
  * step (): Generator<undefined, string> {
    const gateway = this.#gateway
    const now = gateway.now()
    const last = Math.floor(now / 1000) - 1
    const first = Math.max(this.#second + 1, last - REACH + 1)
    this.#second = last
    const known = this.#services
    this.#services = new Map()
    const texts: string[] = []
    const summaries: Array<Omit<ServiceStatus, 'peers'>> = []
    for (const service of gateway.store.sorted()) {
      const { peers, ...rest } = yield * serviceSteps(gateway, service, now)
      summaries.push(rest)
      const was = known.get(service)
      const told = { summary: JSON.stringify(rest), peers: new Map<PeerState, Told>() }
      this.#services.set(service, told)
      const lines: string[] = []
      for (const peer of peers) {
        const line = tell(peer, stateOf(service, peer), was?.peers, told.peers, first, last)
        if (line !== null) lines.push(line)
        if (told.peers.size % 64 === 0) yield
      }
      if (lines.length > 0 || was?.summary !== told.summary) texts.push(`${told.summary.slice(0, -1)},"peers":[${lines.join(',')}]}`)
      yield
    }
    const { invalidKeys, ...registry } = registryStatus(gateway, now)
    const invalid = JSON.stringify(invalidKeys)
    const isSame = invalid === this.#invalidKeys
    this.#invalidKeys = invalid
    const rest = JSON.stringify({ now: iso(now), second: last, ready: gateway.registry.isReady, registry: { ...registry, ...(!isSame && { invalidKeys }) }, totals: totals(summaries) })
    return `${rest.slice(0, -1)},"services":[${texts.join(',')}]}`
  }

  /** Nobody looks: what was told is of no use to whoever comes next. */
  forget (): void {
    this.#services.clear()
    this.#invalidKeys = ''
    this.#second = 0
  }
}

/** The JSON of a peer when it has changed; what is told is noted in `told`. */
function tell (peer: PeerStatus, state: PeerState | undefined, was: Map<PeerState, Told> | undefined, told: Map<PeerState, Told>, first: number, last: number): string | null {
  if (state === undefined) return null
  const { registration, ...rest } = peer
  const before = was?.get(state)
  const registered = `${registration.modRevision} ${registration.key} ${registration.lease}`
  const live = JSON.stringify(rest)
  const history = seconds(state, first, last)
  told.set(state, { live, registration: registered })
  const isNew = before?.registration !== registered
  if (!isNew && before.live === live && history.length === 0) return null
  return `${live.slice(0, -1)},"history":${JSON.stringify(history)}${isNew ? `,"registration":${JSON.stringify(registration)}` : ''}}`
}

/** Undefined when it has left since its status was made. */
function stateOf (service: Service, { scheme, id }: PeerStatus): PeerState | undefined {
  return service.peers.get(`${scheme}://${id}`)
}

function seconds (state: PeerState | undefined, first: number, last: number): PeerSecond[] {
  return state === undefined ? [] : series(state, first, last).map(({ second, requests, errors }) => [second, requests, errors])
}
