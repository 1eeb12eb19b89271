import { RESYNC_REASONS, type ResyncReason } from './source.js'

/**
 * How the registry is: `stale` when it was last seen to hold nothing new more than 6 s ago, `snapshot` when all that is
 * known comes from the snapshot file.
 */
export const REGISTRY_WORDS = ['syncing', 'live', 'stale', 'snapshot', 'static'] as const
export type RegistryWord = typeof REGISTRY_WORDS[number]

/** Where registrations come from: etcd, or code. */
export const REGISTRY_KINDS = ['etcd', 'static'] as const
export type RegistryKind = typeof REGISTRY_KINDS[number]

/** Unverified for longer than this (ms), what we hold may be old. */
export const STALE_AFTER = 6000

/** What is known about the registry itself, apart from what it holds. Points in time are epoch ms. */
export class Registry {
  readonly kind: RegistryKind
  /** The first listing has been applied. */
  synced = false
  /** What the snapshot file held is in use, until the first listing. */
  isRestored = false
  /** What is held comes from another store than the one that answers. */
  isDoubted = false
  lastVerifiedAt: number | null = null
  reconnects = 0
  readonly resyncs: Record<ResyncReason, number> = { compacted: 0, replaced: 0, missed: 0, comparison: 0 }
  /** A sentence with the underlying cause, until the registry can be followed again. */
  lastError: string | null = null

  constructor (kind: RegistryKind) {
    this.kind = kind
  }

  /** There is something to serve requests by. */
  get isReady (): boolean {
    return this.synced || this.isRestored
  }

  /** Everything is applied that the registry held at `at`. */
  verified (at: number): void {
    // Of two questions the answers may come in another order; and what a file says is older than any answer.
    this.lastVerifiedAt = this.synced ? Math.max(Number(this.lastVerifiedAt), at) : at
    this.synced = true
    this.isDoubted = false
    this.lastError = null
  }

  /** `verifiedAt` is when the snapshot was in step with its registry. */
  restored (verifiedAt: number): void {
    this.isRestored = true
    this.lastVerifiedAt = verifiedAt
  }

  state (now: number): RegistryWord {
    if (!this.synced) return this.isRestored ? 'snapshot' : 'syncing'
    if (this.kind === 'static') return 'static'
    // Null counts as 1970.
    return now - Number(this.lastVerifiedAt) > STALE_AFTER ? 'stale' : 'live'
  }

  /** All reasons with their counts, those that never were included. */
  get resyncCounts (): Array<[ResyncReason, number]> {
    return RESYNC_REASONS.map(reason => [reason, this.resyncs[reason]])
  }
}
