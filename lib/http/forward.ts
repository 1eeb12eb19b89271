import type { IncomingHttpHeaders } from 'node:http'
import replyFrom, { type FastifyReplyFromHooks, type FastifyReplyFromOptions } from '@fastify/reply-from'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { NotReadyError, ResetError, ShedError, UnknownServiceError } from '../errors.js'
import { CLIENT_CLOSED } from '../logger/outcome.js'
import { EXCHANGE, Exchange, type Upstream } from '../picker/exchange.js'
import { bodyOf } from './body.js'
import { checkForwarding, type ForwardingOptions } from './forwarding-options.js'
import type { Gateway } from './gateway.js'
import { setForwarded, stripRequest, stripResponse } from './headers.js'
import { pathOf } from './target.js'

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
type Forwarded = FastifyRequest & { [EXCHANGE]?: Exchange, extraHeaders?: ForwardingOptions['headers'] }

/** One name for all services, so that reply-from's URL cache does not grow with the peers. Nothing connects to it. */
const BASE = 'http://upstream'

/** Forwards requests through reply-from; the transport behind it picks the peers. */
export class Forwarder {
  readonly #gateway: Gateway
  readonly #from: From

  constructor (gateway: Gateway, from: From) {
    this.#gateway = gateway
    this.#from = from
  }

  /** What `reply.forward` does: `forward`, for options that a user wrote. Bad ones are thrown. */
  asked (request: FastifyRequest, reply: FastifyReply, name: string, options: ForwardingOptions = {}): FastifyReply {
    checkForwarding(options)
    return this.forward(request, reply, name, options)
  }

  /** Sends `request` on to a peer of `name`. A refusal is sent as an error, nothing is thrown. */
  forward (request: FastifyRequest, reply: FastifyReply, name: string, options: ForwardingOptions): FastifyReply {
    const { store, picker, registry } = this.#gateway
    const service = store.get(name)
    if (service === undefined) {
      // A function of the user's may have given anything.
      const asked = String(name)
      return reply.send(registry.synced ? new UnknownServiceError(asked) : new NotReadyError(asked))
    }
    const exchange = new Exchange(service, options.timeout ?? service.settings.timeouts.total)
    request.upstream = exchange.upstream
    // Who left before we came here is counted, and no peer hears of it.
    if (reply.raw.destroyed) {
      this.#gateway.logger.request(service, CLIENT_CLOSED, 0, this.#gateway.now())
      return reply.hijack()
    }
    this.#account(reply, exchange)
    if (picker.refuses(service)) return reply.send(new ShedError(name))
    const forwarded: Forwarded = request
    forwarded[EXCHANGE] = exchange
    forwarded.extraHeaders = options.headers
    const fromOptions = optionsFor(options, bodyOf(request))
    const path = options.path ?? pathOf(request)
    try {
      // URL parsers take a backslash for a slash, and reply-from looks for `..` before they do.
      if (path.includes('\\')) throw new Error('a backslash in the path')
      return this.#from.call(reply, path, fromOptions)
    } catch (error) {
      // reply-from throws for a path that it will not forward, and does not always say whose fault that is.
      return reply.send(Object.assign(new Error('the path cannot be forwarded', { cause: error }), { statusCode: 400 }))
    }
  }

  /** Counts the client request once it is over, and stops what is under way when the client leaves. */
  #account (reply: FastifyReply, exchange: Exchange): void {
    const { logger, now } = this.#gateway
    const startedAt = now()
    let counted = false
    const count = (status: number): void => {
      if (counted) return
      counted = true
      const at = now()
      logger.request(exchange.service, status, at - startedAt, at)
    }
    reply.raw.once('finish', () => count(reply.raw.statusCode))
    reply.raw.once('close', () => {
      if (!counted) exchange.stop?.('aborted')
      count(CLIENT_CLOSED)
    })
  }
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
function optionsFor ({ query, onResponse }: ForwardingOptions, body: ReturnType<typeof bodyOf>): FastifyReplyFromHooks {
  if (query === undefined && onResponse === undefined && body === undefined) return plain
  return {
    ...plain,
    ...body,
    ...(onResponse === undefined ? {} : { onResponse: caught(onResponse) }),
    ...(query === undefined ? {} : { queryString: typeof query === 'string' ? () => query.replace(/^\?/, '') : query })
  }
}

/** What a caller's `onResponse` throws is thrown into undici, far from Fastify, unless it is sent as its error here. */
function caught (onResponse: NonNullable<ForwardingOptions['onResponse']>): NonNullable<ForwardingOptions['onResponse']> {
  return (request, reply, response) => {
    try {
      onResponse(request, reply, response)
    } catch (error) {
      response.stream.destroy()
      reply.send(error)
    }
  }
}

const plain: FastifyReplyFromHooks = {
  // Its own retries would go to the same target; ours are in the transport.
  retryDelay: () => null,
  rewriteRequestHeaders: (request, headers) => rewrite(request as Forwarded, headers as IncomingHttpHeaders),
  rewriteHeaders: headers => stripResponse(headers as IncomingHttpHeaders),
  onError: (reply, { error }) => {
    // reply-from words errors itself and keeps ours as the cause.
    const { cause } = error as { cause?: Error & { statusCode?: number } }
    if (cause?.statusCode !== undefined) return reply.send(cause)
    return reply.send(new ResetError(reply.request.upstream?.service ?? '', { cause: error }))
  }
}

function rewrite (request: Forwarded, headers: IncomingHttpHeaders & { [EXCHANGE]?: Exchange | undefined }): IncomingHttpHeaders {
  const exchange = request[EXCHANGE]
  stripRequest(headers)
  headers.host = request.headers.host ?? request.headers[':authority'] as string | undefined
  if (exchange?.settings.forwarded === true) setForwarded(request, headers)
  if (request.extraHeaders !== undefined) {
    for (const [name, value] of Object.entries(request.extraHeaders)) headers[name.toLowerCase()] = value
  }
  headers[EXCHANGE] = exchange
  return headers
}
