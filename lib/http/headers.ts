import type { FastifyRequest } from 'fastify'
import type { Fields } from '../picker/forwarding.js'

/**
 * Headers that belong to one connection (RFC 9110, 7.6.1) and are ours to speak on the next one. Those that `Connection`
 * names and `Connection` itself reply-from takes out of requests; `Expect` is answered by Node before we see the request.
 */
const HOP_BY_HOP = ['transfer-encoding', 'keep-alive', 'proxy-connection', 'te', 'trailer', 'upgrade', 'expect', 'http2-settings'] as const

/** Takes out of a request's headers what must not be passed on. */
export function stripRequest (headers: Fields): void {
  for (const name of HOP_BY_HOP) if (headers[name] !== undefined) headers[name] = undefined
}

/** Takes out of a response's headers what must not be passed on, and what its `Connection` names. */
export function stripResponse (headers: Fields): Fields {
  const { connection } = headers
  if (connection !== undefined) {
    for (const name of String(connection).toLowerCase().split(',')) delete headers[name.trim()]
    delete headers.connection
  }
  for (const name of ['keep-alive', 'proxy-connection', 'upgrade', 'te']) if (headers[name] !== undefined) delete headers[name]
  return headers
}

/**
 * Appends this hop to X-Forwarded-For, and sets X-Forwarded-Proto and -Host. What the client sent of them counts only
 * when Fastify's `trustProxy` trusts it: then Fastify's own view of the request already includes it.
 */
export function setForwarded (request: FastifyRequest, headers: Fields): void {
  const address = request.socket.remoteAddress ?? ''
  const before = headers['x-forwarded-for']
  // Fastify lists more than the socket's own address exactly when it trusts whoever is behind the socket.
  const trusted = before !== undefined && request.ips !== undefined && request.ips.length > 1
  if (!trusted) for (const name of Object.keys(headers)) if (name.startsWith('x-forwarded-')) headers[name] = undefined
  headers['x-forwarded-for'] = trusted ? [before, address].flat().filter(hop => hop !== '').join(', ') : address
  headers['x-forwarded-proto'] = request.protocol
  headers['x-forwarded-host'] = request.host
}
