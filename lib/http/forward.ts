import type { IncomingHttpHeaders, ServerResponse } from 'node:http'
import { Readable } from 'node:stream'
import replyFrom, { type FastifyReplyFromHooks, type FastifyReplyFromOptions } from '@fastify/reply-from'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { NotReadyError, ResetError, ShedError, UnknownServiceError } from '../errors.js'
import { CLIENT_CLOSED } from '../logger/outcome.js'
import { retryOf } from '../options.js'
import { Exchange, type Upstream } from '../picker/exchange.js'
import { FORWARDING, isGone, whyNot, type ClientStream, type Fields, type Forwarding, type Upgrade } from '../picker/forwarding.js'
import { bodyOf, unparsed } from './body.js'
import { checkForwarding, type ForwardingOptions } from './forwarding-options.js'
import type { Gateway } from './gateway.js'
import { lowered, passedOn } from './headers.js'
import { escaped, queryFrom, refuseTraversal, refuseTwoHosts, split, targetOf, type Target } from './target.js'

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

type From = (this: FastifyReply, source: string | undefined, options: FastifyReplyFromHooks) => FastifyReply
type Forwarded = FastifyRequest & { [FORWARDING]?: Outgoing }
type Raw = ServerResponse & { [FORWARDING]?: Outgoing, readonly stream?: ClientStream }

/** A forwarding as this side knows it: with what is needed to finish its fields and to count it. */
interface Outgoing extends Forwarding {
  target: string
  fields: Fields
  host: string | undefined
  readonly extra: ForwardingOptions['headers']
  /** The same client request, forwarded before to no avail. */
  readonly previous: Outgoing | undefined
}

/** One name for all services, so that reply-from's URL cache does not grow with the peers. Nothing connects to it. */
const BASE = 'http://upstream'

/** Forwards requests through reply-from; the transport behind it picks the peers. */
export class Forwarder {
  readonly #gateway: Gateway
  readonly #from: From
  readonly #onClose: (this: Raw) => void

  constructor (gateway: Gateway, from: From) {
    this.#gateway = gateway
    this.#from = from
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
    const { store, picker, registry } = this.#gateway
    const service = store.get(name)
    if (service === undefined) {
      // A function of the user's may have given anything.
      const asked = String(name)
      return reply.send(registry.synced ? new UnknownServiceError(asked) : new NotReadyError(asked))
    }
    const retry = options.retry === undefined ? service.settings.retry : retryOf(options.retry, service.settings.retry)
    const exchange = new Exchange(service, options.timeout ?? service.settings.timeouts.total, retry)
    request.upstream = exchange.upstream
    // Who left before we came here is counted, and no peer hears of it.
    if (isGone(reply.raw)) {
      this.#gateway.logger.request(service, CLIENT_CLOSED, 0, this.#gateway.now())
      return reply.hijack()
    }
    const forwarded: Forwarded = request
    const previous = forwarded[FORWARDING]
    const outgoing = this.#outgoing(exchange, request, reply.raw, options, previous, upgrade)
    forwarded[FORWARDING] = outgoing
    this.#account(reply.raw, outgoing)
    if (picker.refuses(service)) return reply.send(new ShedError(name))
    const body = request.body instanceof Readable ? request.body : outgoing.body
    const read = body instanceof Readable ? whyNot(body) : null
    if (read !== null) return reply.send(read)
    const fromOptions = optionsFor(options, bodyOf(request))
    try {
      refuseTwoHosts(request)
      outgoing.target = asked(target ?? targetOf(request), options)
      // The path that reply-from is told is always the same, so that it need not parse one for each request.
      return this.#from.call(reply, '/', fromOptions)
    } catch (error) {
      // reply-from throws for what it will not forward, and does not always say whose fault that is.
      return reply.send(Object.assign(new Error('the request cannot be forwarded', { cause: error }), { statusCode: 400 }))
    }
  }

  #outgoing (exchange: Exchange, request: FastifyRequest, client: ServerResponse, options: ForwardingOptions, previous: Outgoing | undefined, upgrade: Upgrade | null): Outgoing {
    return {
      exchange,
      target: '/',
      fields: [],
      host: undefined,
      body: unparsed(request, previous?.body ?? null),
      client,
      asStream: options.onResponse !== undefined,
      upgrade,
      stop: null,
      answer: null,
      broken: null,
      extra: options.headers,
      startedAt: this.#gateway.now(),
      previous
    }
  }

  /** Counts the client request once it is over, and stops what is under way then. */
  #account (raw: Raw, outgoing: Outgoing): void {
    if (raw[FORWARDING] === undefined) raw.on('close', this.#onClose)
    raw[FORWARDING] = outgoing
  }

  /** One listener for all: a closure for each request would be paid by everybody. */
  #closed (raw: Raw): void {
    const at = this.#gateway.now()
    const left = hasLeft(raw)
    // Who was cut off because the peer broke its answer did not leave.
    const status = left ? raw[FORWARDING]?.broken ?? CLIENT_CLOSED : raw.statusCode
    for (let outgoing = raw[FORWARDING]; outgoing !== undefined; outgoing = outgoing.previous) {
      // An answer need not have been read because there was one: a hook may have put something else in its place.
      if (left || outgoing.answer === null) outgoing.stop?.stop('aborted')
      else outgoing.answer.discard()
      this.#gateway.logger.request(outgoing.exchange.service, status, at - outgoing.startedAt, at, outgoing.previous === undefined)
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

/** The target at the peer. Throws for a path that may lead elsewhere. */
function asked (came: Target, options: ForwardingOptions): string {
  const { path, query } = options.path === undefined ? came : split(escaped(options.path))
  refuseTraversal(path)
  if (options.query !== undefined) return path + queryFrom(options.query)
  return path + (query === '' ? came.query : query)
}

/** Registers reply-from with `transport` and returns its decorator, for every reply and without a decoration. */
export function takeFrom (app: FastifyInstance, transport: { request: (options: never, callback: never) => void }): From {
  let taken: From | undefined
  // reply-from decorates the replies of the instance it is given. Ours must serve replies of every instance, and a
  // user's own `reply.from` must stay what it is; so the instance it is given here keeps the decorator for us.
  const seat: FastifyInstance = Object.create(app, {
    decorateReply: { value: (_name: string, from: From) => { taken = from } }
  })
  // Its types ask for undici's whole `request`; it calls the one form that takes a callback.
  const undici = transport as NonNullable<FastifyReplyFromOptions['undici']>
  replyFrom(seat, { base: BASE, undici, disableRequestLogging: true }, error => { if (error) throw error })
  if (taken === undefined) throw new Error('this version of @fastify/reply-from decorates otherwise')
  return taken
}

/** What reply-from is told; without options of the caller's and a parsed body it is the same object for every request. */
function optionsFor ({ onResponse }: ForwardingOptions, body: ReturnType<typeof bodyOf>): FastifyReplyFromHooks {
  if (onResponse === undefined && body === undefined) return plain
  return { ...plain, ...body, ...(onResponse === undefined ? {} : { onResponse: caught(onResponse) }) }
}

/**
 * What a caller's `onResponse` throws is thrown into undici, far from Fastify, and what it rejects with reaches nobody,
 * unless it is sent as its error here.
 */
function caught (onResponse: NonNullable<ForwardingOptions['onResponse']>): NonNullable<ForwardingOptions['onResponse']> {
  return (request, reply, response) => {
    const failed = (error: unknown): void => {
      response.stream.destroy()
      reply.send(error)
    }
    try {
      // By its type it returns nothing; many are asynchronous all the same.
      const told: unknown = onResponse(request, reply, response)
      // What cannot be sent because of what was sent before ends the response.
      if (told instanceof Promise) told.catch(failed).catch(() => { reply.raw.destroy() })
    } catch (error) {
      failed(error)
    }
  }
}

const plain: FastifyReplyFromHooks = {
  // Its own retries would go to the same target; ours are in the transport.
  retryDelay: () => null,
  queryString: () => '',
  onResponse: (request, reply, response) => {
    // Node would cut off a client that still uploads, often before it has read the answer. What it sends is read away instead.
    if (!request.raw.complete) reply.removeHeader('connection')
    reply.send(response.stream)
  },
  rewriteRequestHeaders: (request, headers) => rewrite(request as Forwarded, headers as IncomingHttpHeaders),
  onError: (reply, { error }) => {
    // reply-from words errors itself and keeps ours as the cause.
    const { cause } = error as { cause?: Error & { statusCode?: number } }
    if (cause?.statusCode !== undefined) return reply.send(cause)
    return reply.send(new ResetError(reply.request.upstream?.service ?? '', { cause: error }))
  }
}

/**
 * Finishes the fields that go to the peer. reply-from copies what it is given twice on the way to the transport, so it is
 * given nothing but the forwarding, which has them.
 */
function rewrite (request: Forwarded, headers: IncomingHttpHeaders): Record<string, string> {
  const outgoing = request[FORWARDING]
  if (outgoing === undefined) throw new Error('only reply.forward and proxied routes forward by this instance of reply-from')
  const { extra } = outgoing
  outgoing.fields = passedOn(request, headers, outgoing.exchange.settings.forwarded, extra)
  const host = extra === undefined ? undefined : lowered(extra).get('host')
  // reply-from has put its own base there.
  outgoing.host = typeof host === 'string' ? host : request.headers.host ?? request.headers[':authority'] as string | undefined
  return { [FORWARDING]: outgoing } as unknown as Record<string, string>
}
