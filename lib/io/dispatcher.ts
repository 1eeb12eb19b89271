import { Dispatcher } from 'undici'
import { NoPeerError, NotReadyError, ShedError, UnknownServiceError } from '../errors.js'
import type { Logger } from '../logger/logger.js'
import { Exchange } from '../picker/exchange.js'
import type { Fields } from '../picker/forwarding.js'
import { keyOf, needsKey } from '../picker/hash-key.js'
import type { BeginTrace, Trace } from '../picker/tracing.js'
import type { Service } from '../store/service.js'
import type { Store } from '../store/store.js'
import { Call } from './call.js'
import type { Means } from './message.js'
import { given } from './dispatch/body.js'
import { HandlerRecipient } from './dispatch/handler-recipient.js'
import { fieldsIn, serviceIn, targetIn, upgradeIn } from './dispatch/message.js'
import { current } from './dispatch/old-handler.js'

interface Prepared {
  readonly service: Service
  readonly call: Call
  readonly ended: (status: number, error?: Error) => void
  readonly trace: Trace | null
}

/**
 * An undici Dispatcher whose origins are services (`originFor`): for `fetch`, `undici.request`, @fastify/http-proxy. Peers
 * are picked, attempts repeated and requests counted as for proxied routes.
 *
 * The caller's handler is told an error with one of our codes, or undici's own for what cannot be sent. Peers see
 * their own host or the service's literal one, never the caller's. How long an answer may take is the service's setting:
 * `headersTimeout` and `bodyTimeout` of the caller do not count. Answers 1xx are not handed on.
 */
export class UpstreamDispatcher extends Dispatcher {
  readonly #means: Means
  readonly #store: Store
  readonly #logger: Logger
  readonly #isClosed: () => boolean
  readonly #beginTrace: BeginTrace

  /** Services come from `store`, `logger` counts. Nothing is sent once the gateway `isClosed`. */
  constructor (means: Means, store: Store, logger: Logger, isClosed: () => boolean, beginTrace: BeginTrace = () => null) {
    super()
    this.#means = means
    this.#store = store
    this.#logger = logger
    this.#isClosed = isClosed
    this.#beginTrace = beginTrace
  }

  override dispatch (options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): boolean {
    const recipient = new HandlerRecipient(current(handler))
    let prepared: Prepared
    try {
      prepared = this.#prepare(options, recipient)
    } catch (error) {
      recipient.failed(error as Error)
      return false
    }
    const { trace } = prepared
    if (trace === null) this.#begin(prepared, recipient)
    else trace.run(() => this.#begin(prepared, recipient))
    return true
  }

  #begin ({ service, call, ended }: Prepared, recipient: HandlerRecipient): void {
    if (!recipient.begin(call, ended)) return
    if (this.#means.picker.refuses(service)) recipient.failed(new ShedError(service.name))
    else call.start()
  }

  /** Resolves, and closes nothing: the connections are the gateway's, and close with it. */
  override close (): Promise<void>
  override close (callback: () => void): void
  override close (callback?: () => void): Promise<void> | undefined {
    return done(callback)
  }

  /** The same. */
  override destroy (error?: Error | null): Promise<void>
  override destroy (callback: () => void): void
  override destroy (error: Error | null, callback: () => void): void
  override destroy (error?: Error | null | (() => void), callback?: () => void): Promise<void> | undefined {
    return done(typeof error === 'function' ? error : callback)
  }

  #prepare (options: Dispatcher.DispatchOptions, recipient: HandlerRecipient): Prepared {
    const { clock } = this.#means
    const startedAt = clock()
    const service = this.#service(serviceIn(options.origin))
    const upgrade = upgradeIn(options)
    const path = targetIn(options, service.name)
    const fields = fieldsIn(options)
    const exchange = new Exchange(service)
    const { hashKey } = service.settings
    // There is no client here, and no request that a function could look at.
    if (needsKey(service.settings) && typeof hashKey === 'string') exchange.key = keyOf(hashKey, { uri: path, address: null, field: name => fieldIn(fields, name) })
    const { method } = options
    const { body, end } = given(options.body, exchange.kept(method), clock)
    const call = new Call(this.#means, exchange, { path, method, fields, host: undefined, body, upgrade }, recipient, startedAt)
    const trace = this.#beginTrace(exchange, method, null)
    const ended = (status: number, error?: Error): void => {
      end()
      const at = clock()
      this.#logger.request(service, status, at - startedAt, at)
      if (error !== undefined) trace?.failed(error)
      trace?.ended(status)
    }
    return { service, call, ended, trace }
  }

  #service (name: string): Service {
    if (this.#isClosed()) throw new NoPeerError(name, { cause: new Error('the gateway was closed') })
    const service = this.#store.get(name)
    if (service !== undefined) return service
    throw this.#means.isSynced() ? new UnknownServiceError(name) : new NotReadyError(name)
  }
}

function done (callback: (() => void) | undefined): Promise<void> | undefined {
  if (callback === undefined) return Promise.resolve()
  queueMicrotask(callback)
  return undefined
}

function fieldIn (fields: Fields, name: string): string | string[] | undefined {
  const at = fields.findIndex((field, i) => i % 2 === 0 && field === name)
  return at === -1 ? undefined : fields[at + 1]
}
