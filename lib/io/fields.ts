import type { IncomingHttpHeaders } from 'node:http'

/** Fields of one connection (RFC 9110, 7.6.1), which are not passed on. */
const HOP_BY_HOP = new Set(['connection', 'keep-alive', 'proxy-connection', 'transfer-encoding', 'te', 'upgrade'])
/** Tokens of `Connection` that name no field. */
const NO_FIELDS = new Set(['', 'close', 'keep-alive', 'upgrade'])

/** Names as peers write them → in lower case. Bounded: a peer may invent names. */
const known = new Map<string, string>()
const MOST_NAMES = 1000

function learn (name: string): string {
  const lower = name.toLowerCase()
  if (known.size < MOST_NAMES) known.set(name, lower)
  return lower
}

type Raw = ReadonlyArray<Buffer | string>

/** All fields of a message, by lower-case name; one that came more than once has a list of values. */
export function allFields (raw: Raw): IncomingHttpHeaders {
  const fields: IncomingHttpHeaders = {}
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const sent = textOf(raw[i])
    add(fields, known.get(sent) ?? learn(sent), textOf(raw[i + 1]))
  }
  return fields
}

/** Those that are passed on: neither of the connection nor named by `Connection`. */
export function endToEndFields (raw: Raw): IncomingHttpHeaders {
  const fields: IncomingHttpHeaders = {}
  let named: string[] | null = null
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const sent = textOf(raw[i])
    const name = known.get(sent) ?? learn(sent)
    const value = textOf(raw[i + 1])
    if (!HOP_BY_HOP.has(name)) add(fields, name, value)
    else if (name === 'connection' && value !== 'keep-alive') named = [...named ?? [], ...value.toLowerCase().split(',')]
  }
  // Deleting makes an object slow, so it is done only where there is something to delete.
  for (const token of named ?? []) {
    const name = token.trim()
    if (!NO_FIELDS.has(name)) delete fields[name]
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
  return typeof text === 'string' ? text : text?.toString('latin1') ?? ''
}
