import type { IncomingHttpHeaders } from 'node:http'
import { Readable } from 'node:stream'
import type { Dispatcher } from 'undici'
import { ResetError, TimeoutError } from '../errors.js'
import { CLIENT_CLOSED, type ErrorKind, type Outcome } from '../logger/outcome.js'
import type { AttemptInfo } from '../picker/exchange.js'
import type { Pick } from '../picker/picker.js'
import type { Call } from './call.js'

/** Why an attempt was stopped; nobody is there to be told but the log, under nginx's status for it. */
class ClientLeft extends Error {
  readonly statusCode = CLIENT_CLOSED

  constructor () {
    super('the client left before it was answered')
  }
}

/** A peer's response body on its way: asks the connection for more only as fast as it is read. */
class ResponseBody extends Readable {
  readonly #controller: Dispatcher.DispatchController
  readonly #left: () => void

  constructor (controller: Dispatcher.DispatchController, left: () => void) {
    super()
    // It may break while hooks still work on the headers and nobody listens yet. Those who come later are told all the same.
    this.on('error', () => {})
    this.#controller = controller
    this.#left = left
  }

  override _read (): void {
    this.#controller.resume()
  }

  override _destroy (error: Error | null, callback: (error?: Error | null) => void): void {
    this.#left()
    callback(error)
  }
}

/**
 * One attempt at one peer, as undici's handler. It calls the request back at most once, and closes its pick exactly
 * once: when the last byte is there, when something broke, or when the client left.
 */
export class Attempt implements Dispatcher.DispatchHandler {
  readonly #call: Call
  readonly #pick: Pick
  readonly #clock: () => number
  readonly #unsent: (error: Error) => void
  readonly #info: AttemptInfo | undefined
  readonly #startedAt: number
  #controller: Dispatcher.DispatchController | null = null
  #body: ResponseBody | null = null
  #status = 0
  #ttfb = 0
  #over = false

  /** `unsent` is called instead of the request's callback when the peer could not be connected to. */
  constructor (call: Call, pick: Pick, clock: () => number, unsent: (error: Error) => void) {
    this.#call = call
    this.#pick = pick
    this.#clock = clock
    this.#unsent = unsent
    this.#info = call.exchange.upstream.attempts.at(-1)
    this.#startedAt = clock()
  }

  /** The client left, or the time for all attempts is over. */
  readonly stop = (kind: 'aborted' | 'timeout'): void => {
    if (this.#over) return
    const error = kind === 'timeout' ? new TimeoutError(this.#service) : new ClientLeft()
    // Close first: what undici reports of the abort is then no news.
    this.#close({ error: kind, ms: this.#elapsed() })
    this.#controller?.abort(error)
    if (this.#body === null) this.#call.callback(error)
    else this.#body.destroy(error)
  }

  onRequestStart (controller: Dispatcher.DispatchController): void {
    this.#controller = controller
    if (this.#over) controller.abort(new Error('the request is over'))
  }

  onResponseStart (controller: Dispatcher.DispatchController, statusCode: number, headers: IncomingHttpHeaders): void {
    // 1xx answers are between the peer and us.
    if (statusCode < 200 || this.#over) return
    if (statusCode > 599) {
      this.onResponseError(controller, new Error(`a peer answered with status ${statusCode}`))
      return controller.abort(new Error('no such status'))
    }
    this.#status = statusCode
    this.#ttfb = this.#elapsed()
    if (this.#info !== undefined) Object.assign(this.#info, { status: statusCode, ms: this.#ttfb })
    this.#pick.answered(statusCode, this.#clock())
    this.#body = new ResponseBody(controller, () => this.stop('aborted'))
    this.#call.callback(null, { statusCode, headers, body: this.#body })
  }

  onResponseData (controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#body?.push(chunk) === false) controller.pause()
  }

  onResponseEnd (): void {
    this.#close({ status: this.#status, ms: this.#elapsed(), ttfb: this.#ttfb })
    this.#body?.push(null)
  }

  onResponseError (_controller: Dispatcher.DispatchController, error: Error & { code?: string }): void {
    if (this.#over) return
    const kind = this.#kindOf(error)
    this.#close({ error: kind, ms: this.#elapsed() })
    if (this.#body !== null) this.#body.destroy(error)
    else if (kind === 'connect') this.#unsent(error)
    else this.#call.callback(this.#errorFor(kind, error))
  }

  get #service (): string {
    return this.#pick.service.name
  }

  #elapsed (): number {
    return this.#clock() - this.#startedAt
  }

  /** Before the request was handed to a connection nothing was sent; after it, only time or the peer can end it. */
  #kindOf (error: Error & { code?: string }): ErrorKind {
    // undici would not send it at all, which is no fault of the peer's.
    if (error.code === 'UND_ERR_INVALID_ARG' || error.code === 'UND_ERR_NOT_SUPPORTED') return 'aborted'
    if (this.#controller === null) return 'connect'
    return error.code === 'UND_ERR_HEADERS_TIMEOUT' || error.code === 'UND_ERR_BODY_TIMEOUT' ? 'timeout' : 'reset'
  }

  #errorFor (kind: ErrorKind, cause: Error): Error {
    if (kind === 'timeout') return new TimeoutError(this.#service, { cause })
    if (kind === 'reset') return new ResetError(this.#service, { cause })
    return Object.assign(new Error('the request cannot be forwarded', { cause }), { statusCode: 400 })
  }

  #close (outcome: Outcome): void {
    this.#over = true
    if (this.#info !== undefined) {
      this.#info.ms = outcome.ms
      if ('error' in outcome) this.#info.error = outcome.error
    }
    this.#pick.done(outcome, this.#clock())
  }
}
