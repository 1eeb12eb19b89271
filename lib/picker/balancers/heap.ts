import type { PeerState } from '../../store/peer.js'
import type { MayTake } from '../balancer.js'

/** How many that may not be taken are stepped over one by one; then one pass over all is cheaper. */
const MAX_FRONTIER = 64

/**
 * The places 0 … n - 1 as a binary heap: by `keys`, lowest first, and where these are equal by `ties`. Whoever changes
 * either calls `moved`. O(log n) for a change, O(1) for the first; nothing is allocated but at its making.
 */
export class PlaceHeap {
  readonly keys: Float64Array
  readonly ties: Float64Array
  /** Places in the order of the heap, and where in it each place stands. */
  readonly #order: Int32Array
  readonly #at: Int32Array
  readonly #frontier = new Int32Array(MAX_FRONTIER)

  /** O(n). The arrays are taken over. */
  constructor (keys: Float64Array, ties: Float64Array) {
    this.keys = keys
    this.ties = ties
    this.#order = Int32Array.from(keys, (_, place) => place)
    this.#at = Int32Array.from(this.#order)
    for (let at = (keys.length >> 1) - 1; at >= 0; at--) this.#sink(at)
  }

  /** The first place; -1 when there is none. */
  get first (): number {
    return this.#order[0] ?? -1
  }

  /** The first of those that `mayTake` allows, `states` by place; -1 when there is none. O(k²) for the k < 64 before it, else O(n). */
  firstOf (states: readonly PeerState[], mayTake: MayTake): number {
    const frontier = this.#frontier
    let size = this.#order.length > 0 ? 1 : 0
    frontier[0] = 0
    while (size > 0) {
      let best = 0
      for (let i = 1; i < size; i++) if (this.#isBefore(this.#order[frontier[i] as number] as number, this.#order[frontier[best] as number] as number)) best = i
      const at = frontier[best] as number
      const place = this.#order[at] as number
      if (mayTake(states[place] as PeerState)) return place
      // Those behind it take its place.
      frontier[best] = frontier[--size] as number
      if (size + 2 > MAX_FRONTIER) return this.#scan(states, mayTake)
      for (let child = 2 * at + 1; child <= 2 * at + 2 && child < this.#order.length; child++) frontier[size++] = child
    }
    return -1
  }

  /** The key or tie of `place` has changed. */
  moved (place: number): void {
    const at = this.#at[place] as number
    if (this.#rise(at) === at) this.#sink(at)
  }

  #scan (states: readonly PeerState[], mayTake: MayTake): number {
    let best = -1
    for (let place = 0; place < this.keys.length; place++) {
      if ((best === -1 || this.#isBefore(place, best)) && mayTake(states[place] as PeerState)) best = place
    }
    return best
  }

  #isBefore (a: number, b: number): boolean {
    const one = this.keys[a] as number
    const other = this.keys[b] as number
    return one < other || (one === other && (this.ties[a] as number) < (this.ties[b] as number))
  }

  #rise (from: number): number {
    const place = this.#order[from] as number
    let at = from
    while (at > 0) {
      const above = (at - 1) >> 1
      const other = this.#order[above] as number
      if (!this.#isBefore(place, other)) break
      this.#put(other, at)
      at = above
    }
    this.#put(place, at)
    return at
  }

  #sink (from: number): void {
    const place = this.#order[from] as number
    const { length } = this.#order
    let at = from
    for (let below = 2 * at + 1; below < length; below = 2 * at + 1) {
      let other = this.#order[below] as number
      const beside = below + 1
      if (beside < length && this.#isBefore(this.#order[beside] as number, other)) {
        below = beside
        other = this.#order[beside] as number
      }
      if (!this.#isBefore(other, place)) break
      this.#put(other, at)
      at = below
    }
    this.#put(place, at)
  }

  #put (place: number, at: number): void {
    this.#order[at] = place
    this.#at[place] = at
  }
}
