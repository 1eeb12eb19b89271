import type { IncomingHttpHeaders } from 'node:http'
import type { Duplex } from 'node:stream'
import type { Dispatcher } from 'undici'
import type { ErrorKind, Outcome } from '../logger/outcome.js'
import type { Exchange } from '../picker/exchange.js'
import type { Pick } from '../picker/picker.js'
import type { Answer, Recipient } from './recipient.js'

/** Bytes of an answer that may wait for the decision about it, or are read to save the connection when it is not wanted. */
const SPARE_BYTES = 65536
/** How long an unwanted answer may take to end by itself, ms. */
const SPARE_TIME = 1000

/** Whose attempt it is: told what came of it, decides what comes next. */
export interface Owner {
  readonly exchange: Exchange
  /** The client never finished what it sends. */
  readonly isUploadBroken: boolean
  /** Epoch ms. */
  now: () => number
  /** How long the attempt may still wait for headers, ms. */
  patience: (attempt: Attempt) => number
  /** No headers came in time. */
  late: (attempt: Attempt) => void
  answered: (attempt: Attempt) => void
  failed: (attempt: Attempt, kind: ErrorKind, cause: Error) => void
  /** The peer has agreed to another protocol; `socket` is the connection. */
  upgraded: (attempt: Attempt, socket: Duplex) => void
  /** The client left. */
  stop: (kind: 'aborted') => void
  /** The error that a client is told. */
  errorFor: (kind: ErrorKind, cause: Error) => Error
}

/** Waiting for headers; answered, and held until something better comes; handed on; not wanted. */
type Stage = 'waiting' | 'held' | 'given' | 'unwanted'

/**
 * One attempt at one peer, as undici's handler. It tells its call what happened and closes its pick exactly once: when
 * the last byte is there, when something broke, when its time was over, or when the client left.
 */
export class Attempt implements Dispatcher.DispatchHandler, Answer {
  readonly pick: Pick
  statusCode = 0
  headers: IncomingHttpHeaders = {}
  readonly #owner: Owner
  readonly #info: Exchange['upstream']['attempts'][number] | undefined
  readonly #startedAt: number
  #stage: Stage = 'waiting'
  #controller: Dispatcher.DispatchController | null = null
  #recipient: Recipient | null = null
  #ttfb = 0
  #over = false
  /** What waits for a decision: a held answer's bytes, and its trailers once it is complete. */
  #chunks: Buffer[] = []
  #bytes = 0
  #trailers: IncomingHttpHeaders | null = null
  #timer: NodeJS.Timeout
  #heardAt = 0

  constructor (owner: Owner, pick: Pick, patience: number) {
    this.#owner = owner
    this.pick = pick
    this.#info = owner.exchange.upstream.attempts.at(-1)
    this.#startedAt = owner.now()
    this.#timer = setTimeout(expire, patience, this)
  }

  /** Whether bytes of the request may have left this machine. */
  get isSent (): boolean {
    return this.#controller !== null
  }

  get startedAt (): number {
    return this.#startedAt
  }

  /** The answer may be bettered by another attempt; until then it waits. */
  hold (): void {
    this.#stage = 'held'
  }

  /** This answer is the one that stands. */
  give (recipient: Recipient): void {
    this.#stage = 'given'
    this.#recipient = recipient
    recipient.head(this)
    for (const chunk of this.#chunks) if (!recipient.data(chunk)) this.pause()
    this.#chunks = []
    if (this.#trailers !== null) recipient.end(this.#trailers)
    else if (!this.#over) this.resume()
  }

  /** Nobody wants the answer: reads the rest of a short one, for the connection's sake, and ends any other. */
  discard (): void {
    this.#stage = 'unwanted'
    this.#chunks = []
    if (this.#over) return
    this.#rearm(SPARE_TIME)
    this.resume()
  }

  /** Ends it, whatever it is doing, as `kind`. */
  stop (kind: ErrorKind, error: Error): void {
    if (this.#over) return
    // Close first: what undici reports of the abort is then no news.
    this.#close({ error: kind, ms: this.#elapsed() })
    this.#controller?.abort(error)
    if (this.#stage === 'given') this.#recipient?.broken(error)
  }

  pause (): void {
    this.#controller?.pause()
  }

  resume (): void {
    this.#heardAt = this.#owner.now()
    this.#controller?.resume()
  }

  abandon (): void {
    this.#owner.stop('aborted')
  }

  /** Its time is over, unless something was heard meanwhile. */
  expired (): void {
    if (this.#over) return
    if (this.#stage === 'waiting') {
      const left = this.#owner.patience(this)
      return left > 0 ? this.#rearm(left) : this.#owner.late(this)
    }
    const error = new Error('the answer stopped coming')
    if (this.#stage === 'unwanted') return this.#end({ status: this.statusCode, ms: this.#elapsed(), ttfb: this.#ttfb }, error)
    const { body } = this.#owner.exchange.settings.timeouts
    const idle = this.#controller?.paused === true ? 0 : this.#owner.now() - this.#heardAt
    return idle < body ? this.#rearm(body - idle) : this.stop('timeout', error)
  }

  onRequestStart (controller: Dispatcher.DispatchController): void {
    this.#controller = controller
    if (this.#over) controller.abort(new Error('the request is over'))
  }

  onRequestUpgrade (_controller: Dispatcher.DispatchController, statusCode: number, headers: IncomingHttpHeaders, socket: Duplex): void {
    if (this.#over) {
      socket.destroy()
      return
    }
    this.#answered(statusCode, headers)
    clearTimeout(this.#timer)
    socket.once('close', () => this.#close({ status: statusCode, ms: this.#elapsed(), ttfb: this.#ttfb }))
    this.#owner.upgraded(this, socket)
  }

  onResponseStart (controller: Dispatcher.DispatchController, statusCode: number, headers: IncomingHttpHeaders): void {
    // 1xx answers are between the peer and us.
    if (statusCode < 200 || this.#over) return
    if (statusCode > 599) {
      this.onResponseError(controller, new Error(`a peer answered with status ${statusCode}`))
      return controller.abort(new Error('no such status'))
    }
    this.#answered(statusCode, headers)
    this.#owner.answered(this)
  }

  onResponseData (controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#stage === 'given') {
      this.#heardAt = this.#owner.now()
      if (this.#recipient?.data(chunk) === false) controller.pause()
      return
    }
    this.#bytes += chunk.length
    if (this.#stage === 'held') {
      this.#chunks.push(chunk)
      if (this.#bytes > SPARE_BYTES) controller.pause()
    } else if (this.#bytes > SPARE_BYTES) {
      this.#end({ status: this.statusCode, ms: this.#elapsed(), ttfb: this.#ttfb }, new Error('the answer is not wanted'))
    }
  }

  onResponseEnd (_controller: Dispatcher.DispatchController, trailers: IncomingHttpHeaders): void {
    if (this.#over) return
    this.#close({ status: this.statusCode, ms: this.#elapsed(), ttfb: this.#ttfb })
    if (this.#stage === 'given') this.#recipient?.end(trailers)
    else this.#trailers = trailers
  }

  onResponseError (_controller: Dispatcher.DispatchController, error: Error & { code?: string }): void {
    if (this.#over) return
    const kind = this.#kindOf(error)
    this.#close({ error: kind, ms: this.#elapsed() })
    if (this.#stage === 'given') this.#recipient?.broken(this.#owner.errorFor(kind, error))
    else this.#owner.failed(this, kind, error)
  }

  watchBody (): void {
    if (this.#over) return
    this.#heardAt = this.#owner.now()
    this.#rearm(this.#owner.exchange.settings.timeouts.body)
  }

  #answered (statusCode: number, headers: IncomingHttpHeaders): void {
    this.statusCode = statusCode
    this.headers = headers
    this.#ttfb = this.#elapsed()
    if (this.#info !== undefined) {
      this.#info.status = statusCode
      this.#info.ms = this.#ttfb
    }
    this.pick.answered(statusCode, this.#startedAt + this.#ttfb)
  }

  #elapsed (): number {
    return this.#owner.now() - this.#startedAt
  }

  /** Before the request was handed to a connection nothing was sent; after it, only time or the peer can end it. */
  #kindOf (error: Error & { code?: string }): ErrorKind {
    // undici would not send it at all, or the client never finished it: no fault of the peer's.
    if (error.code === 'UND_ERR_INVALID_ARG' || error.code === 'UND_ERR_NOT_SUPPORTED' || this.#owner.isUploadBroken) return 'aborted'
    return this.isSent ? 'reset' : 'connect'
  }

  #end (outcome: Outcome, error: Error): void {
    this.#close(outcome)
    this.#controller?.abort(error)
  }

  #rearm (ms: number): void {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(expire, ms, this)
  }

  #close (outcome: Outcome): void {
    if (this.#over) return
    this.#over = true
    clearTimeout(this.#timer)
    if (this.#info !== undefined && 'error' in outcome) {
      this.#info.ms = outcome.ms
      this.#info.error = outcome.error
    }
    this.pick.done(outcome, this.#startedAt + outcome.ms)
  }
}

function expire (attempt: Attempt): void {
  attempt.expired()
}
