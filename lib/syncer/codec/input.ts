import type { Entry } from '../source.js'
import { isRecord, shown } from './plain-data.js'
import type { Decoded, ParseJson, Registration } from './registration.js'

/** One entry, prepared for a format. */
export interface Input {
  readonly entry: Entry
  /** The key without the prefix. */
  readonly path: string
  /** The value, when it is a JSON object. */
  readonly object: Record<string, unknown> | undefined
  /** The value, when it is a JSON array. */
  readonly list: readonly unknown[] | undefined
  /** What is wrong with a value that is neither empty nor a JSON object. */
  readonly problem: string | undefined
  /** What the same key said before, `[]` when it is new. */
  readonly previous: readonly Registration[]
}

/** One layout of keys and values. What it throws makes the whole value bad. */
export type Format = (input: Input) => Decoded

/** The value as a JSON object or array, and why it is no object; nothing for an empty one, which is allowed. Never throws. */
export function readValue (value: string, parse: ParseJson): Pick<Input, 'object' | 'list' | 'problem'> {
  if (value.trim() === '') return { object: undefined, list: undefined, problem: undefined }
  let json: unknown
  try {
    json = parse(value)
  } catch {
    return { object: undefined, list: undefined, problem: `the value is not JSON: ${shown(value)}` }
  }
  if (isRecord(json)) return { object: json, list: undefined, problem: undefined }
  return { object: undefined, list: Array.isArray(json) ? json : undefined, problem: `the value is not a JSON object: ${shown(json)}` }
}
