import type { ServiceSettings } from '../store/settings.js'
import type { Store } from '../store/store.js'
import type { Codec } from './codec/codec.js'
import { Keys, type Applying, type Change, type ReadSettings } from './keys.js'
import type { Anchor, Entry, Listing, Position, SourceEvent } from './source.js'

export type { Change, ReadSettings } from './keys.js'

/** Keys applied, and keys only looked at, in one slice: some 10 ms. */
const SLICE = 1000
const LOOKS = 20_000

/** How a listing is taken. */
export interface Terms {
  /** The store is known to be the one that the position counts in. */
  readonly isSame: boolean
  /** The first one since this gateway started: its peers were there before. */
  readonly isBoot: boolean
}

/**
 * How it becomes known: applies listings as a difference and events one by one, and returns what changed. One event costs
 * O(1), however many peers there are. What takes long comes in slices, for others to have their turn in between.
 */
export class Syncer {
  readonly #keys: Keys
  #cursor: bigint | null = null
  #storeId = ''
  /** Up to here everything is applied, as a question has shown; the cursor follows the watch alone. */
  #proven = 0n
  /** Keys that changed since a comparison began; null when there is none. */
  #touched: Set<string> | null = null

  /** `keepsEntries` keeps each entry as it came, for whoever writes them down. */
  constructor (store: Store, codec: Codec, codeSettings: (service: string) => ServiceSettings, readSettings: ReadSettings, keepsEntries = false) {
    this.#keys = new Keys(store, codec, codeSettings, readSettings, keepsEntries)
  }

  /** Key → what is wrong with it, until it is corrected or deleted. */
  get invalidKeys (): ReadonlyMap<string, string> {
    return this.#keys.invalid
  }

  /** How many keys were put and deleted, and put with something bad in them. */
  get events (): Readonly<Record<'put' | 'delete' | 'invalid', number>> {
    return this.#keys.events
  }

  /** Null before the first listing. */
  get position (): Position | null {
    if (this.#cursor === null) return null
    return { cursor: this.#cursor, keys: this.#keys.size, storeId: this.#storeId, reached: this.reached, newest: this.#keys.newest }
  }

  /** Some of the keys held, by which a store can be told from another. O(keys). */
  anchors (): Anchor[] {
    return this.#keys.anchors()
  }

  /** All entries as they came, if they are kept. O(keys). */
  entries (): Entry[] {
    return this.#keys.entries()
  }

  /** Everything up to here is applied. */
  get reached (): bigint {
    return this.#cursor === null || this.#proven > this.#cursor ? this.#proven : this.#cursor
  }

  /**
   * Applies a complete listing slice by slice, as a difference; one of up to a thousand changes is seen whole or not at all.
   * Null when it is refused: a listing without a single peer from a store that is not known to be the same one is a fault
   * of that store, not the end of every service.
   */
  list (listing: Listing, terms: Terms, now: number): Iterable<Change[]> | null {
    if (!terms.isSame && this.#keys.namesAny && !listing.entries.some(entry => this.#keys.namesPeer(entry))) return null
    return this.#list(listing, terms, now)
  }

  * #list ({ entries, revision, storeId }: Listing, { isBoot }: Terms, now: number): Generator<Change[], void> {
    const { puts, gone } = yield * this.#differences(entries)
    let applying: Applying = { isBoot, now, changes: [] }
    let done = 0
    for (const next of [...puts, ...gone]) {
      if (typeof next === 'string') this.#keys.delete(next, revision, applying)
      else this.#keys.put(next, applying)
      if (++done % SLICE !== 0) continue
      yield applying.changes
      applying = { isBoot, now, changes: [] }
    }
    this.#keys.join(applying)
    this.#cursor = revision
    this.#proven = revision
    this.#storeId = storeId
    yield applying.changes
  }

  /** From now on it is noted what changes, or no longer. */
  comparing (isOn: boolean): void {
    this.#touched = isOn ? new Set() : null
  }

  /**
   * Repairs what differs from a listing that was made since `comparing`, and whose revision has been reached; but not what
   * changed meanwhile, which the watch has just told. Returns how many keys differed.
   */
  * compare (entries: readonly Entry[], now: number): Generator<Change[], number> {
    const touched = this.#touched ?? new Set()
    const { puts, gone } = yield * this.#differences(entries)
    // From here on in one go: what is looked at now is what is held.
    const applying: Applying = { isBoot: false, now, changes: [] }
    const wrong = puts.filter(({ key }) => !touched.has(key))
    const extra = gone.filter(key => !touched.has(key))
    for (const entry of wrong) this.#keys.put(entry, applying)
    for (const key of extra) this.#keys.delete(key, this.reached, applying)
    this.#keys.join(applying)
    yield applying.changes
    return wrong.length + extra.length
  }

  /** Applies events in order. The cursor moves to the last one's revision. */
  apply (events: readonly SourceEvent[], now: number): Change[] {
    const applying: Applying = { isBoot: false, now, changes: [] }
    for (const event of events) {
      const { key, modRevision } = event.type === 'put' ? event.entry : event
      this.#cursor = modRevision
      // A question has shown what came of it already: the watch tells late, and what it tells was undone since.
      if (modRevision <= this.#proven) continue
      this.#touched?.add(key)
      if (event.type === 'put') this.#keys.put(event.entry, applying)
      else this.#keys.delete(key, modRevision, applying)
    }
    this.#keys.join(applying)
    return applying.changes
  }

  /** Nothing was written below the prefix up to `revision`. The cursor never moves back. */
  advance (revision: bigint): void {
    if (this.#cursor !== null && revision > this.#cursor) this.#cursor = revision
  }

  /** A question has shown that everything up to `revision` is applied. */
  prove (revision: bigint): void {
    if (revision > this.#proven) this.#proven = revision
  }

  /** What a listing has otherwise than it is held, and what it has not. Changes nothing. */
  * #differences (entries: readonly Entry[]): Generator<Change[], { puts: Entry[], gone: string[] }> {
    const listed = new Set<string>()
    const puts: Entry[] = []
    for (const entry of entries) {
      listed.add(entry.key)
      if (!this.#keys.has(entry)) puts.push(entry)
      if (listed.size % LOOKS === 0) yield []
    }
    return { puts, gone: this.#keys.except(listed) }
  }
}
