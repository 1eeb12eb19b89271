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

  /** `due`: how many turns each place waits for its first one, 0 … 1 as a rule; less for who is owed some. Taken over. */
  constructor (weights: Float64Array, due: Float64Array) {
    this.#weights = weights
    this.#total = weights.reduce((total, weight) => total + weight, 0)
    this.#turns = due
    this.#heap = new PlaceHeap(due.map((turns, place) => turns / (weights[place] as number)), new Float64Array(due.length))
  }

  /** Whose turn it is, of those that `mayTake` allows, `states` by place; -1 when there is none. */
  next (states: readonly PeerState[], mayTake?: MayTake): number {
    const place = mayTake === undefined ? this.#heap.first : this.#heap.firstOf(states, mayTake)
    if (place === -1) return -1
    this.#turns[place] = Math.max(this.#turns[place] as number, this.#earliest(place)) + 1
    this.#heap.keys[place] = (this.#turns[place] as number) / (this.#weights[place] as number)
    this.#heap.moved(place)
    this.#picks++
    return place
  }

  /** How many turns `place` waits for its next one. */
  due (place: number): number {
    return (this.#turns[place] as number) - this.#time * (this.#weights[place] as number)
  }

  get #time (): number {
    return this.#picks / this.#total
  }

  /**
   * Who was passed over for long is not owed all of that. Without being passed over nobody is as late as this: up to a
   * time t there are less than t × the sum of weights + n turns.
   */
  #earliest (place: number): number {
    const weight = this.#weights[place] as number
    return (this.#time - (this.#weights.length / this.#total)) * weight - 1
  }
}
