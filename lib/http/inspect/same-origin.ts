import type { FastifyRequest } from 'fastify'

/**
 * Is this no request that a page of another origin has its visitor's browser send? The header has to be there, which no form
 * and no simple request can bring; what a browser adds about where the request comes from has to be this very origin.
 */
export function isOwn (request: FastifyRequest): boolean {
  const { 'x-upstreams-action': action, 'sec-fetch-site': site, origin } = request.headers
  if (action === undefined || (site !== undefined && site !== 'same-origin')) return false
  return origin === undefined || isOrigin(origin, request)
}

/**
 * Would a page of another origin read the answer? A browser lets it when the application allows all origins (CORS), which it
 * may do for its own routes and not for what only this machine is to see.
 */
export function isForeignRead (request: FastifyRequest): boolean {
  const { method, headers: { origin } } = request
  return (method === 'GET' || method === 'HEAD') && origin !== undefined && !isOrigin(origin, request)
}

function isOrigin (origin: string, { protocol, host }: FastifyRequest): boolean {
  try {
    const url = new URL(origin)
    // Whoever ends TLS in front of us leaves us with http where the page came by https, but never the other way round.
    const isScheme = url.protocol === 'https:' || (url.protocol === 'http:' && protocol === 'http')
    return isScheme && url.origin === origin.toLowerCase() && url.host === new URL(`${url.protocol}//${host}`).host
  } catch {
    // `null`, two of them, and whatever else is none.
    return false
  }
}
