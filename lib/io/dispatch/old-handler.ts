import type { IncomingHttpHeaders } from 'node:http'
import type { Duplex } from 'node:stream'
import { errors, type Dispatcher } from 'undici'

/**
 * A handler of the API that undici had before version 7, as one of today's. Node 20's own `fetch` is undici 6; and
 * undici 7's `request`, `stream` and `fetch` still speak the old one themselves.
 */
class OldHandler implements Dispatcher.DispatchHandler {
  readonly #handler: Dispatcher.DispatchHandler

  constructor (handler: Dispatcher.DispatchHandler) {
    this.#handler = handler
  }

  onRequestStart (controller: Dispatcher.DispatchController): void {
    this.#handler.onConnect?.(reason => controller.abort(reason ?? new errors.RequestAbortedError()))
  }

  onRequestUpgrade (_controller: Dispatcher.DispatchController, statusCode: number, headers: IncomingHttpHeaders, socket: Duplex): void {
    if (this.#handler.onUpgrade === undefined) throw new errors.InvalidArgumentError('invalid onUpgrade method')
    this.#handler.onUpgrade(statusCode, rawOf(headers), socket)
  }

  onResponseStart (controller: Dispatcher.DispatchController, statusCode: number, headers: IncomingHttpHeaders, statusMessage = ''): void {
    this.#handler.onResponseStarted?.()
    const resume = (): void => controller.resume()
    if (this.#handler.onHeaders?.(statusCode, rawOf(headers), resume, statusMessage) === false) controller.pause()
  }

  onResponseData (controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#handler.onData?.(chunk) === false) controller.pause()
  }

  onResponseEnd (_controller: Dispatcher.DispatchController, trailers: IncomingHttpHeaders): void {
    this.#handler.onComplete?.(rawOf(trailers).map(part => part.toString('latin1')))
  }

  onResponseError (_controller: Dispatcher.DispatchController, error: Error): void {
    this.#handler.onError?.(error)
  }
}

/** `handler` in undici's API of today, whichever it has. Throws undici's error for one that has neither. */
export function current (handler: Dispatcher.DispatchHandler): Dispatcher.DispatchHandler {
  if (handler === null || typeof handler !== 'object') throw new errors.InvalidArgumentError('handler must be an object')
  return handler.onRequestStart === undefined ? new OldHandler(handler) : handler
}

/** Names and values in turn; those of a list one by one, because undici 6 knows no lists here. */
function rawOf (fields: IncomingHttpHeaders): Buffer[] {
  const raw: Buffer[] = []
  for (const [name, values] of Object.entries(fields)) {
    for (const value of [values ?? []].flat()) raw.push(Buffer.from(name, 'latin1'), Buffer.from(value, 'latin1'))
  }
  return raw
}
