import type { Outcome } from '../../logger/outcome.js'
import type { PeerState } from '../../store/peer.js'

/** A failed request counts for so many times what a good one takes, and not for longer than that, ms. */
const FAILED = 3
const LONGEST = 10_000
/** How much one request moves what is taken for usual. */
const STEP = 0.05
/** So many that are over are kept before they are cleared away. */
const OVER = 1024

interface Failure {
  readonly state: PeerState
  readonly until: number
}

/**
 * Requests that failed, as long as they count against their peer: a peer that fails at once never has anything to do, and
 * would get all that comes. O(1) for each.
 */
export class Failures {
  readonly #ended: (state: PeerState) => void
  readonly #counts = new WeakMap<PeerState, number>()
  /** In the order they came; those before `#first` are over. */
  #failures: Failure[] = []
  #first = 0
  /** What good answers take, whoever gives them; 0 while nothing is known. */
  #usual = 0

  /** `ended` is told of whom one failure less counts against. */
  constructor (ended: (state: PeerState) => void) {
    this.#ended = ended
  }

  /** How many count against it. */
  of (state: PeerState): number {
    return this.#first === this.#failures.length ? 0 : this.#counts.get(state) ?? 0
  }

  /** A request at `state` has ended. A client that left says nothing. */
  note (state: PeerState, outcome: Outcome, now: number): void {
    if ('error' in outcome && outcome.error === 'aborted') return
    if ('status' in outcome && outcome.status < 500) return this.#learn(outcome.ms)
    this.#counts.set(state, this.of(state) + 1)
    this.#failures.push({ state, until: now + Math.min(LONGEST, FAILED * Math.max(this.#usual, outcome.ms)) })
  }

  /** A time that is none, which others may tell, would stay. */
  #learn (ms: number): void {
    if (ms >= 0 && ms < Infinity) this.#usual = this.#usual === 0 ? ms : this.#usual + STEP * (ms - this.#usual)
  }

  /** Lets go of those whose time is over; none outlasts a clock that goes back. */
  expire (now: number): void {
    for (let next = this.#failures[this.#first]; next !== undefined; next = this.#failures[this.#first]) {
      if (next.until > now && next.until - now <= LONGEST) break
      this.#counts.set(next.state, this.of(next.state) - 1)
      this.#first++
      this.#ended(next.state)
    }
    if (this.#first < OVER) return
    this.#failures = this.#failures.slice(this.#first)
    this.#first = 0
  }
}
