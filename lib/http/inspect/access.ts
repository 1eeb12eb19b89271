import type { FastifyRequest } from 'fastify'

const FORWARDING = /^(?:forwarded|via|cdn-loop|x-forwarded.*|x-original-.*|x-envoy-.*|x-azure-.*|x-real-ip|(?:x-|wl-)?(?:cluster-|true-|fastly-|proxy-)?client-ip|cf-connecting-ip)$/

/**
 * Does the request come from this machine, by no proxy, and for a local name? The name keeps pages of other sites that
 * resolve to this machine out (DNS rebinding), the headers keep out what a proxy on this machine passes on.
 */
export function isLocal (request: FastifyRequest): boolean {
  const { headers } = request.raw
  if (Object.keys(headers).some(name => FORWARDING.test(name))) return false
  // By HTTP/2 `:authority` says it; where both are there, both count.
  const names = [headers.host, headers[':authority']].filter(name => name !== undefined)
  return isLoopback(request.socket.remoteAddress ?? '') && names.length > 0 && names.every(name => isLocalName(String(name)))
}

function isLoopback (address: string): boolean {
  return address === '::1' || /^(::ffff:)?127\.\d+\.\d+\.\d+$/.test(address)
}

function isLocalName (host: string): boolean {
  return /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])(:\d+)?$/i.test(host)
}
