/** Copies of what the caller keeps: later changes there change nothing here. */
import { BadOptionError } from '../errors.js'
import { isPlain } from './names.js'

const DEEPEST = 100

/** A frozen copy of plain objects and lists, at most 100 levels deep (so no cycles); anything else is taken as it is. */
export function copy (value: unknown, path: string, depth = DEEPEST): unknown {
  if (depth === 0) throw new BadOptionError(path, `at most ${DEEPEST} levels deep`, value)
  if (Array.isArray(value)) return Object.freeze(value.map((inner: unknown) => copy(inner, path, depth - 1)))
  return isPlain(value) ? copyFields(value, path, depth) : value
}

/** The same for a plain object, one level in. */
export function copyFields (value: object, path: string, depth = DEEPEST): Readonly<Record<string, unknown>> {
  // `fromEntries` defines fields; assigning one named `__proto__` would change the prototype.
  return Object.freeze(Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, copy(inner, path, depth - 1)])))
}
