import type { IncomingHttpHeaders } from 'node:http'
import { Readable, type Duplex } from 'node:stream'
import type { ErrorKind, Outcome } from '../logger/outcome.js'
import type { AttemptInfo } from '../picker/exchange.js'
import type { Pick } from '../picker/picker.js'
import type { Flow, Passenger } from './carrier.js'
import { isBroken, isUntouched, reopened } from './patience.js'
import type { Recipient } from './recipient.js'
import type { Owner, Trial } from './trial.js'

/** Bytes of an answer that may wait for the decision about it, or are read to save the connection when it is not wanted. */
const SPARE_BYTES = 65536
/** How long an unwanted answer may take to end by itself, ms. */
const SPARE_TIME = 1000

/** Errors, undici's, of requests that are not sent, or not to their end; the last one when all is cut at our own end. */
const UNSENDABLE = new Set(['UND_ERR_INVALID_ARG', 'UND_ERR_NOT_SUPPORTED', 'UND_ERR_REQ_CONTENT_LENGTH_MISMATCH', 'UND_ERR_DESTROYED'])

/** Waiting for headers; answered, and held until something better comes; handed on; not wanted. */
type Stage = 'waiting' | 'held' | 'given' | 'unwanted'

/**
 * One attempt at one peer. It tells its owner what happened and closes its pick exactly once: when the last byte is
 * there, when something broke, when its time was over, or when the client left.
 */
export class Attempt implements Passenger, Trial {
  readonly pick: Pick
  statusCode = 0
  statusText = ''
  headers: IncomingHttpHeaders = {}
  readonly startedAt: number
  isOver = false
  readonly #owner: Owner
  readonly #info: AttemptInfo | undefined
  #stage: Stage = 'waiting'
  /** What carries it, once it is about to be sent. */
  #flow: Flow | null = null
  #paused = false
  #recipient: Recipient | null = null
  #ttfb = 0
  /** What waits for a decision: a held answer's bytes, and its trailers once it is complete. */
  #chunks: Buffer[] | null = null
  #bytes = 0
  #trailers: IncomingHttpHeaders | null = null
  #timer: NodeJS.Timeout
  /** When something last came of a body whose flow is watched. */
  #heardAt = 0

  constructor (owner: Owner, pick: Pick, now: number, patience: number) {
    this.#owner = owner
    this.pick = pick
    this.#info = owner.exchange.upstream.attempts.at(-1)
    this.startedAt = now
    this.#timer = setTimeout(expire, patience, this)
  }

  get isSent (): boolean {
    return this.#flow !== null && !isUntouched(this.#owner.body, this.#owner.exchange)
  }

  hold (): void {
    this.#stage = 'held'
    this.#chunks = []
    this.#heardAt = this.#owner.now()
  }

  give (recipient: Recipient): void {
    this.#stage = 'given'
    this.#recipient = recipient
    recipient.head(this)
    for (const chunk of this.#chunks ?? []) if (!recipient.data(chunk)) this.#paused = true
    this.#chunks = null
    if (this.#trailers !== null) recipient.end(this.#trailers)
    else if (this.#paused) queueMicrotask(() => this.resume())
  }

  discard (): void {
    this.#stage = 'unwanted'
    this.#chunks = null
    if (this.isOver) return
    // Who waits here has more to come than is worth reading.
    return this.#paused ? this.#drop() : this.#rearm(SPARE_TIME)
  }

  stop (kind: ErrorKind, error: Error): void {
    if (this.isOver) return
    // First of all it is over: what is reported of the abort is then no news.
    this.#close(this.#failure(kind))
    this.#flow?.abort(error)
    if (this.#stage === 'given') this.#recipient?.broken(error)
  }

  pause (): void {
    this.#paused = true
  }

  resume (): void {
    if (!this.#paused) return
    this.#paused = false
    this.#heardAt = this.#owner.now()
    if (!this.isOver) this.#flow?.resume()
  }

  watchBody (): void {
    if (this.isOver) return
    this.#heardAt = this.#owner.now()
    this.#rearm(this.#owner.exchange.settings.timeouts.body)
  }

  /** Its time is over, unless something was heard meanwhile. What came while this process was busy has been read by now. */
  expired (): void {
    if (this.isOver) return
    if (this.#stage === 'waiting') {
      const left = this.#owner.patience(this)
      return left > 0 ? this.#rearm(left) : this.#owner.late(this)
    }
    if (this.#stage === 'unwanted') return this.#drop()
    const left = this.#owner.exchange.settings.timeouts.body - (this.#paused ? 0 : this.#owner.now() - this.#heardAt)
    if (left > 0) return this.#rearm(left)
    const error = new Error('the answer stopped coming')
    this.stop('timeout', this.#owner.errorFor('timeout', error))
    if (this.#stage === 'held') this.#owner.failed(this, 'timeout', error)
  }

  sending (flow: Flow): void {
    this.#flow = flow
  }

  takeBack (body: Buffer | Readable | null): Buffer | Readable | null | undefined {
    const again = body instanceof Readable ? reopened(this.#owner.body) : body
    if (again !== undefined) this.#flow = null
    return again
  }

  upgraded (statusCode: number, fields: IncomingHttpHeaders, socket: Duplex): void {
    clearTimeout(this.#timer)
    this.#answered(statusCode, fields, this.#owner.now())
    socket.once('close', () => this.#close(this.#outcome(this.#elapsed())))
    this.#owner.upgraded(this, socket)
  }

  head (statusCode: number, statusText: string, fields: IncomingHttpHeaders): void {
    if (this.isOver) return
    if (statusCode > 599) {
      const error = new Error(`a peer answered with status ${statusCode}`)
      this.failed(error)
      this.#flow?.abort(error)
      return
    }
    this.statusText = statusText
    const at = this.#owner.now()
    this.#answered(statusCode, fields, at)
    this.#owner.answered(this, at)
  }

  data (chunk: Buffer): boolean {
    if (this.#heardAt !== 0) this.#heardAt = this.#owner.now()
    if (this.#stage === 'given') {
      if (this.#recipient?.data(chunk) === false) this.#paused = true
      return !this.#paused
    }
    this.#bytes += chunk.length
    this.#chunks?.push(chunk)
    if (this.#bytes <= SPARE_BYTES) return true
    if (this.#stage === 'held') this.#paused = true
    else this.#drop()
    return !this.#paused
  }

  end (trailers: IncomingHttpHeaders): void {
    if (this.isOver) return
    this.#close(this.#outcome(this.#elapsed()))
    if (this.#stage === 'given') this.#recipient?.end(trailers)
    else this.#trailers = trailers
  }

  failed (error: Error & { code?: string }): void {
    if (this.isOver) return
    const kind = this.#kindOf(error)
    this.#close(this.#failure(kind))
    if (this.#stage === 'given') this.#recipient?.broken(this.#owner.errorFor(kind, error))
    else this.#owner.failed(this, kind, error)
  }

  #answered (statusCode: number, headers: IncomingHttpHeaders, at: number): void {
    this.statusCode = statusCode
    this.headers = headers
    this.#ttfb = at - this.startedAt
    if (this.#owner.exchange.settings.loadReports) this.#takeReport(headers, at)
    if (this.#info !== undefined) {
      this.#info.status = statusCode
      this.#info.ms = this.#ttfb
    }
    this.pick.answered(statusCode, at)
  }

  /** What the peer says of its load is for us. */
  #takeReport (headers: IncomingHttpHeaders, at: number): void {
    const report = headers['endpoint-load-metrics']
    if (typeof report === 'string') this.pick.report(report, at)
    delete headers['endpoint-load-metrics']
    delete headers['endpoint-load-metrics-bin']
  }

  #elapsed (): number {
    return this.#owner.now() - this.startedAt
  }

  #failure (error: ErrorKind): Outcome {
    const ms = this.#elapsed()
    return this.statusCode === 0 ? { error, ms } : { error, ms, ttfb: this.#ttfb }
  }

  #outcome (ms: number): Outcome {
    return { status: this.statusCode, ms, ttfb: this.#ttfb }
  }

  /** Before the request was handed to a connection nothing was sent; after it, only time or the peer can end it. */
  #kindOf (error: Error & { code?: string }): ErrorKind {
    // It cannot be sent, or the client never finished it: no fault of the peer's.
    if (UNSENDABLE.has(error.code ?? '') || isBroken(this.#owner.body)) return 'aborted'
    return this.isSent ? 'reset' : 'connect'
  }

  #rearm (ms: number): void {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(expire, ms, this)
  }

  #drop (): void {
    this.#close(this.#outcome(this.#elapsed()))
    this.#flow?.abort(new Error('the answer is not wanted'))
  }

  #close (outcome: Outcome): void {
    if (this.isOver) return
    this.isOver = true
    clearTimeout(this.#timer)
    if (this.#info !== undefined && 'error' in outcome) {
      this.#info.ms = outcome.ms
      this.#info.error = outcome.error
    }
    this.pick.done(outcome, this.startedAt + outcome.ms)
  }
}

function expire (attempt: Attempt): void {
  setImmediate(() => attempt.expired())
}
