import type { Scheme } from '../../store/peer.js'
import { makeAddress, type Address } from './address.js'
import { shown } from './plain-data.js'

/** What a URL says of a peer. */
export interface PeerUrl {
  readonly scheme: Scheme
  readonly address: Address
  /** From the first `/` or `?` on, without a fragment; empty when there is nothing more than one `/`. */
  readonly path: string
}

/** Scheme, authority, the rest without a fragment. No two parts can take the same character. */
const FORM = /^([a-z][a-z0-9+.-]*):\/\/([^/?#]*)([^#]*)/i
const PORTS = { http: '80', https: '443' }

/** The port of a scheme for an address that names none. */
export function portOf (scheme: Scheme): string {
  return PORTS[scheme]
}

/** The scheme of a URL in lower case, undefined when the text is none. */
export function schemeOf (text: string): string | undefined {
  return FORM.exec(text)?.[1]?.toLowerCase()
}

/** An address whose port may be missing; `port` is taken then. Throws, with what is wrong as message. */
export function parseAuthority (text: string, port: string): Address {
  // The first colon that is not one of an IPv6 address in brackets.
  const colon = text.indexOf(':', text.lastIndexOf(']') + 1)
  return colon < 0 ? makeAddress(text, port) : makeAddress(text.slice(0, colon), text.slice(colon + 1))
}

/** Reads an `http` or `https` URL; without a port it is 80 or 443. Throws, with what is wrong as message. */
export function parseUrl (text: string): PeerUrl {
  const [, scheme = '', authority = '', rest = ''] = FORM.exec(text) ?? []
  const known = scheme.toLowerCase()
  if (known !== 'http' && known !== 'https') throw new Error(`bad URL ${shown(text)}: expected http:// or https://`)
  return { scheme: known, address: parseAuthority(authority, portOf(known)), path: rest === '/' ? '' : rest }
}

/**
 * The fields of `value` with what the URL says besides the address. Requests are never sent below a URL's path: the
 * path of a request is the client's, so it is only kept in `params`, to be seen.
 */
export function withUrl (value: Record<string, unknown>, { scheme, path }: Pick<PeerUrl, 'scheme' | 'path'>): Record<string, unknown> {
  return path === '' ? { ...value, scheme } : { ...value, scheme, path }
}
