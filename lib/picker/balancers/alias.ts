import type { PeerState } from '../../store/peer.js'
import type { MayTake } from '../balancer.js'
import type { Chance } from './chance.js'

/** How often chance is asked for somebody who is allowed before all are looked at. */
const TRIES = 8
/** What `Chance.bits` stays below, and half of that. */
const ALL = 0x100000000
const HALF = 0x80000000

/**
 * Weighted choice by chance in O(1): Walker's alias method with Vose's construction in O(n) (IEEE Trans. Software Eng.
 * 17, 1991). Each of n equal columns holds one place or two.
 */
export class AliasTable {
  readonly #weights: Float64Array
  readonly #chance: Pick<Chance, 'bits'>
  /** What part of a column, of 2^31, is its own place's; and for each column whose the rest is, and whose that part. */
  readonly #own: Int32Array
  readonly #places: Int32Array

  /** Weights above 0; their sum may be anything a double holds. */
  constructor (weights: Float64Array, chance: Pick<Chance, 'bits'>) {
    const { length } = weights
    this.#weights = weights
    this.#chance = chance
    this.#own = new Int32Array(length).fill(HALF - 1)
    this.#places = Int32Array.from({ length: 2 * length }, (_, i) => i >> 1)
    // By the largest first: a sum of huge weights, or a share of tiny ones, would be no number.
    const most = weights.reduce((a, b) => Math.max(a, b), 0)
    const mean = weights.reduce((sum, weight) => sum + weight / most, 0) / length
    const left = weights.map(weight => weight / most / mean)
    const small: number[] = []
    const large: number[] = []
    left.forEach((part, place) => { (part < 1 ? small : large).push(place) })
    for (let from = small.pop(), to = large.pop(); from !== undefined && to !== undefined; from = small.pop()) {
      const rest = (left[to] as number) - (1 - (left[from] as number))
      this.#own[from] = (left[from] as number) * HALF
      this.#places[2 * from] = to
      left[to] = rest
      if (rest >= 1) continue
      small.push(to)
      to = large.pop()
    }
  }

  /** A place, each as often as its weight says. There must be one. */
  pick (): number {
    // One number says both: the column, and the point in it.
    const scaled = this.#chance.bits() * this.#own.length
    const column = Math.floor(scaled / ALL)
    const point = (scaled - column * ALL) / 2 | 0
    // 1 where the point lies in the column's own part: a branch here would be guessed wrong every other time.
    const isOwn = point - (this.#own[column] as number) >>> 31
    return this.#places[2 * column + isOwn] as number
  }

  /** The same among those that `mayTake` allows, `states` by place, but for `except`; -1 when there is none. O(n) where few are. */
  pickOf (states: readonly PeerState[], mayTake: MayTake, except = -1): number {
    if (this.#own.length === 0) return -1
    for (let i = 0; i < TRIES; i++) {
      const place = this.pick()
      if (place !== except && mayTake(states[place] as PeerState)) return place
    }
    // A running choice: each replaces the one before with the odds of its weight among those seen so far.
    let [seen, chosen] = [0, -1]
    for (let place = 0; place < this.#own.length; place++) {
      if (place === except || !mayTake(states[place] as PeerState)) continue
      const weight = this.#weights[place] as number
      seen += weight
      if (chosen === -1 || this.#chance.bits() / ALL * seen < weight) chosen = place
    }
    return chosen
  }
}
