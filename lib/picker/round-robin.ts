import { add, at } from '../store/cells.js'
import type { PeerState } from '../store/peer.js'
import type { Balancer, Candidate } from './balancer.js'

/** All weights together are scaled to below this, so that sums of them stay exact integers in a double. */
const SCALE_BITS = 40
/** A random start skips at most this many picks, and looks at no more than this many candidates for it. */
const MAX_SKIP = 1024
const MAX_LOOKS = 200_000

/**
 * nginx's smooth weighted round robin (2012, "Upstream: smooth weighted round-robin balancing"): a pick raises every
 * candidate by its weight and lowers the winner by the total. Over any Σ(weights) picks of an unchanged set each gets
 * exactly its weight. One pick is one pass over two typed arrays.
 *
 * What a peer is owed is kept on its state in *picks*, not in units of weight, and put back after a rebuild. So a
 * change of weight cannot starve or flood anyone, and no peer gets ahead of its share by more than one pick a change.
 */
export class RoundRobin implements Balancer {
  readonly #random: () => number
  #states: PeerState[] = []
  #weights = new Float64Array(0)
  #current = new Float64Array(0)
  #total = 0
  #started = false

  constructor (random: () => number) {
    this.#random = random
  }

  rebuild (candidates: readonly Candidate[]): void {
    this.#states.forEach((state, i) => { state.debt = at(this.#current, i) / this.#total })
    this.#states = candidates.map(({ state }) => state)
    const sum = candidates.reduce((total, { weight }) => total + weight, 0)
    const scale = 2 ** (SCALE_BITS - Math.ceil(Math.log2(sum)))
    this.#weights = Float64Array.from(candidates, ({ weight }) => Math.max(1, Math.round(weight * scale)))
    this.#total = this.#weights.reduce((total, weight) => total + weight, 0)
    // Only differences decide. Measured from their mean, a newcomer starts where the others stand on average.
    const mean = candidates.reduce((total, { state }) => total + state.debt, 0) / candidates.length
    this.#current = Float64Array.from(candidates, ({ state }) => Math.round((state.debt - mean) * this.#total))
    if (!this.#started && candidates.length > 0) this.#start()
  }

  pick (mayTake: (state: PeerState) => boolean): PeerState | undefined {
    let best = -1
    let highest = -Infinity
    let total = 0
    for (let i = 0; i < this.#states.length; i++) {
      if (!mayTake(this.#states[i] as PeerState)) continue
      const weight = at(this.#weights, i)
      const current = at(this.#current, i) + weight
      this.#current[i] = current
      total += weight
      if (current > highest) {
        highest = current
        best = i
      }
    }
    if (best === -1) return undefined
    add(this.#current, best, -total)
    return this.#states[best]
  }

  /** Begins at a random point of the cycle, so that a fleet of gateways does not march in step. */
  #start (): void {
    this.#started = true
    const lightest = this.#weights.reduce((least, weight) => Math.min(least, weight), Infinity)
    const cycle = Math.ceil(this.#total / lightest) * this.#states.length
    const most = Math.min(cycle, MAX_SKIP, Math.ceil(MAX_LOOKS / this.#states.length))
    for (let skip = Math.floor(this.#random() * most); skip > 0; skip--) this.pick(anyone)
  }
}

const anyone = (): boolean => true
