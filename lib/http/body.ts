import { Readable } from 'node:stream'
import type { FastifyReplyFromHooks } from '@fastify/reply-from'
import type { FastifyRequest } from 'fastify'
import type { Forwarding } from '../picker/forwarding.js'

type Body = Required<Pick<FastifyReplyFromHooks, 'body' | 'contentType'>>

/**
 * How a parsed body goes on. JSON is written again, `null` and `false` included; text, bytes and streams reply-from
 * passes on by itself, which is `undefined` here. Throws for a body that was parsed to something else.
 */
export function bodyOf ({ body, headers }: FastifyRequest): Body | undefined {
  if (body === undefined || body instanceof Readable) return undefined
  const contentType = headers['content-type'] ?? ''
  if (/^application\/(?:[^;]+\+)?json\b/i.test(contentType)) return { body: JSON.stringify(body), contentType }
  if (typeof body !== 'object' || body === null || body instanceof Uint8Array) return undefined
  throw new Error(`a parsed body of type "${contentType}" cannot be forwarded; JSON, text, bytes and streams can`)
}

/** A request of HTTP/1 or of HTTP/2. */
type Raw = FastifyRequest['raw'] & { readonly stream?: { readonly endAfterHeaders: boolean } }

/**
 * The body that Fastify has not looked at: of a method for which it does not, of a type that it was not told, or because a
 * hook forwards before it would. Null when there is none, or when somebody has read it who is not `taken`: that it is
 * not wanted is then his to say.
 */
export function unparsed ({ body, raw }: FastifyRequest, taken: Forwarding['body']): Forwarding['body'] {
  if (body !== undefined || !hasBody(raw)) return null
  return raw.readableDidRead && taken !== raw ? null : raw
}

function hasBody ({ headers, stream }: Raw): boolean {
  // By HTTP/2 a body need not be announced.
  if (stream !== undefined) return !stream.endAfterHeaders
  const length = headers['content-length']
  return (length !== undefined && length !== '0') || headers['transfer-encoding'] !== undefined
}
