/**
 * etcd's own naming form, as its Go client writes it: `<service>/<any>`, the value
 * `{"Op":0,"Addr":"host:port","Metadata":…}`.
 */
import { checkService, parseAddress, splitPath } from './address.js'
import { invalid, peers } from './decoded.js'
import type { Input } from './input.js'
import { readPeer } from './peer-reader.js'
import { decodeOther } from './plain.js'
import { shown } from './plain-data.js'
import type { Decoded } from './registration.js'

const LAYOUT = ['Op', 'Addr', 'addr']

/**
 * Whether a value is in this form: it has a text `Addr`, or a text `addr` under a key that has no address itself
 * (under one that has, `addr` may be any free field).
 */
export function isGrpc ({ object, path }: Input): boolean {
  if (typeof object?.Addr === 'string') return true
  return typeof object?.addr === 'string' && !splitPath(path).segment.includes(':')
}

/** Decodes one entry; throws when nothing can be made of it. */
export function decodeGrpc (input: Input): Decoded {
  const { object } = input
  const { service } = splitPath(input.path)
  const op = object?.Op ?? 0
  if (op !== 0) return invalid(`Op ${shown(op)} is not a registration`)
  const addr = object?.Addr ?? object?.addr
  if (object === undefined || addr === undefined || addr === null) return decodeOther(input, 'Addr')
  if (typeof addr !== 'string') throw new Error(`Addr: expected "host:port", got ${shown(addr)}`)
  const { registration, errors } = readPeer(input, checkService(service), parseAddress(addr), object, LAYOUT)
  return peers([registration], errors)
}
