import type { Readable } from 'node:stream'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { BadOptionError, OptionsError } from '../../errors.js'
import type { RetryOptions } from '../../options/types.js'

/** A peer's response as `onResponse` is given it. */
export interface PeerResponse {
  readonly statusCode: number
  /** By names in lower case. */
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly stream: Readable
}

/** What `reply.forward` may be told beside the service. */
export interface ForwardingOptions {
  /** The path at the peer; default: the request's own URL. May carry a query. */
  path?: string
  /** The query at the peer; default: the request's own. */
  query?: string | Record<string, unknown>
  /** Set, replaced, or with `undefined` removed on the way to the peer. */
  headers?: Record<string, string | string[] | undefined>
  /** What the `hash` balancer hashes; other balancers do not look at it. */
  key?: string
  /** Bound of all attempts together, up to response headers, ms; default `timeouts.total`. */
  timeout?: number
  /** Laid over the service's own `retry`; `false` for one attempt. Read once for each object: use it again rather than change it. */
  retry?: RetryOptions | false
  /** Called instead of sending the response, as by @fastify/reply-from: status and headers are in `reply`, `stream` is to be read. */
  onResponse?: (request: FastifyRequest, reply: FastifyReply, response: PeerResponse) => unknown
}

const isObject = (value: unknown): boolean => typeof value === 'object' && value !== null

const CHECKS: Readonly<Record<string, readonly [expected: string, isGood: (value: unknown) => boolean]>> = {
  path: ['a string that begins with "/" and holds no control characters', value => typeof value === 'string' && /^\/\P{Cc}*$/u.test(value)],
  query: ['a string or an object', value => typeof value === 'string' || isObject(value)],
  headers: ['an object', isObject],
  key: ['a string', value => typeof value === 'string'],
  timeout: ['a number from 1 to 2147483647 (ms)', value => typeof value === 'number' && value >= 1 && value <= 2 ** 31 - 1],
  // What is in it is looked at together with what it is laid over.
  retry: ['an object or false', value => value === false || isObject(value)],
  onResponse: ['a function', value => typeof value === 'function']
}

/** Throws FST_UPSTREAM_BAD_OPTION for what `reply.forward` cannot be told. */
export function checkForwarding (options: ForwardingOptions): void {
  for (const [name, value] of Object.entries(options)) {
    const check = Object.hasOwn(CHECKS, name) ? CHECKS[name] : undefined
    if (check === undefined) throw new OptionsError(`unknown option ${JSON.stringify(name)} of reply.forward, known: ${Object.keys(CHECKS).join(', ')}`)
    if (value !== undefined && !check[1](value)) throw new BadOptionError(name, check[0], value)
  }
}
