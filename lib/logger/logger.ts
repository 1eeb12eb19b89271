import type { PeerState } from '../store/peer.js'
import type { Service } from '../store/service.js'
import { CLIENT_CLOSED, UPGRADED, type Outcome } from './outcome.js'
import { ensureRecord } from './record.js'
import { tallyOf } from './tally.js'

/**
 * What happened: every attempt under its peer, every client request under its service, by absolute second. Costs a few
 * array writes for each; reading is in `report.ts`.
 */
export class Logger {
  /** How many full seconds are kept. */
  readonly seconds: number
  readonly #requests: Float64Array
  readonly #second: Float64Array

  constructor (statsWindow: number) {
    this.seconds = statsWindow
    this.#requests = new Float64Array(statsWindow + 1)
    this.#second = new Float64Array(statsWindow + 1).fill(-1)
  }

  /** One attempt at a peer has ended. A client that left counts as 499, and against nobody. */
  attempt (service: Service, state: PeerState, outcome: Outcome, now: number): void {
    const record = ensureRecord(state, this.seconds, now)
    const second = Math.floor(now / 1000)
    if ('status' in outcome) {
      const { status, ms, ttfb = ms } = outcome
      record.codes.add(status)
      record.window.answer(second, status, ms, ttfb)
      tallyOf(service).firstBytes.add(ttfb)
      return
    }
    record.errors[outcome.error]++
    record.window.error(second, outcome.error)
    // The headers were there before it failed.
    if (outcome.ttfb !== undefined) tallyOf(service).firstBytes.add(outcome.ttfb)
    if (outcome.error === 'aborted') record.window.answer(second, CLIENT_CLOSED, outcome.ms, outcome.ms)
  }

  /**
   * One client request has ended with `status`, `ms` after it came; whatever number of attempts it took. One that was
   * forwarded several times is told for each service, and is `isFirst` once, which is what `tps` counts.
   */
  request (service: Service, status: number, ms: number, now: number, isFirst = true): void {
    const second = Math.floor(now / 1000)
    if (isFirst) this.#count(second)
    const record = ensureRecord(service, this.seconds, now)
    record.codes.add(status)
    record.window.answer(second, status, ms, ms)
    // How long a WebSocket was open says nothing of how fast anybody was.
    if (status !== UPGRADED) tallyOf(service).requests.add(ms)
  }

  #count (second: number): void {
    const slot = second % this.#second.length
    if (this.#second[slot] !== second) {
      this.#second[slot] = second
      this.#requests[slot] = 0
    }
    (this.#requests[slot] as number)++
  }

  /** Client requests per second over the last `seconds` full seconds (1 … the window). */
  tps (seconds: number, now: number): number {
    const end = Math.floor(now / 1000)
    let requests = 0
    this.#second.forEach((second, slot) => {
      if (second >= end - seconds && second < end) requests += this.#requests[slot] as number
    })
    return requests / seconds
  }
}
