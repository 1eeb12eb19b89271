import type { Service } from '../store/service.js'
import type { RetryBudgetSettings } from '../store/settings.js'

/** How far back is looked, in seconds. */
const SPAN = 10
/** Whole seconds that may hold a part of the last ten, the running one included. */
const SLOTS = SPAN + 1
/** What sums of shares may be off by. */
const TINY = 1e-9

/**
 * Finagle's retry budget: over the last 10 s, retries are at most `ratio` × client requests + `perSecond` × 10. The
 * reserve of `perSecond` is there from the start and may be used at once.
 *
 * Counts are kept by second in a ring, with running sums: a call is a few array writes, also after hours of silence.
 * Roundings are on the safe side. At the moment a retry at `t` is granted, it and all others after `t` - 10 s are within
 * `ratio` × the requests after `t` - 10 s + `perSecond` × 10: retries count in every second that reaches into that span,
 * requests only in those that lie in it. So nobody finds a span of 10 s with more retries than the reserve and `ratio` ×
 * the requests in the 10 s up to its last one.
 *
 * A clock that goes back by up to 10 s is waited for; one that goes back further is believed, and what was counted
 * stays for its ten seconds.
 */
export class RetryBudget {
  readonly #requests = new Uint32Array(SLOTS)
  readonly #retries = new Uint32Array(SLOTS)
  /** The running second, its slot, and what the seconds in view come to. */
  #second = -Infinity
  #slot = 0
  #requested = 0
  #retried = 0

  /** A client request has come. `now` is epoch ms, here and below. */
  request (now: number): void {
    this.#advance(now);
    (this.#requests[this.#slot] as number)++
    this.#requested++
  }

  /** Whether one retry may be made; it is counted then. */
  take ({ ratio, perSecond }: RetryBudgetSettings, now: number): boolean {
    this.#advance(now)
    if (this.#retried + 1 > ratio * this.#requested + perSecond * SPAN + TINY) return false;
    (this.#retries[this.#slot] as number)++
    this.#retried++
    return true
  }

  /** A retry taken within the last 10 s was not made. */
  refund (now: number): void {
    this.#advance(now)
    // Which one is not known: without the oldest, those that are left stay in view longest.
    for (let age = SLOTS - 1; age >= 0; age--) {
      const slot = (this.#slot + SLOTS - age) % SLOTS
      const count = this.#retries[slot] as number
      if (count === 0) continue
      this.#retries[slot] = count - 1
      this.#retried--
      return
    }
  }

  #advance (now: number): void {
    const second = Math.floor(now / 1000)
    const ahead = second - this.#second
    if (ahead <= 0 && ahead >= -SPAN) return
    this.#second = second
    for (let steps = Math.min(ahead, SLOTS); steps > 0; steps--) {
      this.#slot = (this.#slot + 1) % SLOTS
      this.#retried -= this.#retries[this.#slot] as number
      this.#retries[this.#slot] = 0
      this.#requests[this.#slot] = 0
      // The second that is now the oldest still counts for retries, and no longer for requests.
      this.#requested -= this.#requests[(this.#slot + 1) % SLOTS] as number
    }
  }
}

/** The service's own budget, made on first use. */
export function budgetOf (service: Service): RetryBudget {
  const { budget } = service
  if (budget instanceof RetryBudget) return budget
  return (service.budget = new RetryBudget())
}
