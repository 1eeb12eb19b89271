/** A layout of the user's own, read by a function. What it throws or returns is trusted no more than a value. */
import { addressOf, checkService } from './address.js'
import { IGNORED } from './decoded.js'
import type { Format, Input } from './input.js'
import { readMany } from './many.js'
import { readPeer, type ReadPeer } from './peer-reader.js'
import { isRecord, shown } from './plain-data.js'

/**
 * Reads one key and its value: an array of `{ service, host, port, …fields as in a value }`, or nothing to ignore the
 * key. Synchronous. What it throws, and a bad return, count as a bad value.
 */
export type FormatFunction = (key: string, value: string) => readonly unknown[] | undefined | null

const LAYOUT = ['service', 'host', 'port']

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

/** The format that asks `read`. */
export function customFormat (read: FormatFunction): Format {
  return (input) => {
    const returned = read(input.entry.key, input.entry.value)
    if (returned === undefined || returned === null) return IGNORED
    return readMany(checkReturn(returned), item => readItem(input, item))
  }
}
