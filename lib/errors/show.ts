/** How a value looks in a message: shortened JSON in which nothing secret is left. */

const LONGEST = 80
const DEEPEST = 3
const WIDEST = 8
const SECRET = /^(?:password|passphrase|secret|token|key)$/i
const HIDDEN = '"[hidden]"'

/**
 * The value as JSON of at most 80 characters. Functions are `[function]` and bytes `[bytes]`; passwords, private keys
 * and the user part of a URL are `[hidden]`. Never throws for data, cycles included.
 */
export function show (value: unknown): string {
  return shorten(format(value, DEEPEST))
}

/** A name in quotes, shortened, so that a hostile one cannot flood or break a log line. */
export function quote (name: string): string {
  return JSON.stringify(shorten(name))
}

function shorten (text: string): string {
  return text.length > LONGEST ? `${text.slice(0, LONGEST - 1)}…` : text
}

function format (value: unknown, depth: number): string {
  if (typeof value === 'string') return JSON.stringify(shorten(withoutSecrets(value)))
  if (typeof value === 'function') return '[function]'
  if (typeof value === 'bigint') return `${value}n`
  if (typeof value !== 'object' || value === null) return String(value)
  if (ArrayBuffer.isView(value)) return '[bytes]'
  if (depth === 0) return Array.isArray(value) ? '[…]' : '{…}'
  if (Array.isArray(value)) return `[${value.slice(0, WIDEST).map((item) => format(item, depth - 1)).join(',')}]`
  const fields = Object.entries(value).slice(0, WIDEST).map(([name, inner]) =>
    `${quote(name)}:${SECRET.test(name) ? HIDDEN : format(inner, depth - 1)}`)
  return `{${fields.join(',')}}`
}

function withoutSecrets (text: string): string {
  if (text.includes('PRIVATE KEY')) return '[hidden]'
  const at = text.lastIndexOf('@')
  const colon = text.indexOf(':')
  return colon !== -1 && colon < at ? `[hidden]${text.slice(at)}` : text
}
