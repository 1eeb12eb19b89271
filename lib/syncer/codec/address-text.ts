/**
 * An address as plain text, as several registrars write it: `<service>/<id>`, the value `host:port` or a URL.
 * - registrator: `<service>/<host name>:<container>:<port>` = `10.0.0.5:32768`
 * - go-zero: `<key>/<lease id>` = `10.0.0.5:8080`
 * - go-kit: any key, often `<service>/<host>:<port>`, = `http://10.0.0.5:8080`, or without the scheme
 */
import { checkService, isAddress, parseAddress, splitPath } from './address.js'
import { peers } from './decoded.js'
import type { Input } from './input.js'
import { readPeer } from './peer-reader.js'
import { decodeOther } from './plain.js'
import type { Decoded } from './registration.js'
import { parseUrl, schemeOf, withUrl } from './url.js'

/** No `"` and no `{`, so no JSON that was cut off; what is not an address all the same is told as a bad one. */
const LOOKS_LIKE_ONE = /^(?:https?:\/\/\S+|[\w.:[\]-]+:\d+)$/i

/**
 * Whether a value is in this form. Under a key that names an address itself it never is: there, what is not JSON makes
 * a peer with defaults, and which of two addresses is meant cannot be told. A registrator key is none, for its first
 * colon is followed by a second one.
 */
export function isAddressText ({ entry, object, path }: Input): boolean {
  if (object !== undefined || !LOOKS_LIKE_ONE.test(entry.value.trim())) return false
  return !isAddress(splitPath(path).segment)
}

/** Decodes one entry; throws when nothing can be made of it. */
export function decodeAddressText (input: Input): Decoded {
  if (input.object !== undefined) return decodeOther(input, 'address')
  const text = input.entry.value.trim()
  const service = checkService(splitPath(input.path).service)
  const isUrl = schemeOf(text) !== undefined
  const url = isUrl ? parseUrl(text) : { scheme: 'http' as const, address: parseAddress(text), path: '' }
  const { registration, errors } = readPeer(input, service, url.address, withUrl({}, url), [])
  return peers([registration], errors)
}
