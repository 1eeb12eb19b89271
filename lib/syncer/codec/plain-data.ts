/**
 * Plain data out of whatever a parser or a format function gave: no accessor, no class, no cycle, no key that could
 * reach a prototype, and never so deep that turning it back into JSON overflows the stack.
 */

const MAX_DEPTH = 32
/** More than 64 KiB of JSON can hold; only a format function can return so much. */
const MAX_VALUES = 65536
const MAX_SHOWN = 60
const MAX_MESSAGE = 200

/** An object that is not an array. */
export function isRecord (value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Like `isRecord`, but takes the empty array for the empty object, as Lua's JSON writes it. */
export function asRecord (value: unknown): Record<string, unknown> | undefined {
  if (Array.isArray(value) && value.length === 0) return {}
  return isRecord(value) ? value : undefined
}

interface Budget {
  values: number
}

/** `__proto__` is a setter on every object; `constructor.prototype` is the way a careless merge takes. */
function isDangerous (name: string, value: unknown): boolean {
  return name === '__proto__' || (name === 'constructor' && typeof value === 'object')
}

function copyValue (value: unknown, depth: number, budget: Budget): unknown {
  if (typeof value === 'bigint' || typeof value === 'function' || typeof value === 'symbol') {
    throw new Error(`holds a ${typeof value}, which is not plain data`)
  }
  if (typeof value !== 'object' || value === null) return value
  if (depth > MAX_DEPTH) throw new Error(`nested deeper than ${MAX_DEPTH} levels`)
  if (Array.isArray(value)) {
    spend(budget, value.length)
    return Object.freeze(value.map((item: unknown) => copyValue(item, depth + 1, budget)))
  }
  const kind = Object.prototype.toString.call(value)
  if (kind !== '[object Object]') throw new Error(`holds ${kind}, which is not plain data`)
  return copyFields(value, depth, budget)
}

function copyFields (value: object, depth: number, budget: Budget): Readonly<Record<string, unknown>> {
  const entries: Array<[string, unknown]> = Object.entries(value)
  spend(budget, entries.length)
  const safe = entries.filter(([name, field]) => !isDangerous(name, field))
  // fromEntries defines properties, it never calls a setter.
  return Object.freeze(Object.fromEntries(safe.map(([name, field]) => [name, copyValue(field, depth + 1, budget)])))
}

function spend (budget: Budget, values: number): void {
  budget.values -= values
  if (budget.values < 0) throw new Error(`holds more than ${MAX_VALUES} values`)
}

/**
 * A deeply frozen copy; `value` itself is the first of at most 32 levels. Throws, with the reason as message, on what
 * is nested deeper and on what JSON has no form for.
 */
export function copyRecord (value: Record<string, unknown>): Readonly<Record<string, unknown>> {
  return copyFields(value, 1, { values: MAX_VALUES })
}

/** A value as JSON for a message, or its type where JSON has no form for it; at most 60 characters. Never throws. */
export function shown (value: unknown): string {
  const text = jsonOf(value)
  return text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN - 1)}…` : text
}

function jsonOf (value: unknown): string {
  try {
    if (typeof value === 'number') return String(value)
    // What JSON leaves out (a function, a symbol) comes back as undefined.
    const text: unknown = JSON.stringify(value)
    return typeof text === 'string' ? text : typeof value
  } catch {
    return typeof value
  }
}

/** The message of anything that was thrown, at most 200 characters. Never throws. */
export function messageOf (thrown: unknown): string {
  try {
    if (thrown instanceof Error) return String(thrown.message).slice(0, MAX_MESSAGE)
  } catch {
    return 'an error that cannot be read'
  }
  return shown(thrown)
}
