import type { FastifyRequest } from 'fastify'
import type { Forwarding } from '../../picker/forwarding.js'

/** A body that was parsed, as it goes on. */
export interface Written {
  readonly bytes: Uint8Array | string
  readonly type: string
}

/**
 * A parsed body as it goes on: JSON is written again, `null` and `false` included; text and bytes stay. Null for none.
 * Throws for a body that was parsed to something else.
 */
export function writtenBody ({ body, headers }: FastifyRequest): Written | null {
  const type = headers['content-type'] ?? 'application/octet-stream'
  if (/^application\/(?:[^;]+\+)?json\b/i.test(type)) return { bytes: JSON.stringify(body), type }
  if (body === null || body === '') return null
  if (typeof body === 'string' || body instanceof Uint8Array) return { bytes: body, type }
  throw new Error(`a parsed body of type "${type}" cannot be forwarded; JSON, text, bytes and streams can`)
}

/** A request of HTTP/1 or of HTTP/2. */
type Raw = FastifyRequest['raw'] & { readonly stream?: { readonly endAfterHeaders: boolean } }

/**
 * The body that Fastify has not looked at: of a method for which it does not, of a type that it was not told, or because a
 * hook forwards before it would. Null when there is none, or when somebody has read it who is not `taken`: that it is
 * not wanted is then his to say.
 */
export function unparsed ({ raw }: FastifyRequest, taken: Forwarding['body']): Forwarding['body'] {
  if (!hasBody(raw)) return null
  return raw.readableDidRead && taken !== raw ? null : raw
}

function hasBody ({ headers, stream }: Raw): boolean {
  // By HTTP/2 a body need not be announced.
  if (stream !== undefined) return !stream.endAfterHeaders
  const length = headers['content-length']
  return (length !== undefined && length !== '0') || headers['transfer-encoding'] !== undefined
}
