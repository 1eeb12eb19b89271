import type { ErrorKind } from '../logger/outcome.js'
import { tallyOf } from '../logger/tally.js'
import { identityOf, type PeerState } from '../store/peer.js'
import type { Service } from '../store/service.js'
import type { RetrySettings, ServiceSettings } from '../store/settings.js'
import { budgetOf } from './budget.js'
import type { Pick, Picker } from './picker.js'

/** One attempt as `request.upstream` tells it: `status` or `error` once that is known, `ms` until then. */
export interface AttemptInfo {
  readonly peer: string
  status?: number
  error?: ErrorKind
  ms: number
}

/** What `request.upstream` is: the service, the peer tried last, and every attempt in order. */
export interface Upstream {
  readonly service: string
  peer: string | null
  attempts: readonly AttemptInfo[]
}

/** What went wrong with an attempt: how it failed, or the status it was answered with. */
export type Reason = ErrorKind | number

/** Methods that may be carried out twice (RFC 9110, 9.2.2). */
const IDEMPOTENT: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE'])

/** Whether a request of this method may be sent again although a peer may have carried it out. */
export function isIdempotent (method: string): boolean {
  return IDEMPOTENT.has(method)
}

/**
 * One client request on its way through its attempts: who was tried, and whether somebody else may be. The rules are
 * nginx's and Envoy's: what was never sent may go to another peer whatever it is; what was sent only when it is
 * idempotent, its body is in hand, and the service's budget of retries allows it (Finagle).
 */
export class Exchange {
  readonly service: Service
  /** As of the request's arrival; a change on the way does not concern it. */
  readonly settings: ServiceSettings
  readonly retry: RetrySettings | false
  /** Bound of all attempts together until response headers, ms. */
  readonly total: number
  readonly upstream: Upstream
  /** What the request is hashed by; null when nothing. */
  key: string | null = null
  /** The peer that its client is to be kept on; null for none. */
  home: PeerState | null = null
  /** Whom the last attempt goes to. */
  state: PeerState | null = null
  #tried: Set<PeerState> | undefined

  constructor (service: Service, total = service.settings.timeouts.total, retry = service.settings.retry) {
    this.service = service
    this.settings = service.settings
    this.retry = retry
    this.total = total
    this.upstream = { service: service.name, peer: null, attempts: [] }
  }

  /**
   * How many bytes of a body that streams are worth keeping for another attempt; null when nothing could be sent twice. A
   * peer that speaks HTTP/2 may say that it has not begun with a request, whatever its method.
   */
  kept (method: string): number | null {
    return this.retry !== false && (isIdempotent(method) || this.settings.pool.allowH2) ? this.retry.bodyBytes : null
  }

  /** The peer for the next attempt, never one that was tried; undefined when nobody is left. */
  next (picker: Picker, now: number): Pick | undefined {
    if (this.#tried !== undefined) this.#excludeReturned(this.#tried)
    const pick = picker.pick(this.service, this.#tried, now, this.key, this.home)
    if (pick === undefined) return undefined
    const before = this.upstream.attempts.at(-1)
    if (before !== undefined) tallyOf(this.service).retried(whyAgain(before))
    this.state = pick.state
    this.upstream.peer = pick.peer.id
    // A list that grows from nothing takes room for sixteen.
    this.upstream.attempts = [...this.upstream.attempts, { peer: pick.peer.id, ms: 0 }]
    return pick
  }

  /** Whether all that is missing for another attempt is a peer with room. */
  isHeldUp (picker: Picker, now: number): boolean {
    return picker.isFull(this.service, now, this.#tried)
  }

  /** The peer is not to be picked again for this request. */
  exclude (state: PeerState): void {
    this.#tried ??= new Set()
    this.#tried.add(state)
  }

  /** Whether another peer may be tried after an attempt of which nothing was sent. Uses no budget. */
  mayMoveOn (): boolean {
    return this.retry !== false && this.retry.on.includes('connect') && this.#hasAttempts(this.retry)
  }

  /**
   * Whether another peer may be tried after an attempt that was sent. What allows it has then taken one retry out of
   * the budget; `refund` gives it back when nobody was there to try.
   */
  mayRepeat (reason: Reason, method: string, isBodyInHand: boolean, now: number): boolean {
    const { retry } = this
    if (retry === false || !isBodyInHand || !isIdempotent(method) || !this.#hasAttempts(retry)) return false
    if (!retry.on.some(condition => condition === reason)) return false
    if (budgetOf(this.service).take(retry.budget, now)) return true
    tallyOf(this.service).exhausted++
    return false
  }

  /** The repetition that `mayRepeat` allowed did not take place. */
  refund (now: number): void {
    budgetOf(this.service).refund(now)
  }

  /** A peer whose registration went and came back meanwhile is known anew, and still the one that was tried. */
  #excludeReturned (tried: Set<PeerState>): void {
    for (const { peer } of tried) {
      const current = this.service.peers.get(identityOf(peer))
      if (current !== undefined) tried.add(current)
    }
  }

  #hasAttempts (retry: RetrySettings): boolean {
    return this.upstream.attempts.length <= retry.attempts
  }
}

/**
 * Why there is another attempt after this one: a status whatever became of its body, or how it failed. One that was given up
 * for no fault of its peer's had to wait for a connection for too long.
 */
function whyAgain ({ status, error }: AttemptInfo): string | number {
  return status ?? (error === undefined || error === 'aborted' ? 'busy' : error)
}
