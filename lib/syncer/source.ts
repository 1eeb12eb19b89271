/**
 * The ports between the syncer and whatever feeds it. A source (etcd, the embedded registry) does the I/O; the syncer
 * decodes and applies, and neither knows the other's insides.
 */

import type { Peer } from '../store/peer.js'

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

/** Everything below the prefix as of one revision of one store. */
export interface Listing {
  readonly entries: readonly Entry[]
  readonly revision: bigint
  /** What the store calls itself; two stores may share it. */
  readonly storeId: string
}

/** Where the syncer stands. `keys` keys are held. */
export interface Position {
  /** Everything up to here is applied: the watch has told it. */
  readonly cursor: bigint
  /** The same, also when a question has shown it; never below `cursor`. */
  readonly reached: bigint
  readonly keys: number
  /** Of the store that the cursor counts in. */
  readonly storeId: string
  /** The key that was put last, while it is held. */
  readonly newest: Anchor | null
}

/** What a key held when it was last changed: a few of them tell a store from another one. */
export interface Anchor {
  readonly key: string
  readonly modRevision: bigint
  readonly digest: number
}

/** Why the registry was listed again, or had to be repaired. */
export const RESYNC_REASONS = ['compacted', 'replaced', 'missed', 'comparison'] as const
export type ResyncReason = typeof RESYNC_REASONS[number]

/**
 * Work in slices short enough for requests to be served in between: whoever iterates takes a turn of the loop after each,
 * or none. Nothing else may be applied meanwhile, but for a comparison.
 */
export type Slices<Result = void> = Generator<void, Result>

/** What a source is given to tell its news to. What is no slices is applied as a whole before it returns. */
export interface Feed {
  /** Null before the first listing. */
  readonly position: Position | null
  /** Some of the keys held, all when they are few. */
  readonly anchors: () => Anchor[]
  /**
   * A complete listing, applied as a difference. `isSame` says that the store is known to be the one the position came from.
   * Null when the listing is refused: a store that forgot everything is no registry.
   */
  readonly list: (listing: Listing, isSame: boolean) => Slices | null
  /** Changes in order, all of them of one or more whole revisions. */
  readonly apply: (events: readonly SourceEvent[]) => void
  /** The watch says that nothing changed up to `revision`: the cursor moves there. */
  readonly advance: (revision: bigint) => void
  /** The registry was asked at `at` (epoch ms), was at `revision`, and everything that it held then is applied. */
  readonly verified: (revision: bigint, at: number) => void
  /**
   * A listing is about to be compared with what is held: from now on it is noted what changes, until false is told.
   * `compare` then repairs what differs and did not change meanwhile, and returns how many keys that were.
   */
  readonly comparing: (isOn: boolean) => void
  readonly compare: (entries: readonly Entry[]) => Slices<number>
  /** The registry cannot be followed at the moment; the sentence names the cause. */
  readonly failed: (sentence: string) => void
  /** Something odd that keeps nothing from working. */
  readonly warn: (sentence: string) => void
  /** The store is another one than the one that is held; until `verified` nothing held counts as applied. */
  readonly doubted: () => void
  /** A watch that had broken is open again; a listing had to be made again, and why. */
  readonly reconnected: () => void
  readonly resyncing: (reason: ResyncReason, sentence: string) => void
}

export interface Source {
  /** Begins to feed; never throws for a registry that is away. */
  start: (feed: Feed) => void
  /** Asks whether the registry as of `revision` is applied; the answer comes by the feed, and nothing comes of it when it is away. */
  ask: (revision: bigint) => void
  /**
   * Puts what `edit` makes of the key that `peer` was read from, unless that has changed since; its lease stays. Resolves with
   * the revision. Rejects with a `Refusal`, such as `edit` throws, or with `Unreachable`: then it may have been put or not.
   */
  amend: (peer: Pick<Peer, 'key' | 'modRevision'>, edit: (entry: Entry) => string) => Promise<bigint>
  /** Ends everything it holds open, within a bound. */
  close: () => Promise<void>
}
