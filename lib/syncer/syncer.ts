import { identityOf, saysTheSame, type Peer, type PeerState } from '../store/peer.js'
import type { Service } from '../store/service.js'
import type { ServiceSettings } from '../store/settings.js'
import type { Store } from '../store/store.js'
import { Claims } from './claims.js'
import type { Codec } from './codec/codec.js'
import type { Decoded, Registration } from './codec/registration.js'
import { digestOf } from './digest.js'
import { Parts } from './parts.js'
import type { Anchor, Entry, Position, SourceEvent } from './source.js'

/** What an application of news changed. */
export type Change =
  | { readonly type: 'added' | 'changed' | 'removed', readonly service: Service, readonly state: PeerState }
  | { readonly type: 'settings', readonly service: Service }

/** Lays raw settings from the registry over a service's settings in code; throws an error that says what is wrong. */
export type ReadSettings = (service: string, raw: Readonly<Record<string, unknown>>) => ServiceSettings

/** More keys than this are not looked at to recognise a store. */
const ANCHORS = 32

interface Held {
  readonly modRevision: bigint
  readonly digest: number
  readonly registrations: readonly Registration[]
  /** The service whose settings this key holds. */
  readonly settings: string | null
}

/**
 * How it becomes known: keeps what each key said, applies listings as a difference and events one by one, and returns
 * what changed. One event costs O(1), however many peers there are. Nothing that a key holds can make it throw.
 */
export class Syncer {
  /** Key → what is wrong with it, until it is corrected or deleted. */
  readonly invalidKeys = new Map<string, string>()
  readonly #store: Store
  readonly #codec: Codec
  readonly #codeSettings: (service: string) => ServiceSettings
  readonly #readSettings: ReadSettings
  readonly #keys = new Map<string, Held>()
  readonly #claims = new Claims()
  readonly #parts = new Parts()
  #cursor: bigint | null = null

  constructor (store: Store, codec: Codec, codeSettings: (service: string) => ServiceSettings, readSettings: ReadSettings) {
    this.#store = store
    this.#codec = codec
    this.#codeSettings = codeSettings
    this.#readSettings = readSettings
  }

  /** Null before the first listing. */
  get position (): Position | null {
    if (this.#cursor === null) return null
    return { cursor: this.#cursor, keys: this.#keys.size }
  }

  /** Keys by which the store can be told from another: those untouched for longest and those changed last. O(keys). */
  anchors (): Anchor[] {
    const all = [...this.#keys].map(([key, { modRevision, digest }]) => ({ key, modRevision, digest }))
    return all.length <= ANCHORS ? all : [...all.slice(0, ANCHORS / 2), ...all.slice(-ANCHORS / 2)]
  }

  /**
   * Applies a complete listing at `revision`; null when it is refused. A listing without a single peer from a store that
   * is not known to be the same one is a fault of that store, not the end of every service.
   */
  list (entries: readonly Entry[], revision: bigint, sameHistory: boolean, now: number): Change[] | null {
    const boot = this.#cursor === null
    if (!boot && !sameHistory && this.#keys.size > 0 && !entries.some(entry => this.#namesPeer(entry))) return null
    const listed = new Set(entries.map(entry => entry.key))
    const changes: Change[] = []
    for (const entry of entries) {
      if (sameHistory && this.#keys.get(entry.key)?.modRevision === entry.modRevision) continue
      this.#put(entry, boot, now, changes)
    }
    for (const key of [...this.#keys.keys()]) if (!listed.has(key)) this.#delete(key, revision, now, changes)
    this.#join(boot, now, changes)
    this.#cursor = revision
    return changes
  }

  /** Applies events in order. The cursor moves to the last one's revision. */
  apply (events: readonly SourceEvent[], now: number): Change[] {
    const changes: Change[] = []
    for (const event of events) {
      if (event.type === 'put') this.#put(event.entry, false, now, changes)
      else this.#delete(event.key, event.modRevision, now, changes)
      this.#cursor = event.type === 'put' ? event.entry.modRevision : event.modRevision
    }
    this.#join(false, now, changes)
    return changes
  }

  /** Nothing was written below the prefix up to `revision`. The cursor never moves back. */
  advance (revision: bigint): void {
    if (this.#cursor !== null && revision > this.#cursor) this.#cursor = revision
  }

  #put (entry: Entry, boot: boolean, now: number, changes: Change[]): void {
    const { key, modRevision } = entry
    const before = this.#keys.get(key)
    const decoded = this.#codec.decode(entry, before?.registrations)
    this.#parts.put(key, decoded, modRevision)
    const registrations = decoded.kind === 'peers' ? decoded.peers : []
    const errors = this.#errorsOf(decoded)
    // Settings that cannot be read leave the last good ones in force.
    const unread = decoded.kind === 'invalid' ? before?.settings ?? null : null
    const settings = decoded.kind === 'settings' ? this.#settle(decoded, modRevision, errors, changes) : unread
    // What was changed last stands last.
    this.#keys.delete(key)
    this.#keys.set(key, { modRevision, digest: digestOf(entry), registrations, settings })
    // First what is named now, then what no longer is: a service that changes its only peer is never without one.
    for (const registration of registrations) {
      this.#place(registration.service, this.#claims.set(registration), modRevision, boot, now, changes)
    }
    const named = new Set(registrations.map(claimOf))
    for (const old of before?.registrations ?? []) {
      if (!named.has(claimOf(old))) this.#withdraw(old, modRevision, now, changes)
    }
    if (before !== undefined && before.settings !== settings) this.#unsettle(before.settings, modRevision, changes)
    if (errors.length > 0) this.invalidKeys.set(key, errors.join('; '))
    else this.invalidKeys.delete(key)
  }

  #delete (key: string, revision: bigint, now: number, changes: Change[]): void {
    const held = this.#keys.get(key)
    if (held === undefined) return
    this.#keys.delete(key)
    this.invalidKeys.delete(key)
    this.#parts.delete(key, revision)
    for (const registration of held.registrations) this.#withdraw(registration, revision, now, changes)
    this.#unsettle(held.settings, revision, changes)
  }

  /** Places what is made of several keys, once all news is in: of two keys of one transaction nobody sees half. */
  #join (boot: boolean, now: number, changes: Change[]): void {
    const joined = this.#parts.take()
    for (const { is, revision } of joined) {
      if (is !== null) this.#place(is.service, this.#claims.set(is), revision, boot, now, changes)
    }
    for (const { was, is, revision } of joined) {
      if (was !== null && (is === null || claimOf(was) !== claimOf(is))) this.#withdraw(was, revision, now, changes)
    }
  }

  #place (name: string, peer: Peer, revision: bigint, boot: boolean, now: number, changes: Change[]): void {
    const service = this.#store.ensure(name)
    const known = service.peers.get(identityOf(peer))
    if (known !== undefined && saysTheSame(known.peer, peer)) {
      known.peer = peer
      return
    }
    service.revision = revision
    changes.push({ type: known === undefined ? 'added' : 'changed', service, state: service.put(peer, now, boot) })
  }

  #withdraw (registration: Registration, revision: bigint, now: number, changes: Change[]): void {
    const other = this.#claims.withdraw(registration)
    if (other !== undefined) return this.#place(registration.service, other, revision, false, now, changes)
    const service = this.#store.ensure(registration.service)
    const state = service.remove(identityOf(registration.peer))
    service.revision = revision
    if (state !== undefined) changes.push({ type: 'removed', service, state })
    this.#store.prune(service.name)
  }

  /** Makes live settings from the registry count, or keeps the last good ones and says why. */
  #settle ({ service: name, value }: Decoded & { kind: 'settings' }, revision: bigint, errors: string[], changes: Change[]): string | null {
    const known = this.#store.get(name)?.settingsKey === true
    try {
      const settings = this.#readSettings(name, value)
      const service = this.#store.ensure(name)
      service.configure(settings, true)
      service.revision = revision
      changes.push({ type: 'settings', service })
      return name
    } catch (error) {
      errors.push(error instanceof Error ? error.message : String(error))
      return known ? name : null
    }
  }

  #unsettle (name: string | null, revision: bigint, changes: Change[]): void {
    const service = name === null ? undefined : this.#store.get(name)
    if (service === undefined) return
    service.configure(this.#codeSettings(service.name), false)
    service.revision = revision
    changes.push({ type: 'settings', service })
    this.#store.prune(service.name)
  }

  #namesPeer (entry: Entry): boolean {
    const decoded = this.#codec.decode(entry, undefined)
    return decoded.kind === 'part' ? decoded.field === 'url' && decoded.value !== undefined : decoded.kind === 'peers' && decoded.peers.length > 0
  }

  #errorsOf (decoded: Decoded): string[] {
    if (decoded.kind === 'invalid') return [decoded.error]
    return 'errors' in decoded ? [...decoded.errors] : []
  }
}

function claimOf ({ service, peer }: Registration): string {
  return `${service}\n${identityOf(peer)}`
}
