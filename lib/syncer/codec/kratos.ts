/**
 * go-kratos, as its etcd registrar writes it: `/microservices/<name>/<id>`, the value
 * `{"id","name","version","metadata":{…},"endpoints":["http://10.0.0.5:8000?isSecure=false","grpc://10.0.0.5:9000"]}`.
 * The `http` and `https` endpoints are peers, the others are not for us. `metadata` is their `Metadata`; that is where
 * kratos itself looks for a weight.
 */
import { checkService, splitPath } from './address.js'
import { METADATA } from './fields.js'
import type { Input } from './input.js'
import { readMany } from './many.js'
import { readPeer, type ReadPeer } from './peer-reader.js'
import { shown } from './plain-data.js'
import { decodeOther } from './plain.js'
import type { Decoded } from './registration.js'
import { parseUrl, schemeOf, withUrl } from './url.js'

const LAYOUT = ['endpoints', 'metadata']
/** An instance has one for each transport. All that is said of it is repeated for each, so there must not be many. */
const MAX_ENDPOINTS = 16
const IS_SECURE = /[?&]isSecure=true(?:&|$)/i

/**
 * Whether a value is in this form: a list of texts, `endpoints`. Under a key with an address that may be a free field of
 * a plain peer, so there it needs the `name` too, which kratos always writes.
 */
export function isKratos ({ object, path }: Input): boolean {
  const endpoints = object?.endpoints
  const isNamed = typeof object?.name === 'string'
  if (endpoints === null) return isNamed
  if (!Array.isArray(endpoints) || (endpoints.length > 0 && typeof endpoints[0] !== 'string')) return false
  return isNamed || !splitPath(path).segment.includes(':')
}

function isHttp (endpoint: unknown): endpoint is string {
  if (typeof endpoint !== 'string') throw new Error(`endpoints: expected texts, got ${shown(endpoint)}`)
  const scheme = schemeOf(endpoint)
  if (scheme === undefined) throw new Error(`endpoints: expected URLs, got ${shown(endpoint)}`)
  return scheme === 'http' || scheme === 'https'
}

function readEndpoint (input: Input, service: string, endpoint: string, value: Record<string, unknown>): ReadPeer {
  // What follows the `?` is for kratos only.
  const bare = endpoint.replace(/\?.*/s, '')
  const url = parseUrl(IS_SECURE.test(endpoint) ? bare.replace(/^http:/i, 'https:') : bare)
  return readPeer(input, service, url.address, withUrl(value, url), LAYOUT)
}

/** Decodes one entry; throws when nothing can be made of it. */
export function decodeKratos (input: Input): Decoded {
  const { object, path } = input
  if (object === undefined || object.endpoints === undefined) return decodeOther(input, 'endpoints')
  const service = checkService(splitPath(path).service)
  // Go writes null for a list that was never made.
  const endpoints = object.endpoints ?? []
  if (!Array.isArray(endpoints)) throw new Error(`endpoints: expected a list, got ${shown(endpoints)}`)
  if (endpoints.length > MAX_ENDPOINTS) throw new Error(`endpoints: ${endpoints.length} are more than ${MAX_ENDPOINTS}`)
  const value = { ...object, [METADATA]: object.metadata }
  return readMany(endpoints.filter(isHttp), endpoint => readEndpoint(input, service, endpoint, value))
}
