import { identityOf, saysTheSame, type Peer, type PeerState } from '../store/peer.js'
import type { Service } from '../store/service.js'
import type { ServiceSettings } from '../store/settings.js'
import type { Store } from '../store/store.js'
import { Claims } from './claims.js'
import type { Codec } from './codec/codec.js'
import type { Decoded, Registration } from './codec/registration.js'
import { digestOf } from './digest.js'
import { Parts } from './parts.js'
import type { Anchor, Entry } from './source.js'

/** What an application of news changed. */
export type Change =
  | { readonly type: 'added' | 'removed', readonly service: Service, readonly state: PeerState }
  /** `was` is the registration before this one. */
  | { readonly type: 'changed', readonly service: Service, readonly state: PeerState, readonly was: Peer }
  | { readonly type: 'settings', readonly service: Service }

/** Lays raw settings from the registry over a service's settings in code; throws an error that says what is wrong. */
export type ReadSettings = (service: string, raw: Readonly<Record<string, unknown>>) => ServiceSettings

/** More keys than this are not looked at to recognise a store. */
const ANCHORS = 32

interface Held {
  readonly modRevision: bigint
  /** The value is not one of those over 64 KiB, of which only the size is known. */
  readonly isWhole: boolean
  /** As it came, when entries are kept. */
  readonly entry: Entry | null
  readonly digest: number
  readonly registrations: readonly Registration[]
  /** The service whose settings this key holds. */
  readonly settings: string | null
}

/** The time and the revision of a change, and where what came of it is noted. */
export interface Applying {
  /** The first listing since this gateway started: its peers were there before. */
  readonly isBoot: boolean
  readonly now: number
  readonly changes: Change[]
}

/**
 * What each key says, and through it the peers and settings in the store. A change costs O(1), however many there are.
 * Nothing that a key holds can make it throw.
 */
export class Keys {
  /** Key → what is wrong with it, until it is corrected or deleted. */
  readonly invalid = new Map<string, string>()
  /** Keys put, deleted, and put with something bad in them. */
  readonly events = { put: 0, delete: 0, invalid: 0 }
  readonly #store: Store
  readonly #codec: Codec
  readonly #codeSettings: (service: string) => ServiceSettings
  readonly #readSettings: ReadSettings
  readonly #keepsEntries: boolean
  readonly #keys = new Map<string, Held>()
  readonly #claims = new Claims()
  readonly #parts = new Parts()
  /** The key that was put last. */
  #newest = ''

  constructor (store: Store, codec: Codec, codeSettings: (service: string) => ServiceSettings, readSettings: ReadSettings, keepsEntries: boolean) {
    this.#store = store
    this.#codec = codec
    this.#codeSettings = codeSettings
    this.#readSettings = readSettings
    this.#keepsEntries = keepsEntries
  }

  get size (): number {
    return this.#keys.size
  }

  /** Whether this is what is held, value and all. */
  has (entry: Entry): boolean {
    const held = this.#keys.get(entry.key)
    return held?.modRevision === entry.modRevision && held.digest === digestOf(entry)
  }

  /** Whether any key names a peer. O(services). */
  get namesAny (): boolean {
    return [...this.#store.services.values()].some(({ peers }) => peers.size > 0)
  }

  /** Those held that are not among these. O(keys). */
  except (others: ReadonlySet<string>): string[] {
    return [...this.#keys.keys()].filter(key => !others.has(key))
  }

  /** All entries as they came, if they are kept. O(keys), and nothing changes them later. */
  entries (): Entry[] {
    return [...this.#keys.values()].flatMap(({ entry }) => entry ?? [])
  }

  /** The key that was put last and whose value is known, unless it was deleted since. O(1). */
  get newest (): Anchor | null {
    const held = this.#keys.get(this.#newest)
    return held === undefined ? null : { key: this.#newest, modRevision: held.modRevision, digest: held.digest }
  }

  /**
   * Keys by which the store can be told from another: half of them those that were changed last, which an older state of
   * the store does not have, the others from all over. None whose value stayed behind. O(keys).
   */
  anchors (): Anchor[] {
    const all = [...this.#keys].filter(([, { isWhole }]) => isWhole).map(([key, { modRevision, digest }]) => ({ key, modRevision, digest }))
    if (all.length <= ANCHORS) return all
    const half = ANCHORS / 2
    const latest = new Set(latestOf(all, half))
    const others = all.filter(anchor => !latest.has(anchor))
    return [...others.filter((_, i) => i % Math.ceil(others.length / half) === 0), ...latest]
  }

  namesPeer (entry: Entry): boolean {
    const decoded = this.#codec.decode(entry, undefined)
    return decoded.kind === 'part' ? decoded.field === 'url' && decoded.value !== undefined : decoded.kind === 'peers' && decoded.peers.length > 0
  }

  put (entry: Entry, applying: Applying): void {
    const { key, modRevision } = entry
    const before = this.#keys.get(key)
    const digest = digestOf(entry)
    this.events.put++
    const decoded = this.#codec.decode(entry, before?.registrations)
    this.#parts.put(key, decoded, modRevision)
    const registrations = decoded.kind === 'peers' ? decoded.peers : []
    const errors = this.#errorsOf(decoded)
    // Settings that cannot be read leave the last good ones in force.
    const unread = decoded.kind === 'invalid' ? before?.settings ?? null : null
    const isSettled = before?.digest === digest && !this.invalid.has(key)
    const settings = decoded.kind === 'settings' ? this.#settle(decoded, isSettled, modRevision, errors, applying) : unread
    const isWhole = entry.size === 0 || entry.value !== ''
    if (isWhole) this.#newest = key
    this.#keys.set(key, { modRevision, isWhole, digest, registrations, settings, entry: this.#keepsEntries ? entry : null })
    // First what is named now, then what no longer is: a service that changes its only peer is never without one.
    for (const registration of registrations) this.#place(registration, modRevision, applying)
    if (before !== undefined && before.registrations.length > 0) {
      const named = new Set(registrations.map(claimOf))
      for (const old of before.registrations) if (!named.has(claimOf(old))) this.#withdraw(old, modRevision, applying)
    }
    if (before !== undefined && before.settings !== settings) this.#unsettle(before.settings, modRevision, applying)
    if (errors.length === 0) this.invalid.delete(key)
    else {
      this.events.invalid++
      this.invalid.set(key, errors.join('; '))
    }
  }

  delete (key: string, revision: bigint, applying: Applying): void {
    const held = this.#keys.get(key)
    if (held === undefined) return
    this.events.delete++
    this.#keys.delete(key)
    this.#parts.delete(key, revision)
    this.invalid.delete(key)
    for (const registration of held.registrations) this.#withdraw(registration, revision, applying)
    this.#unsettle(held.settings, revision, applying)
  }

  /**
   * Places what is made of several keys. To be called once all news is in, after the last slice: of two keys of one
   * transaction nobody sees half.
   */
  join (applying: Applying): void {
    const joined = this.#parts.take()
    for (const { is, revision } of joined) if (is !== null) this.#place(is, revision, applying)
    for (const { was, is, revision } of joined) {
      if (was !== null && (is === null || claimOf(was) !== claimOf(is))) this.#withdraw(was, revision, applying)
    }
  }

  #place (registration: Registration, revision: bigint, applying: Applying): void {
    const service = this.#store.ensure(registration.service)
    const known = service.peers.get(identityOf(registration.peer))
    this.#count(service, this.#claims.set(registration, known?.peer), known, revision, applying)
  }

  #withdraw (registration: Registration, revision: bigint, applying: Applying): void {
    const service = this.#store.ensure(registration.service)
    const other = this.#claims.withdraw(registration)
    const identity = identityOf(registration.peer)
    if (other !== undefined) return this.#count(service, other, service.peers.get(identity), revision, applying)
    const state = service.remove(identity)
    service.revision = revision
    if (state !== undefined) applying.changes.push({ type: 'removed', service, state })
    this.#store.prune(service.name)
  }

  /** `peer` is what is said of it now. */
  #count (service: Service, peer: Peer, known: PeerState | undefined, revision: bigint, { isBoot, now, changes }: Applying): void {
    if (known !== undefined && saysTheSame(known.peer, peer)) {
      known.peer = peer
      return
    }
    // A listing comes in the order of its keys.
    if (!isBoot || revision > service.revision) service.revision = revision
    const was = known?.peer
    const state = service.put(peer, now, isBoot)
    changes.push(was === undefined ? { type: 'added', service, state } : { type: 'changed', service, state, was })
  }

  /** Makes live settings from the registry count, or keeps the last good ones and says why. */
  #settle ({ service: name, value }: Decoded & { kind: 'settings' }, isSettled: boolean, revision: bigint, errors: string[], { changes }: Applying): string | null {
    const known = this.#store.get(name)?.settingsKey === true
    if (known && isSettled) return name
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

  #unsettle (name: string | null, revision: bigint, { changes }: Applying): void {
    const service = name === null ? undefined : this.#store.get(name)
    if (service === undefined) return
    service.configure(this.#codeSettings(service.name), false)
    service.revision = revision
    changes.push({ type: 'settings', service })
    this.#store.prune(service.name)
  }

  #errorsOf (decoded: Decoded): string[] {
    if (decoded.kind === 'invalid') return [decoded.error]
    return 'errors' in decoded ? [...decoded.errors] : []
  }
}

/** The `count` that were changed last. */
function latestOf (all: readonly Anchor[], count: number): Anchor[] {
  // Numbers, because many bigints are slow to sort; revisions are far below 2 ** 53.
  const revisions = all.map(({ modRevision }) => Number(modRevision))
  const least = Math.min(...Float64Array.from(revisions).sort().slice(-count))
  return all.filter((_, i) => Number(revisions[i]) >= least).slice(-count)
}

function claimOf ({ service, peer }: Registration): string {
  return `${service}\n${identityOf(peer)}`
}
