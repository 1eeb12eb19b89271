import type { Outcome } from '../../logger/outcome.js'
import type { PeerState } from '../../store/peer.js'
import type { Balancer, Candidate, MayTake } from '../balancer.js'
import { AliasTable } from './alias.js'
import { Chance } from './chance.js'

/** After this time a latency counts a third, ms: what was slow is tried again before long. */
const DECAY = 10_000
/** What is as old as so many times that is forgotten. */
const FORGOTTEN = 16
/**
 * A failure counts as so many times the usual latency, and twice as much as before with each that follows, up to the
 * second figure: a peer that fails fast never has much to do.
 */
const FAILED = 3
const FAILING = 16
/** How much one request moves what is taken for usual. */
const STEP = 0.05
/** Below this, times differ by chance, ms. */
const LEAST = 0.05

/**
 * Two by chance, and of them the one with the lower latency × (requests in flight + 1) / weight (Mitzenmacher's power of
 * two choices, with Finagle's peak-sensitive latency: a slower answer counts at once, a faster one by and by, and what was
 * long ago fades towards nothing). Latency is the time to first byte. Who is not known yet counts as what is usual here. An
 * attempt that failed counts as three times the usual at least, and as more the more often; a client that left only when
 * it had waited for longer. O(1) for a pick and for its end, O(n) for a change.
 */
export class P2cEwma implements Balancer {
  readonly #chance: Chance
  #states: PeerState[] = []
  /** 1 / weight. */
  #costs = new Float64Array(0)
  #table: AliasTable
  /** The latency of those who answer well; 0 while nothing is known. */
  #usual = 0

  constructor (random: () => number) {
    this.#chance = new Chance(random)
    this.#table = new AliasTable(this.#costs, this.#chance)
  }

  rebuild (candidates: readonly Candidate[]): void {
    this.#states = candidates.map(({ state }) => state)
    this.#costs = Float64Array.from(candidates, ({ weight }) => 1 / weight)
    this.#table = new AliasTable(Float64Array.from(candidates, ({ weight }) => weight), this.#chance)
  }

  pick (now: number, _key: string | null, mayTake?: MayTake): PeerState | undefined {
    const states = this.#states
    if (mayTake !== undefined) return this.#pickOf(now, mayTake)
    const { length } = states
    if (length < 2) return states[0]
    const one = this.#table.pick()
    let other = this.#table.pick()
    // The same twice is no choice: then any other will do.
    if (other === one) other = (one + 1 + this.#chance.below(length - 1)) % length
    return states[this.#better(one, other, now)]
  }

  closed (state: PeerState, outcome: Outcome, now: number): void {
    const isKnown = state.latencyAt !== 0
    const kept = isKnown ? fade(state, now) : 1
    const known = (isKnown ? state.latency : this.#usual) * kept
    if ('error' in outcome || outcome.status >= 500) return this.#failed(state, outcome, known, now)
    const took = outcome.ttfb ?? outcome.ms
    note(state, took > known ? took : known + took * (1 - kept), now)
    this.#usual = this.#usual === 0 ? took : this.#usual + STEP * (state.latency - this.#usual)
  }

  #failed (state: PeerState, outcome: Outcome, known: number, now: number): void {
    const took = 'status' in outcome ? outcome.ttfb ?? outcome.ms : outcome.ms
    const usual = Math.max(this.#usual, took)
    if ('status' in outcome || outcome.error !== 'aborted') note(state, Math.max(known, FAILED * usual, Math.min(2 * known, FAILING * usual)), now)
    // It had not answered when its client left: it takes so long at least.
    else if (took > known && state.latencyAt !== 0) note(state, took, now)
  }

  #pickOf (now: number, mayTake: MayTake): PeerState | undefined {
    const states = this.#states
    const one = this.#table.pickOf(states, mayTake)
    if (one === -1) return undefined
    const other = this.#table.pickOf(states, mayTake, one)
    return states[other === -1 ? one : this.#better(one, other, now)]
  }

  #better (one: number, other: number, now: number): number {
    return this.#cost(other, now) < this.#cost(one, now) ? other : one
  }

  #cost (place: number, now: number): number {
    const state = this.#states[place] as PeerState
    const latency = state.latencyAt === 0 ? this.#usual : state.latency * fade(state, now)
    return (latency > LEAST ? latency : LEAST) * (state.inflight + 1) * (this.#costs[place] as number)
  }
}

function note (state: PeerState, latency: number, now: number): void {
  state.latency = latency
  state.latencyAt = now
}

/** What is left of a latency: e^(-age / decay) as (1 - age / decay / 16)^16. A clock that goes back makes nothing older. */
function fade (state: PeerState, now: number): number {
  const age = (now - state.latencyAt) * (1 / (DECAY * FORGOTTEN))
  if (age <= 0) return 1
  if (age >= 1) return 0
  const square = (1 - age) * (1 - age)
  const fourth = square * square
  const eighth = fourth * fourth
  return eighth * eighth
}
