import type { FastifyRequest } from 'fastify'

const FORWARDING = /^(?:forwarded|via|cdn-loop|x-forwarded.*|x-original-.*|x-envoy-.*|x-azure-.*|x-real-ip|(?:x-|wl-)?(?:cluster-|true-|fastly-|proxy-)?client-ip|cf-connecting-ip)$/

/**
 * Does the request come from this machine, by no proxy, and for a local name? The name keeps pages of other sites that
 * resolve to this machine out (DNS rebinding), the headers keep out what a proxy on this machine passes on.
 */
export function isLocal (request: FastifyRequest): boolean {
  const { headers } = request.raw
  if (Object.keys(headers).some(name => FORWARDING.test(name))) return false
  const names = namesIn(request)
  return isLoopback(request.socket.remoteAddress ?? '') && names.length > 0 && names.every(isLocalName)
}

/** Whom it is for: all that say so count, for the next one may go by another. By HTTP/2 that is `:authority`, or it stands in the target. */
function namesIn ({ raw: { rawHeaders }, originalUrl }: FastifyRequest): string[] {
  const names = rawHeaders.filter((_, i) => i % 2 === 1 && /^(?:host|:authority)$/i.test(rawHeaders[i - 1] ?? ''))
  const [, name] = /^[a-z][a-z\d+.-]*:\/\/([^/?#]*)/i.exec(originalUrl) ?? []
  return name === undefined ? names : [...names, name]
}

function isLoopback (address: string): boolean {
  return address === '::1' || /^(::ffff:)?127\.\d+\.\d+\.\d+$/.test(address)
}

function isLocalName (host: string): boolean {
  return /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])(:\d+)?$/i.test(host)
}
