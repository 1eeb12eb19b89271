import type { Duplex } from 'node:stream'
import { NoPeerError, QueueFullError, TimeoutError } from '../errors.js'
import type { ErrorKind } from '../logger/outcome.js'
import { budgetOf } from '../picker/budget.js'
import type { Exchange } from '../picker/exchange.js'
import { waitingIn } from '../picker/queue.js'
import { Attempt } from './attempt.js'
import { ClientLeft, errorFor, nobodyFor, refuse, UploadLate } from './client-errors.js'
import { hostFor, type Means, type Message } from './message.js'
import { blame, isAwaited, patience } from './patience.js'
import { QueuePlace, type Queueing } from './queue-place.js'
import type { Recipient } from './recipient.js'
import type { Owner, Trial } from './trial.js'
import { isInHand, isOdd, isWhole, Upload, type Body } from './upload.js'

/** Full jitter up to this before an attempt after a 503, ms. */
const BACKOFF = 25
/** `Retry-After` in seconds; a date is not worth a guess about the peer's clock. */
const SECONDS = /^\d+$/

/** Carries one request through its attempts, within one deadline, until one answer stands or nothing can be done. */
export class Call implements Owner, Queueing {
  readonly exchange: Exchange
  readonly #means: Means
  readonly #message: Message
  readonly #recipient: Recipient
  readonly #startedAt: number
  readonly #deadline: number
  #attempt: Trial | null = null
  /** An answer that stands unless a further attempt brings a better one. */
  #held: Trial | null = null
  /** What the last attempt that failed came to. */
  #failure: Error | null = null
  #backoff: NodeJS.Timeout | undefined
  /** It waits for a peer with room, with a repetition that was paid for out of the budget or without. */
  #place: QueuePlace | null = null
  #isPaid = false
  #isSettled = false

  /** `startedAt` is when the request was to be forwarded, epoch ms: its time runs from then. */
  constructor (means: Means, exchange: Exchange, message: Message, recipient: Recipient, startedAt: number) {
    this.#means = means
    this.exchange = exchange
    this.#message = message
    this.#recipient = recipient
    this.#startedAt = startedAt
    this.#deadline = startedAt + exchange.total
  }

  start (): void {
    const { service } = this.exchange
    budgetOf(service).request(this.#startedAt)
    // Who comes later does not overtake those who wait.
    const goesOn = waitingIn(service) > 0 ? this.#join() : this.#next(this.#startedAt) || this.#wait(this.#startedAt)
    if (!goesOn) this.#giveUp(nobodyFor(service, this.#means))
  }

  /** It was this request's turn: goes on if it can. */
  turn (): boolean {
    return this.#next(this.now())
  }

  /** Nobody had room in time. */
  waited (): void {
    if (this.now() >= this.#deadline) return this.stop('timeout')
    this.#leave(false)
    this.#giveUp(this.#failure ?? new QueueFullError(this.#service, { cause: new Error('no peer had room in time') }))
  }

  now (): number {
    return this.#means.clock()
  }

  /** The client left, or the time for all attempts is over. */
  stop (kind: 'aborted' | 'timeout'): void {
    // Streams say so at their end, too.
    if (this.#isSettled && this.#attempt?.isOver !== false) return
    this.#endBackoff()
    this.#leave(false)
    const error = kind === 'timeout' ? new TimeoutError(this.#service) : new ClientLeft()
    if (this.#attempt !== null) this.#attempt.stop(kind === 'timeout' ? this.#blame(this.#attempt) : kind, error)
    if (kind === 'aborted') {
      this.#held?.stop(kind, error)
      this.#held = null
    }
    if (!this.#isSettled) this.#giveUp(error)
  }

  patience (attempt: Trial): number {
    return patience(this.exchange, this.#message.body, attempt, this.#deadline, this.now())
  }

  /** No headers came in time. */
  late (attempt: Trial): void {
    if (this.now() >= this.#deadline) return this.stop('timeout')
    const kind = this.#blame(attempt)
    if (isAwaited(this.#message.body)) {
      const late = new UploadLate()
      attempt.stop(kind, late)
      return this.#giveUp(late)
    }
    const error = new Error(`no answer within ${this.exchange.settings.timeouts.headers} ms`)
    attempt.stop(kind, error)
    if (kind !== 'aborted') return this.failed(attempt, kind, error)
    // All its connections are busy.
    this.exchange.exclude(attempt.pick.state)
    const at = this.now()
    if (!this.exchange.mayMoveOn() || !(this.#next(at) || this.#wait(at))) this.#giveUp(new QueueFullError(this.#service))
  }

  /** The headers of `attempt` are there. */
  answered (attempt: Trial, at: number): void {
    const { pick, statusCode } = attempt
    const after = statusCode === 503 ? attempt.headers['retry-after'] : undefined
    if (after !== undefined && SECONDS.test(after)) pick.holdOff(Number(after) * 1000, at)
    if (this.#isSettled) return attempt.discard()
    this.#held?.discard()
    this.#held = null
    if (statusCode < 400 || !this.#mayRepeat(statusCode, at)) return this.#settle(attempt)
    this.exchange.exclude(pick.state)
    attempt.hold()
    this.#held = attempt
    this.#attempt = null
    if (statusCode === 503) this.#backoff = setTimeout(() => this.#retry(), this.#means.random() * BACKOFF)
    else this.#retry()
  }

  /** `attempt` came to nothing. */
  failed (attempt: Trial, kind: ErrorKind, cause: Error): void {
    const error = this.errorFor(kind, cause)
    this.#failure = error
    if (attempt === this.#held) this.#held = null
    if (attempt !== this.#attempt || this.#isSettled) return
    if (this.#means.pools.isClosed) return this.#giveUp(new NoPeerError(this.#service, { cause }))
    this.exchange.exclude(attempt.pick.state)
    if (kind === 'connect' && this.exchange.mayMoveOn()) {
      const at = this.now()
      if (!this.#next(at) && !this.#wait(at)) this.#giveUp(error)
    } else if (kind !== 'connect' && kind !== 'aborted' && this.#mayRepeat(kind, this.now())) this.#retry()
    else this.#giveUp(error)
  }

  /** The connection of `attempt` is the recipient's. */
  upgraded (attempt: Trial, socket: Duplex): void {
    this.#isSettled = true
    this.#held?.discard()
    this.#recipient.upgraded?.(attempt, socket, attempt.pick)
  }

  get body (): Body {
    return this.#message.body
  }

  errorFor (kind: ErrorKind, cause: Error): Error {
    return errorFor(this.#service, kind, cause)
  }

  get #service (): string {
    return this.exchange.service.name
  }

  #blame (attempt: Trial): ErrorKind {
    return blame(this.exchange, this.#message.body, attempt, this.now())
  }

  #mayRepeat (reason: ErrorKind | number, at: number): boolean {
    const { method, body } = this.#message
    const isReady = typeof reason === 'number' ? isWhole(body) : isInHand(body)
    return at < this.#deadline && this.exchange.mayRepeat(reason, method, isReady, at)
  }

  /** A repetition that was paid for out of the budget. */
  #retry (): void {
    this.#backoff = undefined
    const at = this.now()
    if (at < this.#deadline && this.#next(at)) return
    this.#isPaid = at < this.#deadline && this.#held === null && this.#wait(at)
    if (this.#isPaid) return
    this.exchange.refund(at)
    this.#giveUp(this.#failure ?? nobodyFor(this.exchange.service, this.#means))
  }

  /** Gives its place in the queue up, to go on or for good. */
  #leave (goesOn: boolean): void {
    this.#place?.leave()
    this.#place = null
    if (this.#isPaid && !goesOn) this.exchange.refund(this.now())
    this.#isPaid = false
  }

  /** The repetition that waits will not take place. */
  #endBackoff (): void {
    if (this.#backoff === undefined) return
    clearTimeout(this.#backoff)
    this.#backoff = undefined
    this.exchange.refund(this.now())
  }

  /** Takes a place in the queue when all that is missing is room. */
  #wait (at: number): boolean {
    const { picker, pools } = this.#means
    return !pools.isClosed && this.exchange.isHeldUp(picker, at) && this.#join()
  }

  #join (): boolean {
    const { service, settings: { limits: { queue, queueTimeout } }, upstream } = this.exchange
    this.#place = QueuePlace.join(service, queue, this, Math.min(queueTimeout, this.#deadline - this.now()), upstream.attempts.length > 0)
    return this.#place !== null
  }

  /** Makes the next attempt. False when nobody is left to try. */
  #next (at: number): boolean {
    const { picker, pools } = this.#means
    const { exchange } = this
    const pick = pools.isClosed ? undefined : exchange.next(picker, at)
    if (pick === undefined) return false
    this.#leave(true)
    const { path, method, fields, host, body, upgrade } = this.#message
    const { settings } = exchange
    const attempt = new Attempt(this, pick, at, Math.min(settings.timeouts.headers, this.#deadline - at))
    this.#attempt = attempt
    // They are read when `dispatch` returns.
    fields[1] = hostFor(settings.host, host, pick.peer.id)
    pools.for(pick.state, pick.peer, settings, upgrade !== null ? 'upgrade' : isOdd(body) ? 'odd' : 'plain').dispatch({
      path,
      method,
      fields,
      body: body instanceof Upload ? body.open() : body,
      upgrade
    }, attempt)
    return true
  }

  #settle (attempt: Trial): void {
    this.#isSettled = true
    this.#attempt = attempt
    attempt.give(this.#recipient)
    const { body } = this.#message
    if (body instanceof Upload) body.settle()
  }

  /** Nothing more can be tried: an answer that was held stands, else `error` does. */
  #giveUp (error: Error): void {
    if (this.#held !== null) return this.#settle(this.#held)
    this.#isSettled = true
    refuse(this.#recipient, this.exchange.service, error)
    const { body } = this.#message
    if (body instanceof Upload) body.giveUp()
  }
}
