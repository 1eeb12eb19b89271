import type { IncomingHttpHeaders } from 'node:http'

/** Fields of one connection (RFC 9110, 7.6.1), which are not passed on. */
const HOP_BY_HOP = new Set(['connection', 'keep-alive', 'proxy-connection', 'transfer-encoding', 'te', 'upgrade', 'http2-settings'])
/** Tokens of `Connection` that name no field. */
const NO_FIELDS = new Set(['', 'close', 'keep-alive', 'upgrade'])

/** What `toString('latin1')` comes down to; a call of it spends as long on its arguments. */
interface Bytes extends Buffer {
  latin1Slice: () => string
}

/**
 * The text of some bytes, kept for when the same bytes come again: to compare them costs a fifth of making a string of
 * them, and most of what peers say in their headers they have said before.
 */
class LastText {
  /** Longer ones are not kept. */
  static readonly #longest = 48
  text = ''
  readonly #bytes = new Uint8Array(LastText.#longest)
  #length = 0

  /** Whether these are the bytes of `text`. */
  is (bytes: Uint8Array): boolean {
    const { length } = bytes
    if (length !== this.#length) return false
    for (let i = 0; i < length; i++) if (this.#bytes[i] !== bytes[i]) return false
    return true
  }

  /** Makes a string of them. */
  read (bytes: Buffer): string {
    const text = textOf(bytes)
    const { length } = bytes
    this.#length = length > LastText.#longest ? -1 : length
    this.text = text
    for (let i = 0; i < this.#length; i++) this.#bytes[i] = bytes[i] as number
    return text
  }
}

/** Names as peers write them → in lower case, with whether they are passed on. Bounded: a peer may invent names. */
const known = new Map<string, Name>()
const MOST_NAMES = 1000

interface Name {
  readonly text: string
  readonly isPassedOn: boolean
  /** The value that it had last. */
  readonly value: LastText
}

function nameOf (sent: string): Name {
  const found = known.get(sent)
  if (found !== undefined) return found
  const text = sent.toLowerCase()
  const name = { text, isPassedOn: !HOP_BY_HOP.has(text), value: new LastText() }
  if (known.size < MOST_NAMES) known.set(sent, name)
  return name
}

/** The names that answers had last, by their position: those of one peer come in the same order, and peers are alike. */
const positions = Array.from({ length: 32 }, () => ({ last: new LastText(), name: nameOf('') }))

function nameAt (position: number, sent: Buffer | string | undefined): Name {
  const slot = positions[position]
  if (slot === undefined || !(sent instanceof Uint8Array)) return nameOf(textOf(sent))
  if (!slot.last.is(sent)) slot.name = nameOf(slot.last.read(sent))
  return slot.name
}

function valueOf (name: Name, sent: Buffer | string | undefined): string {
  if (!(sent instanceof Uint8Array)) return textOf(sent)
  return name.value.is(sent) ? name.value.text : name.value.read(sent)
}

type Raw = ReadonlyArray<Buffer | string>

/** All fields of a message, by lower-case name; one that came more than once has a list of values. */
export function allFields (raw: Raw): IncomingHttpHeaders {
  const fields: IncomingHttpHeaders = {}
  for (let i = 0; i + 1 < raw.length; i += 2) add(fields, nameOf(textOf(raw[i])).text, textOf(raw[i + 1]))
  return fields
}

/** Those that are passed on: neither of the connection nor named by `Connection`. */
export function endToEndFields (raw: Raw): IncomingHttpHeaders {
  const fields: IncomingHttpHeaders = {}
  let named = ''
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = nameAt(i / 2, raw[i])
    if (name.isPassedOn) add(fields, name.text, valueOf(name, raw[i + 1]))
    else if (name.text === 'connection') named += `,${textOf(raw[i + 1])}`
  }
  // Deleting makes an object slow, so it is done only where there is something to delete.
  if (named !== '' && named !== ',keep-alive') {
    for (const token of named.toLowerCase().split(',')) if (!NO_FIELDS.has(token.trim())) delete fields[token.trim()]
  }
  return fields
}

function add (fields: IncomingHttpHeaders, name: string, value: string): void {
  const before = fields[name]
  if (before === undefined) fields[name] = value
  else if (Array.isArray(before)) before.push(value)
  else if (Object.hasOwn(fields, name)) fields[name] = [before, value]
  // A field may be called like something that every object has; `__proto__` alone can be no field of one.
  else if (name !== '__proto__') fields[name] = value
}

function textOf (text: Buffer | string | undefined): string {
  return typeof text === 'string' ? text : (text as Bytes | undefined)?.latin1Slice() ?? ''
}
