import type { IncomingMessage } from 'node:http'
import { stringify } from 'node:querystring'

/** The path and the query of a request, as they came. */
export interface Target {
  readonly path: string
  /** With its `?`, or empty. */
  readonly query: string
}

/** A URL's scheme and authority, when the request line named a whole URL (RFC 9112, 3.2.2). */
const ABSOLUTE = /^([a-z][a-z0-9+.-]*):\/\/([^/?#]*)/i

/** What was asked for. A fragment is no part of a request and is left out. */
export function targetOf ({ raw: { url = '/' } }: { raw: Pick<IncomingMessage, 'url'> }): Target {
  let asked = url.startsWith('/') ? url : url.replace(ABSOLUTE, '')
  const fragment = asked.indexOf('#')
  if (fragment !== -1) asked = asked.slice(0, fragment)
  if (asked !== '' && asked[0] !== '/' && asked[0] !== '?') throw Object.assign(new Error('the target names no path'), { statusCode: 400 })
  return split(asked)
}

/** `path?query` in two; an empty path is `/`. */
export function split (target: string): Target {
  const query = target.indexOf('?')
  if (query === -1) return { path: target === '' ? '/' : target, query: '' }
  return { path: query === 0 ? '/' : target.slice(0, query), query: target.slice(query) }
}

/** A query that a caller gave, with its `?`; empty for an empty one. */
export function queryFrom (query: string | Record<string, unknown>): string {
  const text = typeof query === 'string' ? query.replace(/^\?/, '') : stringify(query as Record<string, string>)
  return text === '' ? '' : `?${escaped(text)}`
}

/** A target written by hand: what may not stand in a request line is escaped, the rest stays. */
export function escaped (text: string): string {
  return text.replace(/[^\x21-\x7e]+/g, encodeURIComponent)
}

/**
 * Throws for a path that could lead out of its prefix once somebody decodes it: `..` beside a slash or a backslash in
 * any encoding, a backslash itself, which URL parsers take for a slash, and escapes that mean no character. It refuses
 * all that reply-from refuses.
 */
export function refuseTraversal (path: string): void {
  const decoded = path.includes('%') ? decodeURIComponent(path) : path
  if (path.includes('\\') || (decoded.includes('..') && /[\\/]\.\.|\.\.[\\/]/.test(decoded))) {
    throw Object.assign(new Error('the path cannot be forwarded'), { statusCode: 400 })
  }
}

/**
 * Throws (400) for more than one Host, of which the next server may believe another (RFC 9112, 3.2). The authority of a
 * whole URL is one too: it would have to take the place of a Host that differs (3.2.2), which the router has believed.
 */
export function refuseTwoHosts ({ raw: { rawHeaders, headers: { host }, url = '/' } }: { raw: Pick<IncomingMessage, 'rawHeaders' | 'headers' | 'url'> }): void {
  let hosts = 0
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] as string
    if (name.length === 4 && name.toLowerCase() === 'host' && ++hosts > 1) throw twoHosts()
  }
  if (url.startsWith('/') || host === undefined) return
  const [, scheme = '', authority = ''] = ABSOLUTE.exec(url) ?? []
  if (scheme !== '' && plain(authority, scheme) !== plain(host, scheme)) throw twoHosts()
}

function twoHosts (): Error {
  return Object.assign(new Error('more than one Host'), { statusCode: 400 })
}

/** An authority in lower case and without the port that its scheme implies. */
function plain (authority: string, scheme: string): string {
  return authority.toLowerCase().replace(/s$/i.test(scheme) ? /:(?:443)?$/ : /:(?:80)?$/, '')
}
