/** Keys and values of the registry to peers, settings, or a sentence that says what is wrong with them. */
import type { Entry } from '../source.js'
import { decodeAddressText } from './address-text.js'
import { decodeApisix } from './apisix.js'
import { decodeAuto } from './auto.js'
import { customFormat, type FormatFunction } from './custom.js'
import { invalid, refused } from './decoded.js'
import { decodeGoMicro } from './go-micro.js'
import { decodeGrpc } from './grpc.js'
import { readValue, type Format } from './input.js'
import { decodeKitex } from './kitex.js'
import { decodeKratos } from './kratos.js'
import { messageOf, shown } from './plain-data.js'
import { decodePlain } from './plain.js'
import type { Decoded, ParseJson, Registration } from './registration.js'
import { decodeSkydns } from './skydns.js'
import { decodeTraefik } from './traefik.js'
import { decodeVulcand } from './vulcand.js'

export type { FormatFunction } from './custom.js'

const MAX_SIZE = 65536

/** The formats that have a name: this is the list. */
const FORMATS = {
  auto: decodeAuto,
  plain: decodePlain,
  grpc: decodeGrpc,
  address: decodeAddressText,
  'go-micro': decodeGoMicro,
  kitex: decodeKitex,
  kratos: decodeKratos,
  vulcand: decodeVulcand,
  skydns: decodeSkydns,
  traefik: decodeTraefik,
  apisix: decodeApisix
} satisfies Record<string, Format>

/** A format by name. */
export type FormatName = keyof typeof FORMATS

/** All of them, `auto` first. */
export const formatNames: readonly string[] = Object.keys(FORMATS)

/** Whether a value of any kind is the name of a format. */
export function isFormatName (value: unknown): value is FormatName {
  return typeof value === 'string' && Object.hasOwn(FORMATS, value)
}

/** What a codec has to know. */
export interface CodecOptions {
  /** What every key starts with. */
  readonly keyPrefix: string
  readonly format: FormatName | FormatFunction
  /** Only asked for values that are not empty; what it throws means "not JSON". */
  readonly parse: ParseJson
}

/** Decodes entries, one at a time, and remembers nothing. */
export interface Codec {
  /**
   * What an entry says. `previous` is what the same key decoded to before, undefined when it is new: a bad field keeps
   * the value it has there, and a value that is bad as a whole keeps its peers. Frozen. Never throws.
   */
  decode (entry: Entry, previous: readonly Registration[] | undefined): Decoded
}

/** Makes a codec for one prefix and one format. */
export function createCodec (options: CodecOptions): Codec {
  const { keyPrefix, parse } = options
  const format: Format = typeof options.format === 'function' ? customFormat(options.format) : FORMATS[options.format]

  function decode (entry: Entry, known: readonly Registration[] | undefined): Decoded {
    const previous = Array.isArray(known) ? known : []
    try {
      const { key, value, size } = entry
      if (!key.startsWith(keyPrefix)) return invalid(`the key does not start with ${shown(keyPrefix)}`)
      if (size > MAX_SIZE) return refused(`value of ${size} bytes is over ${MAX_SIZE}`, previous)
      return format({ entry, path: key.slice(keyPrefix.length), previous, ...readValue(value, parse) })
    } catch (thrown) {
      return refused(messageOf(thrown), previous)
    }
  }
  return Object.freeze({ decode })
}
