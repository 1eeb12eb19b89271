/** A layout of the user's own, read by a function. What it throws or returns is trusted no more than a value. */
import { identityOf } from '../../store/peer.js'
import { checkService, makeAddress, type Address } from './address.js'
import { IGNORED, peers } from './decoded.js'
import type { Format, Input } from './input.js'
import { readPeer, type ReadPeer } from './peer-reader.js'
import { isRecord, shown } from './plain-data.js'
import type { Registration } from './registration.js'

/**
 * Reads one key and its value: an array of `{ service, host, port, …fields as in a value }`, or nothing to ignore the
 * key. Synchronous. What it throws, and a bad return, count as a bad value.
 */
export type FormatFunction = (key: string, value: string) => readonly unknown[] | undefined | null

const LAYOUT = ['service', 'host', 'port']

function addressOf (host: unknown, port: unknown): Address {
  if (typeof host !== 'string') throw new Error(`host: expected a text, got ${shown(host)}`)
  if (typeof port !== 'string' && typeof port !== 'number') throw new Error(`port: expected a number, got ${shown(port)}`)
  const isBareIpv6 = host.includes(':') && !host.startsWith('[')
  return makeAddress(isBareIpv6 ? `[${host}]` : host, String(port))
}

function readItem (input: Input, item: unknown): ReadPeer {
  if (!isRecord(item)) throw new Error(`expected an object with service, host and port, got ${shown(item)}`)
  const { service, host, port } = item
  if (typeof service !== 'string') throw new Error(`service: expected a text, got ${shown(service)}`)
  return readPeer(input, checkService(service), addressOf(host, port), item, LAYOUT)
}

function checkReturn (returned: unknown): readonly unknown[] {
  if (Array.isArray(returned)) return returned
  if (returned instanceof Promise) {
    // Nobody waits for it, so its failure would end the process.
    returned.catch(() => {})
    throw new Error('expected an array, got a promise')
  }
  throw new Error(`expected an array, got ${shown(returned)}`)
}

/** The format that asks `read`; of several registrations of one peer the last counts. */
export function customFormat (read: FormatFunction): Format {
  return (input) => {
    const returned = read(input.entry.key, input.entry.value)
    if (returned === undefined || returned === null) return IGNORED
    const byIdentity = new Map<string, Registration>()
    const errors: string[] = []
    for (const item of checkReturn(returned)) {
      const { registration, errors: bad } = readItem(input, item)
      const identity = `${registration.service} ${identityOf(registration.peer)}`
      if (byIdentity.has(identity)) errors.push(`${identity} is there twice`)
      byIdentity.set(identity, registration)
      errors.push(...bad)
    }
    return peers([...byIdentity.values()], errors)
  }
}
