/**
 * What leaves the gateway by HTTP without the secrets that people put into registrations. Whoever may look at the status may
 * not therefore log in everywhere: `[hidden]` stands for what a name or a look gives away as secret. It is a net and not a
 * proof; secrets belong elsewhere.
 */
import { hasSecretName, isSecretName } from './redact/names.js'
import { HIDDEN, hideIn } from './redact/text.js'

export { hideIn }

/** Plain data, of one kind or the other. */
type Fields = Readonly<Record<string, unknown>>

/** Status is built often, registrations change seldom. */
const known = new WeakMap<Fields, Fields>()

/**
 * A frozen copy of plain data without secrets: values under secret names are `[hidden]`, whatever they are, and texts are as
 * `hideIn` leaves them, names included. What is given stays as it is. O(size), at any depth. Frozen data is remembered, and
 * has to be frozen at every depth.
 */
export function redact (params: Fields): Fields {
  const remembered = known.get(params)
  if (remembered !== undefined) return remembered
  const redacted = copy(params)
  if (Object.isFrozen(params)) known.set(params, redacted)
  return redacted
}

/** The same text without secrets, where there is one. */
export function hideInAny (text: string | null): string | null {
  return text === null ? null : hideIn(text)
}

/** Goes by a list of what is left to do: a stack would end before data that is nested deep enough. */
function copy (params: Fields): Fields {
  const left: Array<[from: object, to: object]> = []
  // What is found again, within itself even, is the same again.
  const made = new Map<object, object>()
  const begin = <To extends object>(from: object, to: To): To => {
    made.set(from, to)
    left.push([from, to])
    return to
  }
  const shown = (value: unknown): unknown => {
    if (typeof value === 'string') return hideIn(value)
    if (typeof value !== 'object' || value === null) return value
    return made.get(value) ?? begin(value, Array.isArray(value) ? [] : {})
  }
  const result: Record<string, unknown> = begin(params, {})
  for (let next = left.pop(); next !== undefined; next = left.pop()) {
    const [from, to] = next
    const isNamed = hasSecretName(from)
    for (const [name, value] of Object.entries(from)) {
      const isSecret = !Array.isArray(from) && (isSecretName(name) || (isNamed && name.toLowerCase() === 'value'))
      // An assignment to `__proto__` would reach the prototype.
      Object.defineProperty(to, hideIn(name), { value: isSecret ? HIDDEN : shown(value), enumerable: true, configurable: true, writable: true })
    }
    Object.freeze(to)
  }
  return result
}
