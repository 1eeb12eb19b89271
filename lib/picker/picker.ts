import type { Outcome } from '../logger/outcome.js'
import { inRotation } from '../store/condition.js'
import type { Peer, PeerState } from '../store/peer.js'
import type { Service } from '../store/service.js'
import type { Balancer, Candidate } from './balancer.js'
import { holdOff, release } from './hold-off.js'
import { candidatesOf, effectiveWeight, rebuild, type Level, type Plan } from './plan.js'
import { RoundRobin } from './round-robin.js'

/** Told once for every pick that ends, with how it ended. */
export type Closed = (service: Service, state: PeerState, outcome: Outcome, now: number) => void

/** Told when the one probing request of a half-open peer is answered well, which may be long before its last byte. */
export type Proved = (service: Service, state: PeerState, now: number) => void

/** A chosen peer, and the one callback that closes the choice. */
export class Pick {
  readonly service: Service
  readonly state: PeerState
  /** The registration as it was when picked. */
  readonly peer: Peer
  /** It was picked although health may have objected. */
  readonly panic: boolean
  readonly #closed: Closed
  readonly #proved: Proved
  #open = true

  constructor (service: Service, state: PeerState, panic: boolean, closed: Closed, proved: Proved) {
    this.service = service
    this.state = state
    this.peer = state.peer
    this.panic = panic
    this.#closed = closed
    this.#proved = proved
  }

  /** The response headers are there. An answer that goes on for hours must not keep a recovered peer out for as long. */
  answered (status: number, now: number): void {
    if (!this.#open || this.state.probe !== this || status >= 500) return
    this.state.probe = null
    this.#proved(this.service, this.state, now)
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
    this.#closed(this.service, this.state, outcome, now)
  }
}

/** Who takes this request. Holds a plan for each service and rebuilds it when the service's stamp has risen. */
export class Picker {
  readonly #plans = new WeakMap<Service, Plan>()
  readonly #random: () => number
  readonly #closed: Closed
  readonly #proved: Proved

  constructor (random: () => number, closed: Closed, proved: Proved) {
    this.#random = random
    this.#closed = closed
    this.#proved = proved
  }

  /** The next peer, or undefined when there is none that is not in `tried`. */
  pick (service: Service, tried: ReadonlySet<PeerState> | undefined, now: number): Pick | undefined {
    const plan = this.plan(service, now)
    const mayTake = takes(plan, tried)
    const first = plan.levels.length > 1 ? levelFor(plan.levels) : plan.levels[0]
    let state = first?.balancer.pick(mayTake)
    // The level whose turn it is may be used up by `tried` or by bounds; then any other will do, lowest first.
    for (let i = 0; state === undefined && i < plan.levels.length; i++) state = plan.levels[i]?.balancer.pick(mayTake)
    state ??= rescuer(plan.reserve, mayTake)
    if (state === undefined) return undefined
    state.inflight++
    const pick = new Pick(service, state, plan.panic, this.#closed, this.#proved)
    if (state.halfOpen && state.probe === null) {
      state.probe = pick
      service.touch()
    }
    return pick
  }

  /** Whether somebody would be picked but for its bound on requests in flight. */
  isFull (service: Service, now: number): boolean {
    const plan = this.plan(service, now)
    return plan.bounded && candidatesOf(plan).some(({ state }) => !hasRoom(state))
  }

  /** Whether this request is among those that the operator wants refused: `shed` of them, evenly spread. */
  refuses (service: Service): boolean {
    service.shedOwed += service.shed
    if (service.shedOwed < 1 - 1e-9) return false
    service.shedOwed -= 1
    return true
  }

  /** The plan as of now. */
  plan (service: Service, now: number): Plan {
    let plan = this.#plans.get(service)
    if (plan === undefined) {
      plan = { stamp: -1, panic: false, bounded: false, ramping: false, veteran: true, levels: [], reserve: [] }
      this.#plans.set(service, plan)
    }
    if (plan.stamp !== service.stamp) rebuild(plan, service, () => this.#balancer(), now)
    return plan
  }

  /** Takes the next step of the ramps under way, and ends hold-offs; `plan` is rebuilt when somebody asks. */
  step (service: Service, now: number): void {
    release(service, now)
    if (this.#plans.get(service)?.ramping === true) service.touch()
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
        shares.set(state, { effective: weight, expectedShare: load * weight / total })
      }
    }
    return shares
  }

  #balancer (): Balancer {
    return new RoundRobin(this.#random)
  }
}

function takes (plan: Plan, tried: ReadonlySet<PeerState> | undefined): ((state: PeerState) => boolean) | undefined {
  if (tried === undefined) return plan.bounded ? hasRoom : undefined
  return state => !tried.has(state) && hasRoom(state)
}

function hasRoom (state: PeerState): boolean {
  return state.peer.maxInflight === 0 || state.inflight < state.peer.maxInflight
}

/** Of those who asked to be left alone, one of the lowest level; within it, who has the least to do for its weight. */
function rescuer (reserve: readonly Candidate[], mayTake: ((state: PeerState) => boolean) | undefined): PeerState | undefined {
  let best: Candidate | undefined
  for (const candidate of reserve) {
    if (mayTake?.(candidate.state) === false) continue
    if (best === undefined || isBefore(candidate, best)) best = candidate
  }
  return best?.state
}

function isBefore (a: Candidate, b: Candidate): boolean {
  const levels = a.state.peer.priority - b.state.peer.priority
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
