/**
 * Small checkers that tables of options are made of. Each takes a raw value and returns a good one, frozen and no part
 * of the caller's object, or throws FST_UPSTREAM_BAD_OPTION. Nothing is clamped or converted.
 */
import { BadOptionError } from '../errors.js'
import { eitherCase, given, type Given } from './names.js'

/** Reads a value that is whole in itself. */
export type Read<T> = (value: unknown, path: string) => T

/** Reads a value that may say only a part; `base` holds where it says nothing. */
export type Check<T> = (value: unknown, path: string, base: T) => T

/** One checker for each field. */
export type Checks<T> = { readonly [K in keyof T]-?: Check<T[K]> }

/** What a number must be. */
interface Range {
  readonly min: number
  readonly max: number
  /** `min` itself is not allowed. */
  readonly above?: boolean
  readonly integer?: boolean
  /** `false` means 0. */
  readonly off?: boolean
  readonly unit?: string
}

/** A number; NaN, infinity and text that looks like a number are none. */
export function number (range: Range): Read<number> {
  const { min, max, above = false, integer = false, off = false, unit } = range
  const interval = above ? `above ${min}, at most ${max}` : `from ${min} to ${max}`
  const expected = `${integer ? 'an integer' : 'a number'} ${interval}${unit === undefined ? '' : ` (${unit})`}${off ? ' or false' : ''}`
  return (value, path) => {
    if (off && value === false) return 0
    const good = typeof value === 'number' && value >= min && value <= max &&
      !(above && value === min) && !(integer && !Number.isInteger(value))
    if (!good) throw new BadOptionError(path, expected, value)
    return value
  }
}

/** A duration: 1 ms to the longest that a timer takes. */
export const duration = number({ min: 1, max: 2147483647, unit: 'ms' })

/** A share of a whole. */
export const share = number({ min: 0, max: 1 })

/** A switch. */
export const boolean: Read<boolean> = (value, path) => {
  if (typeof value !== 'boolean') throw new BadOptionError(path, 'true or false', value)
  return value
}

/** Text that fits the pattern. */
export function text (pattern: RegExp, expected: string): Read<string> {
  return (value, path) => {
    if (typeof value !== 'string' || !pattern.test(value)) throw new BadOptionError(path, expected, value)
    return value
  }
}

/** A service's name; it may hold slashes. */
export const serviceName = text(/^[^\p{Cc}]+$/u, 'a service\'s name, not empty and without control characters')

/** One of a few words. */
export function oneOf<T extends string> (...words: readonly T[]): Read<T> {
  const expected = words.map((word) => `"${word}"`).join(' or ')
  return (value, path) => {
    const found = words.find((word) => word === value)
    if (found === undefined) throw new BadOptionError(path, expected, value)
    return found
  }
}

/** A list of at least `min` items. */
export function list<T> (item: Read<T>, expected: string, min = 0): Read<readonly T[]> {
  return (value, path) => {
    if (!Array.isArray(value) || value.length < min) throw new BadOptionError(path, expected, value)
    // `from` and not `map`, which would leave the holes of a sparse array unchecked.
    return Object.freeze(Array.from(value, (inner: unknown, index) => item(inner, `${path}[${index}]`)))
  }
}

/** The names of the fields. */
export function keysOf<T> (checks: Checks<T>): Array<Extract<keyof T, string>> {
  const keys: Array<Extract<keyof T, string>> = []
  for (const key in checks) keys.push(key)
  return keys
}

/** An object whose fields, in either spelling, are laid over those of `base`. */
export function fields<T extends object> (checks: Checks<T>, expected?: string): Check<T> {
  const names = eitherCase(keysOf(checks))
  return (value, path, base) => layOver(checks, given(value, path, names, expected), base)
}

/** `false`, or what `check` accepts; over a base of `false` it is laid over `filling`. */
export function orFalse<T> (check: Check<T>, filling: T): Check<T | false> {
  return (value, path, base) => value === false ? false : check(value, path, base === false ? filling : base)
}

/** A frozen copy of `base` in which every option that was given and has a checker here replaces the old one. */
export function layOver<T extends object> (checks: Checks<T>, found: Given, base: NoInfer<T>): T {
  const result = { ...base }
  for (const key of keysOf(checks)) {
    const option = found.get(key)
    if (option !== undefined) result[key] = checks[key](option.value, option.path, base[key])
  }
  return Object.freeze(result)
}
