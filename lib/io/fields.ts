import type { IncomingHttpHeaders } from 'node:http'

/** Fields of one connection (RFC 9110, 7.6.1), which are not passed on. */
const HOP_BY_HOP = new Set(['connection', 'keep-alive', 'proxy-connection', 'transfer-encoding', 'te', 'upgrade', 'http2-settings'])
/** Tokens of `Connection` that name no field. */
const NO_FIELDS = new Set(['', 'close', 'keep-alive', 'upgrade'])

/** Whether a field of this name, in lower case, is passed on. */
export function isPassedOn (name: string): boolean {
  return !HOP_BY_HOP.has(name)
}

/** All fields of a message, names and values in turn, by lower-case name; one that came more than once has a list of values. */
export function allFields (raw: ReadonlyArray<Buffer | string>): IncomingHttpHeaders {
  const fields: IncomingHttpHeaders = {}
  for (let i = 0; i + 1 < raw.length; i += 2) add(fields, textOf(raw[i]).toLowerCase(), textOf(raw[i + 1]))
  return fields
}

/** Those that are passed on: neither of the connection nor named by `Connection`. */
export function endToEndFields (raw: ReadonlyArray<Buffer | string>): IncomingHttpHeaders {
  const fields = allFields(raw)
  const { connection } = fields
  for (const name of HOP_BY_HOP) if (Object.hasOwn(fields, name)) delete fields[name]
  if (connection !== undefined) leaveOut(fields, String(connection))
  return fields
}

/** Takes out what a `Connection` names. */
export function leaveOut (fields: IncomingHttpHeaders, connection: string): void {
  for (const token of connection.toLowerCase().split(',')) {
    const name = token.trim()
    // Deleting makes an object slow, so it is done only where there is something to delete.
    if (!NO_FIELDS.has(name) && Object.hasOwn(fields, name)) delete fields[name]
  }
}

/** Adds a field; one that is there already gets a list of values. */
export function add (fields: IncomingHttpHeaders, name: string, value: string): void {
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
