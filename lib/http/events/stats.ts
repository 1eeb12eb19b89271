import { series } from '../../logger/report.js'
import type { PeerState } from '../../store/peer.js'
import type { Service } from '../../store/service.js'
import type { Gateway } from '../gateway.js'
import { recordOf } from '../news/records.js'
import { iso } from '../as-json.js'
import { head, registryStatus, serviceSteps, totals, type PeerStatus, type ServiceStatus } from '../inspect/status.js'

/** How far back the seconds of a peer reach in a snapshot, and how many of the last records come with it. */
const REACH = 60
const RECORDS = 200

/** A second of a peer: epoch second, requests, errors. Seconds without any are left out. */
export type PeerSecond = readonly [second: number, requests: number, errors: number]

type Registration = PeerStatus['registration']
type Summary = Omit<ServiceStatus, 'peers'>

/** What was said of a peer last. */
interface Told {
  readonly live: string
  readonly registration: Registration
}

/** The same of a service, with its peers. */
interface ToldService {
  readonly summary: string
  readonly peers: Map<PeerState, Told>
}

/** What is to be said of a service. */
interface Piece {
  readonly service: Service
  readonly summary: string
  readonly lines: ReadonlyArray<{ readonly state: PeerState, readonly line: string }>
}

/** The text of the events `snapshot` and `stats`. Remembers what all who look know, to tell only what is otherwise since. */
export class Stats {
  readonly #gateway: Gateway
  #told = new Map<Service, ToldService>()
  #invalidKeys = ''
  #second = 0
  /** Nobody has been told anything. */
  #isBlank = true

  constructor (gateway: Gateway) {
    this.#gateway = gateway
  }

  /**
   * The JSON of `GET /_upstreams`, with the last minute of each peer in `history` and the last records in `events`. Where it says
   * otherwise than what the others know, the next `stats` says how that is to all of them.
   */
  * snapshot (): Generator<undefined, string> {
    const gateway = this.#gateway
    const now = gateway.now()
    const last = Math.floor(now / 1000) - 1
    const isFirst = this.#isBlank
    this.#isBlank = false
    if (isFirst) this.#second = last
    const events = gateway.journal.latest(RECORDS).map(happening => recordOf(gateway.epoch, happening))
    const texts: string[] = []
    const summaries: Summary[] = []
    for (const service of gateway.store.sorted()) {
      const { peers, ...rest } = yield * serviceSteps(gateway, service, now)
      summaries.push(rest)
      const told = { summary: JSON.stringify(rest), peers: new Map<PeerState, Told>() }
      const lines: string[] = []
      for (const peer of peers) {
        lines.push(whole(peer, stateOf(service, peer), told.peers, last))
        if (lines.length % 64 === 0) yield
      }
      this.#told.set(service, isFirst ? told : common(told, this.#told.get(service)))
      texts.push(`${told.summary.slice(0, -1)},"peers":[${lines.join(',')}]}`)
      yield
    }
    const top = head(gateway, now)
    const invalid = JSON.stringify(top.registry.invalidKeys)
    if (isFirst) this.#invalidKeys = invalid
    else if (this.#invalidKeys !== invalid) this.#invalidKeys = ''
    const rest = JSON.stringify({ ...top, totals: totals(summaries), events })
    return `${rest.slice(0, -1)},"services":[${texts.join(',')}]}`
  }

  /**
   * What is otherwise than at the `stats` before: services that differ, with those of their peers that do. A peer's
   * `registration` is there only when it has changed, `history` has the seconds since. `registry` and `totals` are whole, but
   * for `invalidKeys`, which are there only when they have changed. The text is made by what is returned, and to be sent in
   * the same turn: it holds nobody whose end was told meanwhile.
   */
  * step (): Generator<undefined, () => string> {
    const gateway = this.#gateway
    const now = gateway.now()
    const last = Math.floor(now / 1000) - 1
    const first = Math.max(this.#second + 1, last - REACH + 1)
    this.#second = last
    const known = this.#told
    const told = this.#told = new Map<Service, ToldService>()
    const pieces: Piece[] = []
    const summaries: Summary[] = []
    for (const service of gateway.store.sorted()) {
      const { peers, ...rest } = yield * serviceSteps(gateway, service, now)
      summaries.push(rest)
      const was = known.get(service)
      const is = { summary: JSON.stringify(rest), peers: new Map<PeerState, Told>() }
      told.set(service, is)
      const lines: Array<Piece['lines'][number]> = []
      for (const peer of peers) {
        const state = stateOf(service, peer)
        const line = state === undefined ? null : changed(peer, state, was?.peers, is.peers, first, last)
        if (state !== undefined && line !== null) lines.push({ state, line })
        if (is.peers.size % 64 === 0) yield
      }
      if (lines.length > 0 || was?.summary !== is.summary) pieces.push({ service, summary: is.summary, lines })
      yield
    }
    return () => this.#written(pieces, totals(summaries), now)
  }

  /** Nobody looks: what was told is of no use to whoever comes next. */
  forget (): void {
    this.#told.clear()
    this.#isBlank = true
  }

  #written (pieces: readonly Piece[], totals: object, now: number): string {
    const gateway = this.#gateway
    const { invalidKeys, ...registry } = registryStatus(gateway, now)
    const invalid = JSON.stringify(invalidKeys)
    const isSame = invalid === this.#invalidKeys
    this.#invalidKeys = invalid
    const rest = JSON.stringify({ now: iso(now), second: this.#second, ready: gateway.registry.isReady, registry: { ...registry, ...(!isSame && { invalidKeys }) }, totals })
    const texts = pieces.filter(({ service }) => gateway.store.get(service.name) === service).map(({ summary, lines }) =>
      `${summary.slice(0, -1)},"peers":[${lines.filter(({ state }) => !state.isRemoved).map(({ line }) => line).join(',')}]}`)
    return `${rest.slice(0, -1)},"services":[${texts.join(',')}]}`
  }
}

/** The JSON of a peer with all that is said of it; that is noted in `told`. */
function whole (peer: PeerStatus, state: PeerState | undefined, told: Map<PeerState, Told>, last: number): string {
  const { registration, ...rest } = peer
  const live = JSON.stringify(rest)
  if (state !== undefined) told.set(state, { live, registration })
  return `${live.slice(0, -1)},"history":${JSON.stringify(seconds(state, last - REACH + 1, last))},"registration":${JSON.stringify(registration)}}`
}

/** The JSON of a peer when it is otherwise than it was; how it is now is noted in `told`. */
function changed (peer: PeerStatus, state: PeerState, was: Map<PeerState, Told> | undefined, told: Map<PeerState, Told>, first: number, last: number): string | null {
  const { registration, ...rest } = peer
  const before = was?.get(state)
  const live = JSON.stringify(rest)
  const history = seconds(state, first, last)
  told.set(state, { live, registration })
  const isNew = before === undefined || !isSame(before.registration, registration)
  if (!isNew && before.live === live && history.length === 0) return null
  return `${live.slice(0, -1)},"history":${JSON.stringify(history)}${isNew ? `,"registration":${JSON.stringify(registration)}` : ''}}`
}

/** What those know who were told the one and those who were told the other. */
function common (one: ToldService, other: ToldService | undefined): ToldService {
  const peers = new Map<PeerState, Told>()
  for (const [state, told] of one.peers) {
    const known = other?.peers.get(state)
    if (known !== undefined && known.live === told.live && isSame(known.registration, told.registration)) peers.set(state, known)
  }
  return { summary: one.summary === other?.summary ? one.summary : '', peers }
}

/** The parameters of a registration are never changed, only replaced. */
function isSame (one: Registration, other: Registration): boolean {
  return one.params === other.params && one.modRevision === other.modRevision && one.key === other.key && one.lease === other.lease && one.startAt === other.startAt
}

/** Undefined when it has left since its status was made. */
function stateOf (service: Service, { scheme, id }: PeerStatus): PeerState | undefined {
  return service.peers.get(`${scheme}://${id}`)
}

function seconds (state: PeerState | undefined, first: number, last: number): PeerSecond[] {
  return state === undefined ? [] : series(state, first, last).map(({ second, requests, errors }) => [second, requests, errors])
}
