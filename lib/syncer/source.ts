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
