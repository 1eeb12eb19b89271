import type { FastifyReply, FastifyRequest } from 'fastify'
import { NotReadyError, ShedError, UnknownServiceError } from '../../errors.js'
import { CLIENT_CLOSED } from '../../logger/outcome.js'
import { retryOf } from '../../options.js'
import { Exchange, type Upstream } from '../../picker/exchange.js'
import { isGone, type Upgrade } from '../../picker/forwarding.js'
import type { Trace } from '../../picker/tracing.js'
import { place } from './affinity.js'
import { checkForwarding, type ForwardingOptions } from './forwarding-options.js'
import type { Gateway } from '../gateway.js'
import { OUTGOING, Outgoing, type Raw } from './outgoing.js'
import { escaped, queryFrom, refuseTraversal, refuseTwoHosts, split, targetOf, type Target } from './target.js'
import { beginTrace } from './tracing.js'

declare module 'fastify' {
  interface FastifyReply {
    /**
     * Forwards this request to a peer of `service` and sends its answer. Fails with FST_UPSTREAM_UNKNOWN_SERVICE,
     * NO_PEER, NOT_READY, SHED, QUEUE_FULL, CONNECT, RESET or TIMEOUT.
     */
    forward: (service: string, options?: ForwardingOptions) => FastifyReply
  }
  interface FastifyRequest {
    /** Where the request was forwarded to; null when it was not. */
    upstream: Upstream | null
  }
}

/** Forwards requests through the transport, which picks the peers, and counts them when they are over. */
export class Forwarder {
  readonly #gateway: Gateway
  readonly #onClose: (this: Raw) => void

  constructor (gateway: Gateway) {
    this.#gateway = gateway
    const closed = (raw: Raw): void => this.#closed(raw)
    this.#onClose = function (this: Raw) { closed(this) }
  }

  /** What `reply.forward` does: `forward`, for options that a user wrote. Bad ones are thrown. */
  asked (request: FastifyRequest, reply: FastifyReply, name: string, options: ForwardingOptions = {}): FastifyReply {
    checkForwarding(options)
    return this.forward(request, reply, name, options)
  }

  /** Sends `request` on to a peer of `name`. A refusal is sent as an error, nothing is thrown. */
  forward (request: FastifyRequest, reply: FastifyReply, name: string, options: ForwardingOptions, target?: Target, upgrade: Upgrade | null = null): FastifyReply {
    const { store, registry } = this.#gateway
    const service = store.get(name)
    if (service === undefined) {
      // A function of the user's may have given anything.
      const asked = String(name)
      return reply.send(registry.isReady ? new UnknownServiceError(asked) : new NotReadyError(asked))
    }
    const retry = options.retry === undefined ? service.settings.retry : retryOf(options.retry, service.settings.retry)
    const exchange = new Exchange(service, options.timeout ?? service.settings.timeouts.total, retry)
    request.upstream = exchange.upstream
    const now = this.#gateway.now()
    place(exchange, request, options.key, now)
    // Who left before we came here is counted, and no peer hears of it.
    if (isGone(reply.raw)) {
      this.#gateway.logger.request(service, CLIENT_CLOSED, 0, now)
      return reply.hijack()
    }
    const outgoing = new Outgoing(exchange, reply, options, upgrade, now, this.#gateway.now)
    this.#account(reply.raw, outgoing)
    const trace = beginTrace(exchange, outgoing.method, request)
    if (trace === null) return this.#send(outgoing, request, reply, options, target)
    outgoing.trace = trace
    return trace.run(() => this.#send(outgoing, request, reply, options, target))
  }

  #send (outgoing: Outgoing, request: FastifyRequest, reply: FastifyReply, options: ForwardingOptions, target: Target | undefined): FastifyReply {
    const { picker, transport } = this.#gateway
    const { service } = outgoing.exchange
    const error = picker.refuses(service) ? new ShedError(service.name) : outgoing.load() ?? address(outgoing, request, options, target)
    if (error !== null) {
      outgoing.trace?.failed(error)
      return reply.send(error)
    }
    transport.forward(outgoing)
    return reply
  }

  /** Counts the client request once it is over, and stops what is under way then. */
  #account (raw: Raw, outgoing: Outgoing): void {
    if (raw[OUTGOING] === undefined) raw.on('close', this.#onClose)
    raw[OUTGOING] = outgoing
  }

  /** One listener for all: a closure for each request would be paid by everybody. */
  #closed (raw: Raw): void {
    const at = this.#gateway.now()
    const left = hasLeft(raw)
    // Who was cut off because the peer broke its answer did not leave.
    const status = left ? raw[OUTGOING]?.broken ?? CLIENT_CLOSED : raw.statusCode
    for (let outgoing = raw[OUTGOING]; outgoing !== undefined; outgoing = outgoing.previous) {
      // An answer need not have been read because there was one: a hook may have put something else in its place.
      if (left || outgoing.answer === null) outgoing.stop?.stop('aborted')
      else outgoing.answer.discard()
      this.#gateway.logger.request(outgoing.exchange.service, status, at - outgoing.startedAt, at, outgoing.previous === undefined)
      if (outgoing.trace !== null) endTrace(outgoing.trace, outgoing.broken, status)
    }
  }
}

/** Whether the client was gone before all was said. */
function hasLeft ({ statusCode, stream, writableEnded, writableFinished }: Raw): boolean {
  // By HTTP/2 the end of the stream, whatever it was, makes a response finished.
  if (stream !== undefined) return !writableEnded || stream.aborted || stream.rstCode !== 0
  // What was upgraded was answered, however its connection has ended.
  return statusCode !== 101 && !(writableFinished ?? writableEnded)
}

function endTrace (trace: Trace, broken: number | null, status: number): void {
  if (broken !== null) trace.failed(Object.assign(new Error('the answer stopped in the middle'), { statusCode: broken }))
  trace.ended(status)
}

/** Says where it goes. Returns why it cannot go there, or null. */
function address (outgoing: Outgoing, request: FastifyRequest, options: ForwardingOptions, target: Target | undefined): Error | null {
  try {
    refuseTwoHosts(request)
    outgoing.address(asked(target ?? targetOf(request), options))
    return null
  } catch (error) {
    return Object.assign(new Error('the request cannot be forwarded', { cause: error }), { statusCode: 400 })
  }
}

/** The target at the peer. Throws for a path that may lead elsewhere. */
function asked (came: Target, options: ForwardingOptions): string {
  const { path, query } = options.path === undefined ? came : split(escaped(options.path))
  refuseTraversal(path)
  if (options.query !== undefined) return path + queryFrom(options.query)
  return path + (query === '' ? came.query : query)
}
