import type { ServerResponse } from 'node:http'
import { Readable } from 'node:stream'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { ResetError } from '../../errors.js'
import type { Exchange } from '../../picker/exchange.js'
import { whyNot, type Answered, type ClientStream, type Fields, type Forwarding, type Upgrade } from '../../picker/forwarding.js'
import type { Trace } from '../../picker/tracing.js'
import { unparsed, writtenBody, type Written } from './body.js'
import { DEBUG_HEADER, debugHeader } from './debug-header.js'
import type { ForwardingOptions } from './forwarding-options.js'
import { lowered, passedOn } from './headers.js'
import { setCookie } from './sticky.js'

/** Where a response keeps what it is the response to. */
export const OUTGOING = Symbol('fastify-upstream-etcd.outgoing')

/** A client's response, by HTTP/1 or by HTTP/2. */
export type Raw = ServerResponse & { [OUTGOING]?: Outgoing, readonly stream?: ClientStream }

/** One forwarding of a client's request: what goes to the peer, and how the answer comes to the reply. */
export class Outgoing implements Forwarding {
  readonly exchange: Exchange
  readonly startedAt: number
  readonly method: string
  target = '/'
  fields: Fields = []
  host: string | undefined = undefined
  body: Forwarding['body'] = null
  readonly client: Raw
  readonly asStream: boolean
  readonly upgrade: Upgrade | null
  stop: Forwarding['stop'] = null
  answer: Forwarding['answer'] = null
  broken: number | null = null
  /** Null while nobody traces. */
  trace: Trace | null = null
  /** The same client request, forwarded before to no avail. */
  readonly previous: Outgoing | undefined
  readonly #reply: FastifyReply
  readonly #options: ForwardingOptions
  readonly #now: () => number
  #written: Written | null = null

  constructor (exchange: Exchange, reply: FastifyReply, options: ForwardingOptions, upgrade: Upgrade | null, startedAt: number, now: () => number) {
    const { raw, request }: { raw: Raw, request: FastifyRequest } = reply
    this.exchange = exchange
    this.startedAt = startedAt
    this.method = request.raw.method ?? 'GET'
    this.client = raw
    this.asStream = options.onResponse !== undefined
    this.upgrade = upgrade !== null && exchange.settings.debugHeader ? this.#telling(upgrade) : upgrade
    this.previous = raw[OUTGOING]
    this.#reply = reply
    this.#options = options
    this.#now = now
  }

  /** Takes the request's body. Returns why it cannot be sent, or null. */
  load (): Error | null {
    const { request } = this.#reply
    if (request.body instanceof Readable) this.body = request.body
    else if (request.body === undefined) this.body = unparsed(request, this.previous?.body ?? null)
    else {
      try {
        this.#written = writtenBody(request)
      } catch (error) {
        return error as Error
      }
      this.body = this.#written?.bytes ?? null
    }
    return this.body instanceof Readable ? whyNot(this.body) : null
  }

  /** It is to go to this target, with the request's own fields as the options say. */
  address (target: string): void {
    const { request } = this.#reply
    const { headers } = this.#options
    this.target = target
    this.fields = passedOn(request, this.exchange.settings.forwarded, headers, this.#written)
    const host = headers === undefined ? undefined : lowered(headers).get('host')
    this.host = typeof host === 'string' ? host : request.headers.host ?? request.headers[':authority'] as string | undefined
  }

  answered (statusCode: number, headers: Answered, body: AsyncIterable<unknown> | Uint8Array): void {
    const reply = this.#reply
    // Somebody else has answered meanwhile.
    if (reply.sent) return this.answer?.discard()
    for (const name in headers) reply.header(name, headers[name])
    reply.code(statusCode)
    if (this.exchange.settings.debugHeader) reply.header(DEBUG_HEADER, this.#debug(statusCode))
    this.keep(statusCode)
    const { onResponse } = this.#options
    if (onResponse === undefined || !(body instanceof Readable)) reply.send(body)
    else this.#tell(onResponse, statusCode, headers, body)
  }

  /** The client is to come back to the peer whose answer this is, and says by its cookie whether it knows. */
  keep (statusCode: number): void {
    const { service, settings: { sticky }, home, state, upstream: { attempts } } = this.exchange
    // The answer of an earlier attempt stands when later ones came to nothing: its peer is none to stay with.
    if (sticky === false || state === null || state === home || attempts.at(-1)?.status !== statusCode) return
    this.#reply.header('set-cookie', setCookie(service, sticky, state, this.#reply.request))
  }

  failed (error: Error & { statusCode?: number }): void {
    this.trace?.failed(error)
    if (this.#reply.sent) return
    if (this.exchange.settings.debugHeader) this.#reply.header(DEBUG_HEADER, this.#debug(null))
    this.#reply.send(error.statusCode === undefined ? new ResetError(this.exchange.service.name, { cause: error }) : error)
  }

  #debug (statusCode: number | null): string {
    return debugHeader(this.exchange.upstream, statusCode, this.#now() - this.startedAt)
  }

  /** A 101 has its fields by another way. */
  #telling (upgrade: Upgrade): Upgrade {
    return {
      protocol: upgrade.protocol,
      accept: (protocol, fields) => upgrade.accept(protocol, { ...fields, [DEBUG_HEADER]: this.#debug(101) })
    }
  }

  /**
   * What a caller's `onResponse` throws is thrown far from Fastify, and what it rejects with reaches nobody,
   * unless it is sent as its error here.
   */
  #tell (onResponse: NonNullable<ForwardingOptions['onResponse']>, statusCode: number, headers: Answered, stream: Readable): void {
    const reply = this.#reply
    const failed = (error: unknown): void => {
      stream.destroy()
      reply.send(error)
    }
    try {
      const told = onResponse(reply.request, reply, { statusCode, headers, stream })
      // What cannot be sent because of what was sent before ends the response.
      if (told instanceof Promise) told.catch(failed).catch(() => { reply.raw.destroy() })
    } catch (error) {
      failed(error)
    }
  }
}
