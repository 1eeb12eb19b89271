/** Which options an object gives, by name: unknown names and double spellings are refused, nothing else is judged. */
import { BadOptionError, OptionsError } from '../errors.js'
import { quote } from '../errors/show.js'

/** Every accepted spelling and the option it means. */
export type Names = ReadonlyMap<string, string>

/** Options that are there (`undefined` is not), each with the path that the user wrote. */
export type Given = ReadonlyMap<string, { readonly path: string, readonly value: unknown }>

/** Names that have one spelling. */
export function exactly (keys: Iterable<string>): Names {
  return new Map([...keys].map((key) => [key, key]))
}

/** Names that may be written in camelCase or in snake_case. */
export function eitherCase (keys: Iterable<string>): Names {
  const names = [...keys]
  return new Map([...exactly(names), ...names.map((key): [string, string] => [snake(key), key])])
}

/** `slowStart` → `slow_start`, `consecutive5xx` → `consecutive_5xx`, `allowH2` → `allow_h2`. */
function snake (key: string): string {
  return key.replace(/[A-Z]\d*|\d+/g, (part) => `_${part.toLowerCase()}`)
}

/** `a` and `b` → `a.b`. */
export function join (path: string, name: string): string {
  return path === '' ? name : `${path}.${name}`
}

/** Name and value pairs of a plain object (not an array, Map or class instance); anything else is refused. */
export function entriesOf (value: unknown, path: string, expected = 'an object'): Array<[string, unknown]> {
  if (!isPlain(value)) throw new BadOptionError(path === '' ? 'options' : path, expected, value)
  return Object.entries(value)
}

/** Whether the value is an object literal, of this realm or of another. */
export function isPlain (value: unknown): value is object {
  if (typeof value !== 'object' || value === null) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === null || Object.getPrototypeOf(prototype) === null
}

/**
 * Sorts out what an object gives. Throws FST_UPSTREAM_BAD_OPTION on an unknown name or one option given twice. Required
 * options that are missing are there as `undefined`, for their own checkers to refuse.
 */
export function given (value: unknown, path: string, names: Names, expected?: string, required: readonly string[] = []): Given {
  const found = new Map<string, { path: string, value: unknown }>()
  for (const [name, inner] of entriesOf(value, path, expected)) {
    const key = names.get(name)
    const whole = join(path, name)
    if (key === undefined) throw unknown(name, path, names)
    if (inner === undefined) continue
    const twice = found.get(key)
    if (twice !== undefined) throw new OptionsError(`options ${quote(twice.path)} and ${quote(whole)} are the same, give one of them`)
    found.set(key, { path: whole, value: inner })
  }
  for (const key of required) {
    if (!found.has(key)) found.set(key, { path: join(path, key), value: undefined })
  }
  return found
}

function unknown (name: string, path: string, names: Names): InstanceType<typeof OptionsError> {
  const start = `unknown option ${quote(join(path, name))}`
  const near = nearest(name, names.keys())
  if (near !== undefined) return new OptionsError(`${start}, did you mean ${quote(join(path, near))}?`)
  return new OptionsError(`${start}, known: ${[...new Set(names.values())].join(', ')}`)
}

/** The known name with the fewest edits, if these are at most a third of the letters (rounded up). */
function nearest (name: string, known: Iterable<string>): string | undefined {
  const limit = Math.ceil(name.length / 3)
  let best: string | undefined
  let fewest = limit + 1
  for (const candidate of known) {
    // A name from outside may be as long as it likes; the length alone rules it out.
    if (Math.abs(candidate.length - name.length) > limit) continue
    const edits = distance(name.toLowerCase(), candidate.toLowerCase())
    if (edits >= fewest) continue
    best = candidate
    fewest = edits
  }
  return best
}

/** Levenshtein's distance, row by row. */
function distance (a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j)
  let result = b.length
  for (let i = 1; i <= a.length; i++) {
    let diagonal = i - 1
    row = row.map((above, j) => {
      const edits = a[i - 1] === b[j - 1] ? diagonal : 1 + Math.min(above, diagonal, result)
      result = j === 0 ? i : edits
      diagonal = above
      return result
    })
  }
  return result
}
