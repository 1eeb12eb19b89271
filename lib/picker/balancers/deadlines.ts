import type { PeerState } from '../../store/peer.js'
import type { MayTake } from '../balancer.js'
import { PlaceHeap } from './heap.js'

/**
 * Weighted round robin for many: each place has its next turn at a time of its own, every 1 / weight, and the earliest is
 * first (earliest deadline first, as Envoy's scheduler). Times are counted in picks by the sum of the weights, so over as
 * many picks as integer weights add up to, each place gets exactly its weight. O(log n) for a pick, O(n) to make.
 */
export class Deadlines {
  readonly #weights: Float64Array
  readonly #total: number
  readonly #heap: PlaceHeap
  /** Turns that each has had by its next one, fractions of the first included. */
  readonly #turns: Float64Array
  #picks = 0
  /** When the last turn was, of those who were not late. */
  #time = -Infinity
  /** Somebody whose turn it was could not be taken. */
  #someoneMissed = false

  /** `due`: how many turns each place waits for its first one, 0 … 1 as a rule; less for who is owed some. Taken over. */
  constructor (weights: Float64Array, due: Float64Array) {
    this.#weights = weights
    this.#total = weights.reduce((total, weight) => total + weight, 0)
    this.#turns = due
    // Turns at the same moment are in one order, or a cycle would not be like the one before.
    this.#heap = new PlaceHeap(due.map((turns, place) => turns / (weights[place] as number)), Float64Array.from(due, (_, place) => place))
  }

  /** Whose turn it is, of those that `mayTake` allows, `states` by place; -1 when there is none. */
  next (states: readonly PeerState[], mayTake?: MayTake): number {
    const { first, keys } = this.#heap
    const place = mayTake === undefined ? first : this.#heap.firstOf(states, mayTake)
    if (place === -1) return -1
    if (place !== first) this.#someoneMissed = true
    const weight = this.#weights[place] as number
    const time = keys[place] as number
    // Who was passed over has his turn now, and is owed no others.
    if (time < this.#time) this.#turns[place] = this.#time * weight
    else this.#time = time
    const turns = (this.#turns[place] as number) + 1
    this.#turns[place] = turns
    keys[place] = turns / weight
    this.#heap.moved(place)
    this.#picks++
    return place
  }

  /** Who would be next of those that `mayTake` allows, -1 for nobody, and after how many picks of all each would have its turn. */
  ahead (states: readonly PeerState[], mayTake?: MayTake): { next: number, waits: Float64Array } {
    const { first, keys } = this.#heap
    const now = keys[first] as number
    return { next: mayTake === undefined ? first : this.#heap.firstOf(states, mayTake), waits: keys.map(key => (key - now) * this.#total) }
  }

  /** How many turns `place` waits for its next one. */
  due (place: number): number {
    const weight = this.#weights[place] as number
    const turns = this.#turns[place] as number
    // What picks are worth in time is known only while everybody has had his turns.
    return this.#someoneMissed ? Math.max(0, turns - this.#time * weight) : turns - this.#picks / this.#total * weight
  }
}
