import { shown } from './plain-data.js'

/** Where a peer listens. All three parts are canonical: what is equal is spelled equally. */
export interface Address {
  /** IPv4, IPv6 without brackets, or a name in lower case. */
  readonly host: string
  readonly port: number
  /** `host:port`, IPv6 in brackets. */
  readonly id: string
}

const OCTET = '(?:25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)'
const IPV4 = new RegExp(`^${OCTET}(?:\\.${OCTET}){3}$`)
const IPV6 = /^\[[0-9a-f:.]{2,45}\]$/i
const LABEL = '[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?'
/** Tested against the text as it came: lower-casing turns the Kelvin sign, for one, into an ASCII letter. */
const NAME = new RegExp(`^${LABEL}(?:\\.${LABEL})*$`, 'i')
/** Such a host is meant as IPv4, never as a name. */
const ENDS_IN_NUMBER = /(?:^|\.)\d+$/
const PORT = /^[1-9]\d{0,4}$/
const MAX_NAME = 253
const MAX_PORT = 65535
/** Control characters, and halves of characters, which cannot be put into a URL. */
const UNPRINTABLE = /[\p{Cc}\p{Cs}]/u

/** Whether the text holds a control character or half a character. */
export function hasControl (text: string): boolean {
  return UNPRINTABLE.test(text)
}

/** Gives the name back, or throws: a service's name is not empty and holds no control characters. */
export function checkService (name: string): string {
  if (name === '') throw new Error('no service in the key')
  if (hasControl(name)) throw new Error(`control character in the service name ${shown(name)}`)
  return name
}

/** A key without its prefix, cut at the last `/`; without one, `service` is empty. */
export function splitPath (path: string): { readonly service: string, readonly segment: string } {
  const slash = path.lastIndexOf('/')
  return { service: path.slice(0, Math.max(slash, 0)), segment: path.slice(slash + 1) }
}

/** Reads `host:port`. Throws, with what is wrong as message. */
export function parseAddress (text: string): Address {
  const colon = text.lastIndexOf(':')
  if (colon < 0) throw new Error(`bad address ${shown(text)}: no port`)
  return makeAddress(text.slice(0, colon), text.slice(colon + 1))
}

/** An address of its parts, IPv6 in brackets. Throws, with what is wrong as message. */
export function makeAddress (hostText: string, portText: string): Address {
  const port = PORT.test(portText) ? Number(portText) : Infinity
  if (port > MAX_PORT) throw new Error(`bad port ${shown(portText)}: expected 1 to ${MAX_PORT}`)
  const host = canonicalHost(hostText)
  return { host: host.startsWith('[') ? host.slice(1, -1) : host, port, id: `${host}:${port}` }
}

/** An address of two fields of a value; IPv6 may come without brackets. Throws, with what is wrong as message. */
export function addressOf (host: unknown, port: unknown): Address {
  if (typeof host !== 'string') throw new Error(`host: expected a text, got ${shown(host)}`)
  if (typeof port !== 'string' && typeof port !== 'number') throw new Error(`port: expected a number, got ${shown(port)}`)
  return makeAddress(bracketed(host), String(port))
}

/** A host as it stands in an address: IPv6 in brackets. */
export function bracketed (host: string): string {
  return host.includes(':') && !host.startsWith('[') ? `[${host}]` : host
}

/** Whether the text is `host:port`. */
export function isAddress (text: string): boolean {
  // Most that are none have no port: an error thrown for each would be dear.
  if (!text.includes(':')) return false
  try {
    return parseAddress(text).id !== ''
  } catch {
    return false
  }
}

function canonicalHost (text: string): string {
  const host = text.toLowerCase()
  if (host.includes(':')) return canonicalIpv6(host)
  if (IPV4.test(host)) return host
  if (ENDS_IN_NUMBER.test(host)) throw new Error(`bad host ${shown(text)}: not an IPv4 address`)
  // The URL parser has the last word: it knows bad punycode, and takes hexadecimal numbers for IPv4.
  if (text.length > MAX_NAME || !NAME.test(text) || hostnameOf(host) !== host) {
    throw new Error(`bad host ${shown(text)}: not a host name`)
  }
  return host
}

function canonicalIpv6 (host: string): string {
  const canonical = IPV6.test(host) ? hostnameOf(host) : ''
  if (canonical === '') throw new Error(`bad host ${shown(host)}: not an IPv6 address in brackets`)
  return canonical
}

function hostnameOf (host: string): string {
  try {
    return new URL(`http://${host}`).hostname
  } catch {
    return ''
  }
}
