/**
 * Traefik's providers for key-value stores: `traefik/http/services/<service>/loadbalancer/servers/<n>/url` and, since
 * version 3, `…/weight`, each a plain text. Several keys make one peer, which is there once its url is. Everything else
 * that a service may have there (`healthcheck/…`, `sticky/…`, other kinds of service) names no peer.
 *
 * Traefik takes keys in any case; here a server's are read in the two spellings of its documentation, `loadbalancer` and
 * `loadBalancer`, so that no two keys can be the same field of one server.
 */
import { checkService } from './address.js'
import { IGNORED } from './decoded.js'
import { FIELDS } from './fields.js'
import type { Input } from './input.js'
import { readPeer } from './peer-reader.js'
import { messageOf, shown } from './plain-data.js'
import { decodeSettings } from './plain.js'
import type { Decoded, Part, Registration } from './registration.js'
import { parseUrl, withUrl } from './url.js'

/** Server, service, field. */
const SERVER = /^((.+)\/load[bB]alancer\/servers\/[^/]+)\/(url|weight)$/s
/** Few keys end so; the others need no longer look. */
const LAST = /\/(?:url|weight)$/
const OTHER = /\/(?:loadbalancer|weighted|mirroring|failover)\/[^:]*$/i

/**
 * Whether a key is in this layout. A server's is, whatever its value: what a key is a part of must not hang on that.
 * For the others an object is none of Traefik's plain texts.
 */
export function isTraefik ({ object, path }: Input): boolean {
  return (LAST.test(path) && SERVER.test(path)) || (object === undefined && OTHER.test(path))
}

/** The previous good value of a bad part is known to whoever puts the parts together, so nothing stands in here. */
function partOf <T> (read: () => T): { readonly value: T | undefined, readonly errors: readonly string[] } {
  try {
    return Object.freeze({ value: read(), errors: Object.freeze([]) })
  } catch (thrown) {
    return Object.freeze({ value: undefined, errors: Object.freeze([messageOf(thrown)]) })
  }
}

function readUrl (input: Input, service: string): Registration {
  const url = parseUrl(input.entry.value.trim())
  return readPeer(input, service, url.address, withUrl({}, url), []).registration
}

function readWeight (text: string): number {
  const weight = FIELDS.weight.read(text)
  if (weight === undefined) throw new Error(`weight: expected ${FIELDS.weight.expected}, got ${shown(text)}`)
  return weight
}

/** Decodes one key; throws when it names no service. */
export function decodeTraefik (input: Input): Decoded {
  const [, server = '', service = '', field = ''] = SERVER.exec(input.path) ?? []
  if (server === '') return OTHER.test(input.path) ? IGNORED : decodeSettings(input)
  const name = checkService(service)
  const part: Part = field === 'url'
    ? { kind: 'part', server, field: 'url', ...partOf(() => readUrl(input, name)) }
    : { kind: 'part', server, field: 'weight', ...partOf(() => readWeight(input.entry.value)) }
  return Object.freeze(part)
}
