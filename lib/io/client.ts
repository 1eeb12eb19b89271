import type { IncomingHttpHeaders } from 'node:http'
import { constants } from 'node:http2'
import type { ClientSide } from '../picker/forwarding.js'

/** What Node will send once at most by HTTP/2, and throws at otherwise. */
const SINGLE = new Set(['access-control-allow-credentials', 'access-control-max-age', 'access-control-request-method', 'age',
  'authorization', 'content-encoding', 'content-language', 'content-length', 'content-location', 'content-md5', 'content-range',
  'content-type', 'date', 'dnt', 'etag', 'expires', 'from', 'host', 'if-match', 'if-modified-since', 'if-none-match', 'if-range',
  'if-unmodified-since', 'last-modified', 'location', 'max-forwards', 'proxy-authorization', 'range', 'referer', 'retry-after',
  'tk', 'upgrade-insecure-requests', 'user-agent', 'x-content-type-options'])

/**
 * Makes a peer's fields such as can be sent by HTTP/2: of what may come once the first, of other lists one field
 * (RFC 9110, 5.3). `Set-Cookie` is no list.
 */
export function unrepeat (headers: IncomingHttpHeaders): void {
  for (const [name, value] of Object.entries(headers)) {
    if (Array.isArray(value) && name !== 'set-cookie') headers[name] = SINGLE.has(name) ? value[0] : value.join(', ')
  }
}

/** Ends what cannot be told to its end, so that no client takes it for the whole. */
export function cut (client: ClientSide): void {
  if (client.stream === undefined) client.destroy()
  else client.stream.close(constants.NGHTTP2_INTERNAL_ERROR)
}
