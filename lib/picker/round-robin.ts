import type { PeerState } from '../store/peer.js'
import type { Balancer, Candidate } from './balancer.js'

/** All weights together are scaled to below 2^40, so that sums of them stay exact integers in a double. */
const SCALE_BITS = 40
/** The largest power of two that a double holds: weights may be as small as doubles are. */
const MAX_EXPONENT = 1023
/** A cycle is walked through when that costs no more than this many looks at a candidate, or some 0.5 ms. */
const MAX_LOOKS = 20_000
/** The same for the random start, which comes once. */
const START_LOOKS = 1_000_000

/**
 * nginx's smooth weighted round robin (2012, "Upstream: smooth weighted round-robin balancing"): a pick raises every
 * candidate by its weight and lowers the winner by the total. Over any Σ(weights) picks of an unchanged set each gets
 * exactly its weight. One pick is one pass over two typed arrays.
 *
 * What a peer is owed is kept on its state in *picks*, not in units of weight, so that it keeps its meaning when weights
 * change. After a change the sequence goes on from that point of its cycle where everybody is owed most nearly that: the
 * order is nginx's again at once, and no peer gets ahead of its share by more than one pick a change. Cycles too long to
 * walk through (odd weights, very many peers) go on from the debts themselves.
 */
export class RoundRobin implements Balancer {
  readonly #random: () => number
  #states: PeerState[] = []
  #weights: Float64Array = new Float64Array(0)
  #current: Float64Array = new Float64Array(0)
  /** What the chosen point of the cycle leaves out of the debts, in picks. */
  #rest: Float64Array = new Float64Array(0)
  #total = 0
  #started = false

  constructor (random: () => number) {
    this.#random = random
  }

  rebuild (candidates: readonly Candidate[]): void {
    this.#states.forEach((state, i) => { state.debt = (this.#current[i] as number) / this.#total + (this.#rest[i] as number) })
    this.#states = candidates.map(({ state }) => state)
    this.#weights = scaled(candidates)
    this.#total = this.#weights.reduce((total, weight) => total + weight, 0)
    if (candidates.length === 0) return
    // Only differences decide. Measured from their mean, a newcomer starts where the others stand on average.
    const mean = candidates.reduce((total, { state }) => total + state.debt, 0) / candidates.length
    const debts = Float64Array.from(candidates, ({ state }) => state.debt - mean)
    this.#current = debts.map(debt => Math.round(debt * this.#total))
    this.#rest = new Float64Array(candidates.length)
    const cycle = this.#total / this.#weights.reduce(greatestDivisor, 0)
    if (cycle * candidates.length <= MAX_LOOKS) this.#enter(debts, cycle)
    else if (!this.#started) this.#skip(Math.floor(this.#random() * START_LOOKS / candidates.length))
    this.#started = true
  }

  pick (mayTake?: (state: PeerState) => boolean): PeerState | undefined {
    const states = this.#states
    const weights = this.#weights
    const currents = this.#current
    let best = -1
    let highest = -Infinity
    let total = 0
    for (let i = 0; i < states.length; i++) {
      if (mayTake !== undefined && !mayTake(states[i] as PeerState)) continue
      const weight = weights[i] as number
      const current = (currents[i] as number) + weight
      currents[i] = current
      total += weight
      if (current > highest) {
        highest = current
        best = i
      }
    }
    if (best === -1) return undefined
    currents[best] = highest - total
    return states[best]
  }

  /**
   * Goes on from the point of the cycle that is nearest to the debts. The first time that is a random one, so that a
   * fleet of gateways does not march in step.
   */
  #enter (debts: Float64Array, cycle: number): void {
    this.#current.fill(0)
    if (!this.#started) return this.#skip(Math.floor(this.#random() * cycle))
    let nearest = this.#current
    let least = Infinity
    for (let step = 0; step < cycle; step++) {
      const distance = distanceOf(this.#current, this.#total, debts)
      if (distance < least) {
        least = distance
        nearest = this.#current.slice()
      }
      this.pick()
    }
    this.#current = nearest
    this.#rest = debts.map((debt, i) => debt - (nearest[i] as number) / this.#total)
  }

  #skip (picks: number): void {
    for (let i = 0; i < picks; i++) this.pick()
  }
}

/** The weights as integers of at least 1. */
function scaled (candidates: readonly Candidate[]): Float64Array<ArrayBuffer> {
  const sum = candidates.reduce((total, { weight }) => total + weight, 0)
  const scale = 2 ** Math.min(MAX_EXPONENT, SCALE_BITS - Math.ceil(Math.log2(sum)))
  return Float64Array.from(candidates, ({ weight }) => Math.max(1, Math.round(weight * scale)))
}

/** How far a point of the cycle is from the debts, squared. */
function distanceOf (current: Float64Array, total: number, debts: Float64Array): number {
  let sum = 0
  for (let i = 0; i < debts.length; i++) sum += ((current[i] as number) / total - (debts[i] as number)) ** 2
  return sum
}

/** Euclid's, for integers in doubles. */
function greatestDivisor (a: number, b: number): number {
  while (b !== 0) [a, b] = [b, a % b]
  return a
}
