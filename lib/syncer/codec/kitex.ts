/**
 * CloudWeGo Kitex, as its registry-etcd writes it: `kitex/registry-etcd/<service>/<addr>`, the value
 * `{"network":"tcp","address":"10.0.0.5:8888","weight":10,"tags":{…}}`. Fields in `tags` count like those of `Metadata`.
 */
import { checkService, parseAddress, splitPath } from './address.js'
import { peers } from './decoded.js'
import { METADATA } from './fields.js'
import type { Input } from './input.js'
import { readPeer } from './peer-reader.js'
import { shown } from './plain-data.js'
import { decodeOther } from './plain.js'
import type { Decoded } from './registration.js'

const LAYOUT = ['network', 'address', 'tags']
/** What Kitex balances by when the weight is 0 or less, or not there. */
const DEFAULT_WEIGHT = 10

/** Whether a value is in this form. The key always ends with an address, so only the value can tell. */
export function isKitex ({ object }: Input): boolean {
  return typeof object?.address === 'string' && typeof object.network === 'string'
}

function weightOf (raw: unknown): unknown {
  return typeof raw === 'number' && raw <= 0 ? DEFAULT_WEIGHT : raw
}

/** Decodes one entry; throws when nothing can be made of it. */
export function decodeKitex (input: Input): Decoded {
  const { object, path } = input
  if (object === undefined || object.address === undefined) return decodeOther(input, 'address')
  const { address, tags, weight } = object
  if (typeof address !== 'string') throw new Error(`address: expected "host:port", got ${shown(address)}`)
  const value = { ...object, weight: weightOf(weight), [METADATA]: tags }
  const { registration, errors } = readPeer(input, checkService(splitPath(path).service), parseAddress(address), value, LAYOUT,
    { weight: DEFAULT_WEIGHT })
  return peers([registration], errors)
}
