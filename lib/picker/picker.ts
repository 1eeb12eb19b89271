import type { Outcome } from '../logger/outcome.js'
import { tallyOf } from '../logger/tally.js'
import { inRotation, isEligible } from '../store/condition.js'
import { identityOf, type Peer, type PeerState } from '../store/peer.js'
import type { Service } from '../store/service.js'
import type { Candidate, MayTake } from './balancer.js'
import { Own } from './balancers/own.js'
import { holdOff, release } from './hold-off.js'
import { takeReport } from './load-report.js'
import { candidatesOf, effectiveWeight, Plan, rankOf, rebuild, type Level, type Place } from './plan.js'

/** Told once for every pick that ends, with how it ended. */
export type Closed = (service: Service, state: PeerState, outcome: Outcome, now: number) => void

/** Told when the one probing request of a half-open peer is answered well, which may be long before its last byte. */
export type Proved = (service: Service, state: PeerState, now: number) => void

/** Weights from load reports are brought up to date so often, ms (gRPC A58). */
const REPORTS_EVERY = 1000

/** A chosen peer, and the one callback that closes the choice. */
export class Pick {
  readonly service: Service
  readonly state: PeerState
  /** The registration as it was when picked. */
  readonly peer: Peer
  /** It was picked although health may have objected. */
  readonly panic: boolean
  readonly #picker: Picker
  #open = true

  constructor (service: Service, state: PeerState, panic: boolean, picker: Picker) {
    this.service = service
    this.state = state
    this.peer = state.peer
    this.panic = panic
    this.#picker = picker
  }

  /** The response headers are there. An answer that goes on for hours must not keep a recovered peer out for as long. */
  answered (status: number, now: number): void {
    if (!this.#open || this.state.probe !== this || status >= 500) return
    this.state.probe = null
    this.#picker.proved(this.service, this.state, now)
  }

  /** The answer came with this load report (`endpoint-load-metrics`). What cannot be read says nothing. */
  report (text: string, now: number): void {
    takeReport(this.service, this.state, text, now)
  }

  /**
   * The peer answered 503 with `Retry-After`. For `ms`, at most 60 s, it takes only what nobody else can; what is not
   * above 0, or not finite, says nothing. A later one replaces an earlier one.
   */
  holdOff (ms: number, now: number): void {
    holdOff(this.service, this.state, ms, now)
  }

  /** The attempt has ended. Only the first call counts. `now` is epoch ms. */
  done (outcome: Outcome, now: number): void {
    if (!this.#open) return
    this.#open = false
    this.state.inflight--
    // Other requests of a half-open peer are older than its ejection, and prove nothing.
    if (this.state.probe === this) {
      this.state.probe = null
      this.state.probeEnded = true
    }
    this.#picker.closed(this.service, this.state, outcome, now)
  }
}

/** Who takes this request. Keeps a plan for each service and rebuilds it when the service's stamp has risen. */
export class Picker {
  readonly #place: Place
  readonly #closed: Closed
  readonly proved: Proved

  /** `zone` is the gateway's own: its peers go first. Null for none. */
  constructor (random: () => number, closed: Closed, proved: Proved, zone: string | null = null) {
    this.#place = { random, zone }
    this.#closed = closed
    this.proved = proved
  }

  /**
   * The next peer, or undefined when there is none that is not in `tried`. `key` is what the request is hashed by, `kept`
   * the peer that its client is to be kept on: it takes the request if it can and has not asked to be left alone.
   */
  pick (service: Service, tried: ReadonlySet<PeerState> | undefined, now: number, key: string | null = null, kept: PeerState | null = null): Pick | undefined {
    const plan = this.plan(service, now)
    const mayTake = takes(plan, tried)
    if (kept !== null && isCandidate(plan, service, kept) && mayTake?.(kept) !== false) return this.#open(plan, service, kept)
    const first = plan.levels.length > 1 ? levelFor(plan.levels) : plan.levels[0]
    const state = first?.balancer.pick(now, key, mayTake) ?? this.#another(plan, now, key, mayTake)
    return state === undefined ? undefined : this.#open(plan, service, state)
  }

  /** The level whose turn it is may be used up by `tried` or by bounds; then any other will do, lowest first. */
  #another (plan: Plan, now: number, key: string | null, mayTake: MayTake | undefined): PeerState | undefined {
    for (const { balancer } of plan.levels) {
      const state = balancer.pick(now, key, mayTake)
      if (state !== undefined) return state
    }
    return rescuer(plan.reserve, this.#place.zone, mayTake)
  }

  #open (plan: Plan, service: Service, state: PeerState): Pick {
    state.inflight++
    if (plan.opens) plan.levelOf(state, this.#place.zone)?.balancer.opened?.(state)
    const pick = new Pick(service, state, plan.panic, this)
    if (state.halfOpen && state.probe === null) {
      state.probe = pick
      service.touch()
    }
    return pick
  }

  /** A pick has ended; `state.inflight` has fallen. */
  closed (service: Service, state: PeerState, outcome: Outcome, now: number): void {
    const { plan } = service
    if (plan instanceof Plan && plan.closes) plan.levelOf(state, this.#place.zone)?.balancer.closed?.(state, outcome, now)
    this.#closed(service, state, outcome, now)
  }

  /** Whether somebody who is not in `tried` would be picked but for the bounds on requests in flight. */
  isFull (service: Service, now: number, tried?: ReadonlySet<PeerState>): boolean {
    const plan = this.plan(service, now)
    return plan.bounded && candidatesOf(plan).some(({ state }) => tried?.has(state) !== true && !plan.hasRoom(state))
  }

  /** Whether this request is among those that the operator wants refused, which is counted: `shed` of them, evenly spread. */
  refuses (service: Service): boolean {
    service.shedOwed += service.shed
    if (service.shedOwed < 1 - 1e-9) return false
    service.shedOwed -= 1
    tallyOf(service).refusals.shed++
    return true
  }

  /** The plan as of now. */
  plan (service: Service, now: number): Plan {
    const plan = service.plan instanceof Plan ? service.plan : new Plan()
    service.plan = plan
    if (plan.stamp !== service.stamp) rebuild(plan, service, this.#place, now)
    return plan
  }

  /** Takes the next step of the ramps under way and of load reports, and ends hold-offs; `plan` is rebuilt when somebody asks. */
  step (service: Service, now: number): void {
    release(service, now)
    const { plan } = service
    if (!(plan instanceof Plan)) return
    // A clock that went back is no reason to wait.
    if (plan.ramping || (plan.reported && Math.abs(now - plan.builtAt) >= REPORTS_EVERY)) service.touch()
  }

  /** What the service's own balancer did wrong; null when nothing. */
  trouble ({ plan }: Service): string | null {
    if (!(plan instanceof Plan)) return null
    for (const { balancer } of plan.levels) if (balancer instanceof Own && balancer.trouble !== null) return balancer.trouble
    return null
  }

  /** Each peer's weight after slow start and overrides, and the share of the requests it stands to get, 0…1. */
  shares (service: Service, now: number): Map<PeerState, { effective: number, expectedShare: number }> {
    const { levels } = this.plan(service, now)
    const shares = new Map<PeerState, { effective: number, expectedShare: number }>()
    for (const state of service.peers.values()) {
      shares.set(state, { effective: inRotation(state) ? effectiveWeight(state) : 0, expectedShare: 0 })
    }
    for (const { candidates, load } of levels) {
      const total = candidates.reduce((sum, { weight }) => sum + weight, 0)
      for (const { state, weight } of candidates) {
        shares.set(state, { effective: weight, expectedShare: load * (weight / total) })
      }
    }
    return shares
  }
}

function takes (plan: Plan, tried: ReadonlySet<PeerState> | undefined): MayTake | undefined {
  return tried === undefined ? plan.bounded ? plan.hasRoom : undefined : takesBut(tried, plan)
}

/** Apart, because a function that makes a closure makes room for what that captures each time it is called. */
function takesBut (tried: ReadonlySet<PeerState>, plan: Plan): MayTake {
  return state => !tried.has(state) && plan.hasRoom(state)
}

/** May it be picked, as far as it is not full or tried? Who asked to be left alone is left alone. */
function isCandidate (plan: Plan, service: Service, state: PeerState): boolean {
  if (service.peers.get(identityOf(state.peer)) !== state) return false
  return plan.panic ? inRotation(state) : isEligible(state) && state.heldOff === null
}

/** Of those who asked to be left alone, one of the lowest level; within it, who has the least to do for its weight. */
export function rescuer (reserve: readonly Candidate[], zone: string | null, mayTake: MayTake | undefined): PeerState | undefined {
  let best: Candidate | undefined
  for (const candidate of reserve) {
    if (mayTake?.(candidate.state) === false) continue
    if (best === undefined || isBefore(candidate, best, zone)) best = candidate
  }
  return best?.state
}

function isBefore (a: Candidate, b: Candidate, zone: string | null): boolean {
  const levels = rankOf(a.state, zone) - rankOf(b.state, zone)
  return levels < 0 || (levels === 0 && (a.state.inflight + 1) / a.weight < (b.state.inflight + 1) / b.weight)
}

/** Smooth weighted round robin again, among levels that have a share: what one without is still owed does not count. */
function levelFor (levels: readonly Level[]): Level | undefined {
  let best: Level | undefined
  for (const level of levels) {
    if (level.load === 0) continue
    level.owed += level.load
    if (best === undefined || level.owed > best.owed) best = level
  }
  if (best !== undefined) best.owed -= 1
  return best
}
