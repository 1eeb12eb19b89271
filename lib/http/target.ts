import type { FastifyRequest } from 'fastify'

/** The path that was asked for, without its query, also when the request line named a whole URL (RFC 9112, 3.2.2). */
export function pathOf ({ raw: { url = '/' } }: FastifyRequest): string {
  const target = url.startsWith('/') ? url : url.replace(/^[a-z][a-z0-9+.-]*:\/\/[^/?#]*/i, '')
  const query = target.indexOf('?')
  return (query === -1 ? target : target.slice(0, query)) || '/'
}
