/**
 * The package's own layout: `<service>/<host>:<port>`, the value a JSON object of fields, or empty. It also reads what
 * nginx-upsync writes. Where the key has no address, the object is the service's settings.
 */
import { checkService, parseAddress, splitPath } from './address.js'
import { peers, settings } from './decoded.js'
import type { Input } from './input.js'
import { readPeer } from './peer-reader.js'
import { copyRecord } from './plain-data.js'
import type { Decoded } from './registration.js'

/** A key whose last segment has no `:` holds settings, named by all of it. Throws when the value cannot be that. */
export function decodeSettings (input: Input): Decoded {
  const { object, path } = input
  if (object === undefined) throw new Error('no address in the key or the value')
  if (typeof (object.Addr ?? object.addr) === 'string') {
    throw new Error('no address in the key, and Addr is read by the formats grpc and auto only')
  }
  return settings(checkService(path), copyRecord(object))
}

/** For other layouts: a value without what they call `missing` may be settings, where the key is no address. */
export function decodeOther (input: Input, missing: string): Decoded {
  if (!splitPath(input.path).segment.includes(':')) return decodeSettings(input)
  throw new Error(input.problem ?? `no ${missing} in the value`)
}

/** Decodes one entry; throws when nothing can be made of it. */
export function decodePlain (input: Input): Decoded {
  const { service, segment } = splitPath(input.path)
  if (!segment.includes(':')) return decodeSettings(input)
  const address = parseAddress(segment)
  const { registration, errors } = readPeer(input, checkService(service), address, input.object ?? {}, [])
  return peers([registration], input.problem === undefined ? errors : [input.problem])
}
