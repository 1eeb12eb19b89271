import type { IncomingHttpHeaders } from 'node:http'
import type { Duplex } from 'node:stream'
import { errors, type Dispatcher } from 'undici'
import { CLIENT_CLOSED } from '../../logger/outcome.js'
import type { Answer, Recipient } from '../recipient.js'

/** What can be stopped: the call behind the request. */
interface Stoppable {
  stop: (kind: 'aborted') => void
}

/**
 * Gives a peer's answer to a handler of undici's, for which it is the controller of one connection, whatever number of
 * attempts there are. What comes while the handler wants a pause waits. What the handler throws aborts the request, as it
 * does with undici, and is no fault of the peer's.
 */
export class HandlerRecipient implements Recipient, Dispatcher.DispatchController {
  readonly #handler: Dispatcher.DispatchHandler
  #call: Stoppable | null = null
  #ended: (status: number, error?: Error) => void = () => {}
  #answer: Answer | null = null
  #isOver = false
  #reason: Error | null = null
  #paused = false
  #chunks: Buffer[] = []
  #trailers: IncomingHttpHeaders | null = null

  constructor (handler: Dispatcher.DispatchHandler) {
    this.#handler = handler
  }

  get aborted (): boolean {
    return this.#reason !== null
  }

  get paused (): boolean {
    return this.#paused
  }

  get reason (): Error | null {
    return this.#reason
  }

  /**
   * The request begins. `ended` is told its status once: what the peer answered, that of the error, or 499 for a caller
   * who left; and the error, if any. False when the handler does not want it any more.
   */
  begin (call: Stoppable, ended: (status: number, error?: Error) => void): boolean {
    this.#call = call
    this.#ended = ended
    try {
      this.#handler.onRequestStart?.(this, undefined)
    } catch (error) {
      this.abort(error as Error)
    }
    return !this.#isOver
  }

  abort (reason: Error = new errors.RequestAbortedError()): void {
    if (this.#isOver || this.#reason !== null) return
    this.#reason = reason
    this.#call?.stop('aborted')
    // An answer that waits here for its reader, or has been held, is complete as far as the call knows.
    this.failed(reason)
  }

  pause (): void {
    this.#paused = true
    this.#answer?.pause()
  }

  resume (): void {
    if (!this.#paused) return
    this.#paused = false
    for (let chunk = this.#next(); chunk !== undefined; chunk = this.#next()) this.#give(chunk)
    if (this.#paused || this.#isOver) return
    if (this.#trailers === null) this.#answer?.resume()
    else this.#finish(this.#trailers)
  }

  head (answer: Answer): void {
    if (this.#isOver || this.#reason !== null) return
    this.#answer = answer
    answer.watchBody()
    try {
      this.#handler.onResponseStart?.(this, answer.statusCode, answer.headers, answer.statusText)
    } catch (error) {
      this.abort(error as Error)
    }
  }

  data (chunk: Buffer): boolean {
    if (this.#paused) this.#chunks.push(chunk)
    else this.#give(chunk)
    return !this.#paused
  }

  end (trailers: IncomingHttpHeaders): void {
    this.#trailers = trailers
    if (!this.#paused) this.#finish(trailers)
  }

  broken (error: Error): void {
    this.failed(error)
  }

  failed (error: Error): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#chunks = []
    this.#ended(this.#reason === null ? statusOf(error) : CLIENT_CLOSED, this.#reason ?? error)
    this.#handler.onResponseError?.(this, this.#reason ?? own(error))
  }

  /** From here on the connection is the handler's; the request lasts as long as it does. */
  upgraded ({ statusCode, headers }: Answer, socket: Duplex): void {
    this.#isOver = true
    socket.once('close', () => this.#ended(statusCode))
    try {
      if (this.#handler.onRequestUpgrade === undefined) throw new errors.InvalidArgumentError('invalid onRequestUpgrade method')
      this.#handler.onRequestUpgrade(this, statusCode, headers, socket)
    } catch (error) {
      socket.destroy()
      this.#handler.onResponseError?.(this, error as Error)
    }
  }

  /** What waits and may be handed on. */
  #next (): Buffer | undefined {
    return this.#paused ? undefined : this.#chunks.shift()
  }

  #give (chunk: Buffer): void {
    if (this.#isOver || this.#reason !== null) return
    try {
      this.#handler.onResponseData?.(this, chunk)
    } catch (error) {
      this.abort(error as Error)
    }
  }

  #finish (trailers: IncomingHttpHeaders): void {
    if (this.#isOver || this.#reason !== null) return
    this.#isOver = true
    this.#ended(this.#answer?.statusCode ?? 0)
    try {
      this.#handler.onResponseEnd?.(this, trailers)
    } catch (error) {
      this.#handler.onResponseError?.(this, error as Error)
    }
  }
}

/** The status that an error stands for. */
function statusOf (error: Error): number {
  return 'statusCode' in error && typeof error.statusCode === 'number' ? error.statusCode : 500
}

/** What a call words for a client of HTTP, where it stands for an error of the caller's, is that error here. */
function own (error: Error): Error {
  return statusOf(error) === 400 && error.cause instanceof Error ? error.cause : error
}
