import type { Dispatcher } from 'undici'
import { ConnectError, NoPeerError, NotReadyError, QueueFullError } from '../errors.js'
import { EXCHANGE, type Exchange } from '../picker/exchange.js'
import type { Picker } from '../picker/picker.js'
import type { PeerState } from '../store/peer.js'
import { Attempt } from './attempt.js'
import type { Call, ForwardCallback, ForwardOptions } from './call.js'
import { Pools } from './pools.js'

/**
 * The `undici` object that reply-from is registered with. It picks a peer for each attempt, so that a request whose peer
 * refuses the connection goes on to another one; nothing was sent then, so any request may.
 */
export class Transport {
  readonly pools = new Pools()
  readonly #picker: Picker
  readonly #clock: () => number
  readonly #isSynced: () => boolean

  constructor (picker: Picker, clock: () => number, isSynced: () => boolean) {
    this.#picker = picker
    this.#clock = clock
    this.#isSynced = isSynced
  }

  /** Forwards a request; calls back once, with the response as soon as its headers are there. */
  request (options: ForwardOptions, callback: ForwardCallback): void {
    const exchange = options.headers[EXCHANGE]
    if (exchange === undefined) throw new Error('only reply.forward and proxied routes forward by this transport')
    const deadline = setTimeout(() => exchange.stop?.('timeout'), exchange.total)
    this.#attempt({
      exchange,
      options,
      host: options.headers.host,
      callback: (error, response) => {
        clearTimeout(deadline)
        callback(error, response)
      }
    })
  }

  /** A removed peer's connections finish, then close. */
  release (state: PeerState): void {
    this.pools.release(state)
  }

  async close (): Promise<void> {
    await this.pools.close()
  }

  #attempt (call: Call, previous?: Error): void {
    const { exchange, options } = call
    const pick = exchange.next(this.#picker, this.#clock())
    if (pick === undefined) return call.callback(previous ?? this.#nobody(exchange))
    const attempt = new Attempt(call, pick, this.#clock, error => {
      exchange.exclude(pick.state)
      this.#attempt(call, new ConnectError(exchange.service.name, { cause: error }))
    })
    exchange.stop = attempt.stop
    options.headers.host = hostFor(exchange, call.host, pick.peer.id)
    const { timeouts } = exchange.settings
    this.pools.for(pick.state, pick.peer, exchange.settings).dispatch({
      path: options.path,
      method: options.method,
      headers: options.headers,
      body: options.body ?? null,
      headersTimeout: timeouts.headers,
      bodyTimeout: timeouts.body,
      // Always the same, or undici would reconnect for every Host header that differs from the last one.
      servername: pick.peer.host
    } as Dispatcher.DispatchOptions, attempt)
  }

  #nobody ({ service }: Exchange): Error {
    if (this.#picker.isFull(service, this.#clock())) return new QueueFullError(service.name)
    return this.#isSynced() ? new NoPeerError(service.name) : new NotReadyError(service.name)
  }
}

/** reply-from has set the host of its own base; `client` is what the HTTP surface put there instead. */
function hostFor ({ settings: { host } }: Exchange, client: string | undefined, peer: string): string {
  if (host === 'client') return client ?? peer
  return host === 'peer' ? peer : host
}
