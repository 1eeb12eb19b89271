import type { PeerState } from '../../store/peer.js'
import type { Balancer, Candidate, Explained, MayTake } from '../balancer.js'
import { Deadlines } from './deadlines.js'

/** All weights together are scaled to below 2^40, so that sums of them stay exact integers in a double. */
const SCALE_BITS = 40
/** The largest power of two that a double holds: weights may be as small as doubles are. */
const MAX_EXPONENT = 1023
/** A cycle is walked through when that costs no more than this many looks at a candidate, or some 0.1 ms. */
const MAX_LOOKS = 20_000
/** So many can be looked at for each pick. */
const FEW = 64
/** Looks for the random start of a cycle that is not walked through, which comes once. */
const START_LOOKS = 100_000
/** Distances that differ by less are the same. */
const TINY = 1e-9
/** The golden ratio: its multiples modulo 1 lie evenly, however many there are (Weyl). */
const GOLDEN = (Math.sqrt(5) - 1) / 2

/**
 * nginx's smooth weighted round robin (2012, "Upstream: smooth weighted round-robin balancing"): a pick raises every
 * candidate by its weight and lowers the winner by the total. Over any Σ(weights) picks of an unchanged set each gets
 * exactly its weight.
 *
 * The winners of a whole cycle are written down when the set changes, so a pick is one look. Where somebody may not be
 * taken (he was tried, or is full), and where a cycle would be too long (odd weights), a pick of a few peers is one pass
 * over two typed arrays, until the set changes again. Many peers have deadlines instead, in O(log n), which give the same
 * shares in a slightly other order.
 *
 * What a peer is owed is kept on its state in *picks*, not in units of weight, so that it keeps its meaning when weights
 * change. After a change the sequence goes on from that point of its cycle where everybody is owed most nearly that: the
 * order is nginx's again at once, and no peer gets ahead of its share by more than one pick a change. Long cycles and
 * deadlines go on from the debts themselves.
 */
export class RoundRobin implements Balancer {
  readonly #random: () => number
  #states: PeerState[] = []
  #weights: Float64Array = new Float64Array(0)
  #total = 0
  /** The winners of a cycle, and whose turn it is; null where the currents decide. */
  #cycle: Uint16Array | null = null
  #at = 0
  #current: Float64Array = new Float64Array(0)
  /** What the chosen point of the cycle leaves out of the debts, in picks. */
  #rest: Float64Array = new Float64Array(0)
  #started = false
  /** Whose turn it is, when there are many. */
  #deadlines: Deadlines | null = null

  constructor (random: () => number) {
    this.#random = random
  }

  rebuild (candidates: readonly Candidate[]): void {
    this.#keepDebts()
    this.#deadlines = null
    this.#states = candidates.map(({ state }) => state)
    this.#weights = scaled(candidates)
    this.#total = this.#weights.reduce((total, weight) => total + weight, 0)
    this.#current = new Float64Array(candidates.length)
    this.#rest = new Float64Array(candidates.length)
    if (candidates.length === 0) return
    // Only differences decide. Measured from their mean, a newcomer starts where the others stand on average.
    const mean = candidates.reduce((total, { state }) => total + state.debt, 0) / candidates.length
    const debts = Float64Array.from(candidates, ({ state }) => state.debt - mean)
    const unit = this.#weights.reduce(greatestDivisor, 0)
    const cycle = this.#total / unit
    if (candidates.length > FEW) this.#setDeadlines(debts)
    else if (cycle * candidates.length <= MAX_LOOKS) {
      this.#weights = this.#weights.map(weight => weight / unit)
      this.#total = cycle
      this.#enterCycle(debts)
    } else {
      this.#current = debts.map(debt => Math.round(debt * this.#total))
      if (!this.#started) this.#skip(Math.floor(this.#random() * START_LOOKS / candidates.length))
    }
    this.#started = true
  }

  pick (_now: number, _key: string | null, mayTake?: MayTake): PeerState | undefined {
    if (this.#deadlines !== null) return this.#states[this.#deadlines.next(this.#states, mayTake)]
    if (mayTake !== undefined) this.#leaveCycle()
    const cycle = this.#cycle
    if (cycle === null) return this.#states[this.#scan(mayTake)]
    const at = this.#at
    this.#at = at + 1 === cycle.length ? 0 : at + 1
    return this.#states[cycle[at] as number]
  }

  explain (_candidates: readonly Candidate[], _now: number, _key: string | null, mayTake?: MayTake): Explained {
    const states = this.#states
    if (this.#deadlines !== null) {
      const { next, waits } = this.#deadlines.ahead(states, mayTake)
      return { by: 'turn', weighs: new Map(states.map((state, i) => [state, waits[i] as number])), next: states[next] ?? null, order: null }
    }
    const currents = this.#cycle === null ? this.#current : this.#owed(this.#cycle)
    const weighs = new Map(states.map((state, i) => [state, ((currents[i] as number) + (this.#weights[i] as number)) / this.#total]))
    let next: PeerState | null = null
    for (const [state, owed] of weighs) if (mayTake?.(state) !== false && (next === null || owed > (weighs.get(next) as number))) next = state
    return { by: 'owed', weighs, next, order: null }
  }

  /** One pass over all; the place of the winner, -1 when there is none. */
  #scan (mayTake?: MayTake): number {
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
    if (best !== -1) currents[best] = highest - total
    return best
  }

  /** What each is owed goes to its state. */
  #keepDebts (): void {
    this.#leaveCycle()
    const deadlines = this.#deadlines
    this.#states.forEach((state, i) => {
      state.debt = deadlines === null
        ? (this.#current[i] as number) / this.#total + (this.#rest[i] as number)
        : 0.5 - deadlines.due(i)
    })
  }

  /** Whoever is owed nothing waits for some part of a turn: each for another one, or they would all come at once. */
  #setDeadlines (debts: Float64Array): void {
    const start = this.#random()
    this.#deadlines = new Deadlines(this.#weights, debts.map((debt, i) =>
      this.#states[i]?.debt === 0 ? (start + i * GOLDEN) % 1 : 0.5 - debt))
  }

  /**
   * Writes the winners down and goes on from the point of the cycle that is nearest to the debts. The first time that is
   * a random one, so that a fleet of gateways does not march in step. How far a point is from the debts, squared, is
   * carried from one to the next.
   */
  #enterCycle (debts: Float64Array): void {
    const cycle = new Uint16Array(this.#total)
    const shares = this.#weights.map(weight => weight / this.#total)
    const off = debts.map(debt => -debt)
    const step = dot(shares, shares)
    let [distance, slope] = [dot(off, off), dot(off, shares)]
    let [nearest, least] = [0, Infinity]
    for (let at = 0; at < cycle.length; at++) {
      if (distance < least - TINY) [nearest, least] = [at, distance]
      const winner = this.#scan()
      cycle[at] = winner
      // Everybody is owed his share of one pick more, and the winner one pick less.
      distance += 2 * slope + step
      slope += step - (shares[winner] as number)
      const before = (off[winner] as number) + (at + 1) * (shares[winner] as number)
      distance += 1 - 2 * before
      off[winner] = (off[winner] as number) - 1
    }
    this.#cycle = cycle
    this.#at = this.#started ? nearest : Math.floor(this.#random() * cycle.length)
    if (this.#started) {
      const owed = this.#owed(cycle)
      this.#rest = debts.map((debt, i) => debt - (owed[i] as number) / this.#total)
    }
  }

  /** From here on the currents decide. */
  #leaveCycle (): void {
    if (this.#cycle === null) return
    this.#current = this.#owed(this.#cycle)
    this.#cycle = null
  }

  /** The currents at the point of the cycle that is reached. */
  #owed (cycle: Uint16Array): Float64Array {
    const owed = this.#weights.map(weight => weight * this.#at)
    for (let at = 0; at < this.#at; at++) {
      const winner = cycle[at] as number
      owed[winner] = (owed[winner] as number) - this.#total
    }
    return owed
  }

  #skip (picks: number): void {
    for (let i = 0; i < picks; i++) this.#scan()
  }
}

/** The weights as integers of at least 1. */
function scaled (candidates: readonly Candidate[]): Float64Array<ArrayBuffer> {
  const sum = candidates.reduce((total, { weight }) => total + weight, 0)
  const scale = 2 ** Math.min(MAX_EXPONENT, SCALE_BITS - Math.ceil(Math.log2(sum)))
  return Float64Array.from(candidates, ({ weight }) => Math.max(1, Math.round(weight * scale)))
}

function dot (a: Float64Array, b: Float64Array): number {
  return a.reduce((sum, value, i) => sum + value * (b[i] as number), 0)
}

/** Euclid's, for integers in doubles. */
function greatestDivisor (a: number, b: number): number {
  while (b !== 0) [a, b] = [b, a % b]
  return a
}
