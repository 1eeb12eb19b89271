import type { Peer } from '../../store/peer.js'
import { FIELDS, FLAGS, KNOWN_NAMES, METADATA, PARAMS, type Field, type Known } from './fields.js'
import { asRecord, copyRecord, messageOf, shown } from './plain-data.js'

type Level = ReadonlyMap<string, unknown>
type Params = Readonly<Record<string, unknown>>

/** The registration that a bad field falls back to, if there is one. */
type Recall = () => Peer | undefined

function isAbsent (raw: unknown): raw is null | undefined {
  return raw === null || raw === undefined
}

/**
 * The top level first, then `Metadata`: the first that has a field wins. `layout` names what belongs to the layout and
 * is neither a known field nor one to keep.
 */
function levelsOf (value: Record<string, unknown>, layout: readonly string[]): Level[] {
  const top = new Map(Object.entries(value))
  for (const name of layout) top.delete(name)
  const raw = top.get(METADATA)
  const metadata = asRecord(raw)
  if (metadata !== undefined) return [top, new Map(Object.entries(metadata))]
  // Not an object, so only worth showing.
  return isAbsent(raw) ? [top] : [top, new Map([['metadata', raw]])]
}

/**
 * Reads the fields of one value, each once, and collects what was bad. A bad field takes the previous registration's
 * value, else its default.
 */
export class ValueFields {
  readonly errors: string[] = []
  readonly #levels: readonly Level[]

  constructor (value: Record<string, unknown>, layout: readonly string[]) {
    this.#levels = levelsOf(value, layout)
  }

  /** A field of the table; `fallback` replaces the table's own default. */
  take<K extends keyof Known> (name: K, recall: Recall, fallback: Known[K] = FIELDS[name].fallback): Known[K] {
    const field: Field<Known[K]> = FIELDS[name]
    return this.#read(field, () => recall()?.[name] ?? fallback, fallback)
  }

  /** One of nginx-upsync's flags; `wasSet` says whether the previous registration had it. */
  flag (name: keyof typeof FLAGS, recall: Recall, wasSet: (previous: Peer) => boolean): boolean {
    const previously = (): boolean => {
      const previous = recall()
      return previous !== undefined && wasSet(previous)
    }
    return this.#read(FLAGS[name], previously, false)
  }

  #read<T> (field: Field<T>, onBad: () => T, onAbsent: T): T {
    for (const level of this.#levels) {
      for (const name of field.names) {
        const raw = level.get(name)
        if (isAbsent(raw)) continue
        const read = field.read(raw)
        if (read !== undefined) return read
        this.errors.push(`${name}: expected ${field.expected}, got ${shown(raw)}`)
        return onBad()
      }
    }
    return onAbsent
  }

  /**
   * All that is free: unknown fields, then the named params over them, the top level over `Metadata`. Deeply frozen.
   * When any of it is bad the previous registration's params stay, else what can be kept is kept.
   */
  params (recall: Recall): Params {
    const free = this.#unknown()
    const isGood = this.#addNamedParams(free)
    const previous = isGood ? undefined : recall()?.params
    if (previous !== undefined) return previous
    try {
      return copyRecord(Object.fromEntries(free))
    } catch (thrown) {
      this.errors.push(`params: ${messageOf(thrown)}`)
      return recall()?.params ?? Object.freeze({})
    }
  }

  #unknown (): Map<string, unknown> {
    return new Map(this.#levels.toReversed().flatMap(level => [...level].filter(([name]) => !KNOWN_NAMES.has(name))))
  }

  #addNamedParams (free: Map<string, unknown>): boolean {
    let isGood = true
    for (const level of this.#levels.toReversed()) {
      for (const name of PARAMS) {
        const raw = level.get(name)
        if (isAbsent(raw)) continue
        const record = asRecord(raw)
        if (record === undefined) {
          this.errors.push(`${name}: expected an object, got ${shown(raw)}`)
          isGood = false
          continue
        }
        for (const [key, entry] of Object.entries(record)) free.set(key, entry)
      }
    }
    return isGood
  }
}
