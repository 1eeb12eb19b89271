import { Readable } from 'node:stream'
import type { FastifyReplyFromHooks } from '@fastify/reply-from'
import type { FastifyRequest } from 'fastify'

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
