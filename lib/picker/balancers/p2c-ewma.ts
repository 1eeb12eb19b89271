import type { Outcome } from '../../logger/outcome.js'
import type { PeerState } from '../../store/peer.js'
import type { Balancer, Candidate, Explained, MayTake } from '../balancer.js'
import { AliasTable } from './alias.js'
import { Chance } from './chance.js'
import { weightsOf } from './weights.js'

/** After this time a latency counts a third, ms: what was slow is tried again before long. */
const DECAY = 10_000
/** What is as old as so many times that is forgotten. */
const FORGOTTEN = 16
/**
 * A failure counts as so many times what is usual, so that failing fast attracts nobody, and each further one in a row as
 * twice the last, up to so many: a peer that fails at once has nothing under way, while the others have ever more to do.
 */
const FAILED = 3
const MOST_FAILURES = 9
/** How much one request moves what is taken for usual. */
const STEP = 0.05
/** Below this, times differ by chance, ms. */
const LEAST = 0.05

/**
 * Two by chance, and of them the one with the lower latency × (requests in flight + 1) / weight (Mitzenmacher's power of
 * two choices, with Finagle's peak-sensitive latency: a slower answer counts at once, a faster one by and by, and what was
 * long ago fades towards nothing). Latency is the time to first byte. Who is not known yet counts as what is usual here. An
 * attempt that failed counts as three times the usual at least, and more where failures follow each other; a client that
 * left only when it had waited for longer.
 * O(1) for a pick and for its end, O(n) for a change.
 */
export class P2cEwma implements Balancer {
  readonly #chance: Chance
  #states: PeerState[] = []
  /** 1 / weight. */
  #costs = new Float64Array(0)
  #table: AliasTable
  /** What good answers take, whoever gives them; 0 while nothing is known. */
  #usual = 0

  constructor (random: () => number) {
    this.#chance = new Chance(random)
    this.#table = new AliasTable(this.#costs, this.#chance)
  }

  rebuild (candidates: readonly Candidate[]): void {
    this.#states = candidates.map(({ state }) => state)
    const weights = weightsOf(candidates)
    this.#costs = weights.map(weight => 1 / weight)
    this.#table = new AliasTable(weights, this.#chance)
  }

  pick (now: number, _key: string | null, mayTake?: MayTake): PeerState | undefined {
    const states = this.#states
    if (mayTake !== undefined) return this.#pickOf(now, mayTake)
    const { length } = states
    if (length < 2) return states[0]
    const one = this.#table.pick()
    let other = this.#table.pick()
    // The same twice is no choice: then any other will do.
    if (other === one) other = this.#anotherThan(one)
    return this.#better(one, other, now)
  }

  explain (candidates: readonly Candidate[], now: number): Explained {
    const weighs = new Map(candidates.map(({ state, weight }) => {
      const latency = state.latencyAt === 0 ? this.#usual : state.latency * left(Math.max(0, now - state.latencyAt))
      return [state, Math.max(latency, LEAST) * (state.inflight + 1) / weight]
    }))
    return { by: 'cost', weighs, next: null, order: null }
  }

  closed (state: PeerState, outcome: Outcome, now: number): void {
    const took = outcome.ttfb ?? outcome.ms
    const kept = fade(state, now)
    const known = state.latency * kept
    if ('error' in outcome && outcome.error === 'aborted') return this.#left(state, took, known, now)
    if ('error' in outcome || outcome.status >= 500) return this.#failed(state, took, known, now)
    state.failures = 0
    this.#usual = this.#usual === 0 ? took : this.#usual + STEP * (took - this.#usual)
    note(state, took > known ? took : known + took * (1 - kept), now)
  }

  #failed (state: PeerState, took: number, known: number, now: number): void {
    state.failures = Math.min(state.failures + 1, MOST_FAILURES)
    note(state, Math.max(known, FAILED * took, FAILED * 2 ** (state.failures - 1) * this.#usual), now)
  }

  /** The client left: the peer had not answered by then, so it takes so long at least. */
  #left (state: PeerState, took: number, known: number, now: number): void {
    const expected = state.latencyAt === 0 ? this.#usual || Infinity : known
    if (took > expected) note(state, took, now)
  }

  #pickOf (now: number, mayTake: MayTake): PeerState | undefined {
    const states = this.#states
    const one = this.#table.pickOf(states, mayTake)
    if (one === -1) return undefined
    const other = this.#table.pickOf(states, mayTake, one)
    return other === -1 ? states[one] : this.#better(one, other, now)
  }

  #anotherThan (one: number): number {
    const { length } = this.#states
    const other = one + 1 + this.#chance.below(length - 1)
    return other < length ? other : other - length
  }

  #better (one: number, other: number, now: number): PeerState {
    const a = this.#states[one] as PeerState
    const b = this.#states[other] as PeerState
    const costs = this.#costs
    const usual = this.#usual
    return cost(b, usual, now) * (costs[other] as number) < cost(a, usual, now) * (costs[one] as number) ? b : a
  }
}

/** What a request costs there, by a weight of 1. */
function cost (state: PeerState, usual: number, now: number): number {
  const latency = state.latencyAt === 0 ? usual : state.latency * fade(state, now)
  return (latency > LEAST ? latency : LEAST) * (state.inflight + 1)
}

function note (state: PeerState, latency: number, now: number): void {
  state.latency = latency
  state.latencyAt = now
}

/** What is left of a latency. When the clock has gone back, ages count from there: what was slow would be left alone until it has caught up. */
function fade (state: PeerState, now: number): number {
  if (now < state.latencyAt) state.latencyAt = now
  return left(now - state.latencyAt)
}

/** e^(-age / decay) as (1 - age / decay / 16)^16. */
function left (ms: number): number {
  const age = ms * (1 / (DECAY * FORGOTTEN))
  if (age >= 1) return 0
  const square = (1 - age) * (1 - age)
  const fourth = square * square
  const eighth = fourth * fourth
  return eighth * eighth
}
