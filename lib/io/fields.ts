import type { IncomingHttpHeaders } from 'node:http'

/** Fields of one connection (RFC 9110, 7.6.1), which are not passed on. */
const HOP_BY_HOP = new Set(['connection', 'keep-alive', 'proxy-connection', 'transfer-encoding', 'te', 'upgrade'])
/** Tokens of `Connection` that name no field. */
const NO_FIELDS = new Set(['', 'close', 'keep-alive', 'upgrade'])

/** Names as peers write them → in lower case, with whether they are passed on. Bounded: a peer may invent names. */
const known = new Map<string, Name>()
const MOST_NAMES = 1000

interface Name {
  readonly text: string
  readonly isPassedOn: boolean
}

function nameOf (sent: string): Name {
  const found = known.get(sent)
  if (found !== undefined) return found
  const text = sent.toLowerCase()
  const name = { text, isPassedOn: !HOP_BY_HOP.has(text) }
  if (known.size < MOST_NAMES) known.set(sent, name)
  return name
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
    const { text, isPassedOn } = nameOf(textOf(raw[i]))
    if (isPassedOn) add(fields, text, textOf(raw[i + 1]))
    else if (text === 'connection') named += `,${textOf(raw[i + 1])}`
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

/** What `toString('latin1')` comes down to. It is called a dozen times for each answer, and spends as long on its arguments. */
interface Bytes extends Buffer {
  latin1Slice: () => string
}

function textOf (text: Buffer | string | undefined): string {
  return typeof text === 'string' ? text : (text as Bytes | undefined)?.latin1Slice() ?? ''
}
