import { createHash } from 'node:crypto'
import type { FastifyReply, FastifyRequest } from 'fastify'

/** A tag as RFC 9110 has it; what stands before it and between tags does not matter. */
const TAG = /(?:W\/)?("[\x21\x23-\x7e\x80-\xff]*")/g

/**
 * Tells how what is sent next may be kept, and whether the client has it already: then the answer is 304, and `send` is not
 * called. The tag is weak, for it is of `content` and not of each byte that is sent.
 */
export function sendUnlessKnown (request: FastifyRequest, reply: FastifyReply, content: string, send: () => FastifyReply): FastifyReply {
  const tag = `"${createHash('sha256').update(content).digest('base64url')}"`
  reply.headers({ etag: `W/${tag}`, 'cache-control': 'private, no-cache', vary: varyBy(reply, 'accept') })
  return isKnown(request.headers['if-none-match'], tag) ? reply.code(304).send() : send()
}

/** The value of `vary` by which what is sent also depends on `names`: what somebody has said before stays said. */
export function varyBy (reply: FastifyReply, names: string): string {
  const before: unknown = reply.getHeader('vary')
  return before === undefined ? names : `${String(before)}, ${names}`
}

/** Weak comparison: what stands between the quotes counts. */
export function isKnown (header: string | undefined, tag: string): boolean {
  if (header === undefined) return false
  return header.trim() === '*' || [...header.matchAll(TAG)].some(([, known]) => known === tag)
}
