/** How the registry is: `stale` when it was last seen to hold nothing new more than 6 s ago. */
export type RegistryWord = 'syncing' | 'live' | 'stale' | 'static'

/** Unverified for longer than this (ms), what we hold may be old. */
export const STALE_AFTER = 6000

/** What is known about the registry itself, apart from what it holds. Points in time are epoch ms. */
export class Registry {
  readonly kind: 'etcd' | 'static'
  /** The first listing has been applied. */
  synced = false
  lastVerifiedAt: number | null = null
  reconnects = 0
  resyncs = 0
  /** A sentence with the underlying cause, until the registry can be followed again. */
  lastError: string | null = null

  constructor (kind: 'etcd' | 'static') {
    this.kind = kind
  }

  verified (now: number): void {
    this.synced = true
    this.lastVerifiedAt = now
    this.lastError = null
  }

  state (now: number): RegistryWord {
    if (!this.synced) return 'syncing'
    if (this.kind === 'static') return 'static'
    return this.lastVerifiedAt === null || now - this.lastVerifiedAt > STALE_AFTER ? 'stale' : 'live'
  }
}
