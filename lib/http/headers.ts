import type { IncomingHttpHeaders } from 'node:http'
import type { FastifyRequest } from 'fastify'

/**
 * Headers that belong to one connection (RFC 9110, 7.6.1) and are ours to speak on the next one. Those that `Connection`
 * names and `Connection` itself reply-from takes out; `Expect` is answered by Node before we see the request.
 */
const HOP_BY_HOP = ['keep-alive', 'proxy-connection', 'te', 'trailer', 'upgrade', 'expect', 'http2-settings'] as const
const RESPONSE_HOP_BY_HOP = ['connection', 'keep-alive', 'proxy-connection', 'upgrade'] as const

type MutableHeaders = IncomingHttpHeaders

/** Takes out of a request's headers what must not be passed on. */
export function stripRequest (headers: MutableHeaders): void {
  for (const name of HOP_BY_HOP) if (headers[name] !== undefined) delete headers[name]
}

/** Takes out of a response's headers what must not be passed on. */
export function stripResponse (headers: MutableHeaders): MutableHeaders {
  for (const name of RESPONSE_HOP_BY_HOP) if (headers[name] !== undefined) delete headers[name]
  return headers
}

/**
 * Appends this hop to X-Forwarded-For, and sets X-Forwarded-Proto and -Host. What the client sent of them counts only
 * when Fastify's `trustProxy` trusts it: then Fastify's own view of the request already includes it.
 */
export function setForwarded (request: FastifyRequest, headers: MutableHeaders): void {
  const address = request.socket.remoteAddress
  const before = headers['x-forwarded-for']
  // Fastify lists more than the socket's own address exactly when it trusts whoever is behind the socket.
  const trusted = before !== undefined && request.ips !== undefined && request.ips.length > 1
  if (!trusted) for (const name of Object.keys(headers)) if (name.startsWith('x-forwarded-')) delete headers[name]
  const chain = trusted ? [before, address] : [address]
  headers['x-forwarded-for'] = chain.flat().filter(hop => hop !== undefined && hop !== '').join(', ')
  headers['x-forwarded-proto'] = request.protocol
  headers['x-forwarded-host'] = request.host
}
