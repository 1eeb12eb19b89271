/**
 * The ports between the syncer and whatever feeds it. A source (etcd, the embedded registry) does the I/O; the syncer
 * decodes and applies, and neither knows the other's insides.
 */

/** One key of the registry. A value over 64 KiB comes as `''` with its true `size` in bytes. */
export interface Entry {
  readonly key: string
  readonly value: string
  readonly size: number
  readonly modRevision: bigint
  readonly lease: bigint
}

/** One change: an entry that was put, or a key that was deleted at `modRevision`. */
export type SourceEvent =
  | { readonly type: 'put', readonly entry: Entry }
  | { readonly type: 'delete', readonly key: string, readonly modRevision: bigint }

/** Where the syncer stands: everything up to `cursor` is applied, and `keys` keys are held. */
export interface Position {
  readonly cursor: bigint
  readonly keys: number
}

/** What a key held when it was last changed: a few of them tell a store from another one. */
export interface Anchor {
  readonly key: string
  readonly modRevision: bigint
  readonly digest: number
}

/** What a source is given to tell its news to. Every call is applied as a whole before it returns. */
export interface Feed {
  /** Null before the first listing. */
  readonly position: Position | null
  /** Some of the keys held, all when they are few. */
  readonly anchors: () => Anchor[]
  /**
   * A complete listing at `revision`, applied as a difference. `sameHistory` says that the store is known to be the one
   * the position came from. False when the listing was refused: a store that forgot everything is no registry.
   */
  list: (entries: readonly Entry[], revision: bigint, sameHistory: boolean) => boolean
  /** Changes in order, all of them of one or more whole revisions. */
  apply: (events: readonly SourceEvent[]) => void
  /** The watch says that nothing changed up to `revision`: the cursor moves there. */
  advance: (revision: bigint) => void
  /** The registry was just asked, and everything it holds is applied. */
  verified: () => void
  /** The registry cannot be followed at the moment; the sentence names the cause. */
  failed: (sentence: string) => void
  /** Something odd that keeps nothing from working. */
  warn: (sentence: string) => void
  /** A broken watch is being opened again; a listing had to be made again, and why. */
  reconnecting: () => void
  resyncing: (why: string) => void
}

export interface Source {
  /** Begins to feed; never throws for a registry that is away. */
  start: (feed: Feed) => void
  /** Ends everything it holds open, within a bound. */
  close: () => Promise<void>
}
