import { isUtf8 } from 'node:buffer'
import type { IKeyValue } from 'etcd3'
import type { Entry } from '../../syncer/source.js'

/** Values over this many bytes are not looked at. */
const MAX_VALUE = 65_536

/** All keys below `prefix`, which ends in a slash: etcd wants the first key and the first one after. */
export function rangeOf (prefix: string): { key: Buffer, range_end: Buffer } {
  return { key: Buffer.from(prefix), range_end: Buffer.from(`${prefix.slice(0, -1)}0`) }
}

const HEX = '(not UTF-8: '

/**
 * A key as text. Bytes that are no UTF-8 come as hex, which names no address and is then shown as invalid; so does a key
 * that looks like one of those, or two keys might have one text.
 */
export function textOf (key: Buffer, prefix: string): string {
  const text = key.toString('utf8')
  return isUtf8(key) && !text.startsWith(prefix + HEX) ? text : `${prefix}${HEX}${key.toString('hex')})`
}

/** The key that such a text stands for. */
export function keyOf (text: string, prefix: string): Buffer {
  return text.startsWith(prefix + HEX) ? Buffer.from(text.slice(prefix.length + HEX.length, -1), 'hex') : Buffer.from(text)
}

/** A key with its value as the syncer takes it; a value over 64 KiB stays behind. */
export function entryOf (kv: IKeyValue, prefix: string): Entry {
  return {
    key: textOf(kv.key, prefix),
    value: kv.value.length > MAX_VALUE ? '' : kv.value.toString('utf8'),
    size: kv.value.length,
    modRevision: BigInt(kv.mod_revision),
    lease: BigInt(kv.lease)
  }
}
