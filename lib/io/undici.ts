import type { Duplex } from 'node:stream'
import type { Client, Dispatcher } from 'undici'
import type { Carrier, Flow, Outbound, Passenger } from './carrier.js'
import { allFields, endToEndFields } from './fields.js'

const noop = (): void => {}

/** What undici tells of a request, told to a passenger. It is undici's handler in the form that its connections speak. */
class Told implements Dispatcher.DispatchHandler, Flow {
  readonly #passenger: Passenger
  #status = 0
  abort: (error: Error) => void = noop
  resume: () => void = noop

  constructor (passenger: Passenger) {
    this.#passenger = passenger
  }

  onConnect (abort: (error?: Error) => void): void {
    if (this.#passenger.isOver) return abort(new Error('the request is over'))
    this.abort = abort
    this.#passenger.sending(this)
  }

  onHeaders (status: number, raw: Buffer[] | string[], resume: () => void, text: string): boolean {
    // 1xx answers are between the peer and us.
    if (status < 200) return true
    this.#status = status
    this.resume = resume
    this.#passenger.head(status, text, endToEndFields(raw))
    return true
  }

  onData (chunk: Buffer): boolean {
    return this.#passenger.data(chunk)
  }

  onComplete (raw: string[] | null): void {
    this.#passenger.end(endToEndFields(raw ?? []))
  }

  onError (error: Error & { code?: string }): void {
    // undici misses the body of a 304 that tells a length, which is the length of what did not change (RFC 9110, 15.4.5).
    if (this.#status === 304 && error.code === 'UND_ERR_RES_CONTENT_LENGTH_MISMATCH') this.#passenger.end({})
    else this.#passenger.failed(error)
  }

  onUpgrade (status: number, raw: Buffer[] | string[] | null, socket: Duplex): void {
    if (this.#passenger.isOver) socket.destroy()
    else this.#passenger.upgraded(status, allFields(raw ?? []), socket)
  }
}

/** `servername` is always the same, or undici would reconnect for every Host header that differs from the last one. */
function optionsFor (request: Outbound, servername: string): Dispatcher.DispatchOptions {
  return {
    ...request,
    headers: request.fields,
    servername,
    // Time is the attempt's own business: undici keeps it in whole seconds.
    headersTimeout: 0,
    bodyTimeout: 0
  } as Dispatcher.DispatchOptions
}

/** A connection for each request: for upgrades, which keep it, and for bodies that undici alone knows how to write. */
export class OneByOne implements Carrier {
  readonly #open: () => Client
  readonly #host: string
  readonly #clients = new Map<Client, Promise<void>>()

  constructor (host: string, open: () => Client) {
    this.#host = host
    this.#open = open
  }

  dispatch (request: Outbound, passenger: Passenger): void {
    const client = this.#open()
    client.dispatch(optionsFor(request, this.#host), new Told(passenger))
    this.#clients.set(client, client.close().catch(noop).finally(() => this.#clients.delete(client)))
  }

  async close (): Promise<void> {
    await Promise.all(this.#clients.values())
  }

  destroy (): void {
    for (const client of this.#clients.keys()) client.destroy().catch(noop)
  }
}
