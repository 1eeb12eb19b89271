import type { Peer } from '../store/peer.js'
import type { Registry } from '../syncer/registry.js'
import type { Entry, Feed, Slices, Source } from '../syncer/source.js'
import type { Change, Syncer } from '../syncer/syncer.js'
import { now } from './clock.js'
import type { SnapshotFile } from './snapshot-file.js'

/** How soon after a change the snapshot is written (ms), however many more follow; and after it could not be. */
const WRITE_WITHIN = 500
const WRITE_AGAIN = 5000

/** Who hears what came of the registry's news. */
export interface Audience {
  /** Peers or settings have changed. `isBoot`: they were there before this gateway. */
  readonly changed: (changes: readonly Change[], isBoot: boolean) => void
  /** Something else that somebody may wait for. */
  readonly told: () => void
  readonly log: Record<'info' | 'warn' | 'error', (first: object | string, text?: string) => void>
}

/** Brings the news of a source to the syncer, keeps the registry's state, and the snapshot file beside it. */
export class Follower {
  readonly #syncer: Syncer
  readonly #registry: Registry
  readonly #source: Source
  readonly #file: SnapshotFile | null
  readonly #keyPrefix: string
  readonly #audience: Audience
  #timer: NodeJS.Timeout | undefined
  #writing: Promise<void> | null = null
  #isBehind = false
  #isListing = false
  #trouble = ''

  constructor (syncer: Syncer, registry: Registry, source: Source, file: SnapshotFile | null, keyPrefix: string, audience: Audience) {
    this.#syncer = syncer
    this.#registry = registry
    this.#source = source
    this.#file = file
    this.#keyPrefix = keyPrefix
    this.#audience = audience
  }

  /** Takes what the snapshot file holds, if there is one. Never throws: trouble with it is told. */
  async restore (): Promise<void> {
    if (this.#file === null) return
    try {
      const snapshot = await this.#file.read(this.#keyPrefix)
      if (snapshot === null) return
      const slices = this.#syncer.list(snapshot.listing, { isSame: true, isBoot: true }, now()) ?? []
      for (const changes of slices) this.#audience.changed(changes, true)
      this.#registry.restored(snapshot.verifiedAt)
      this.#audience.log.info({ keys: snapshot.listing.entries.length }, `serving by the snapshot file ${this.#file.path} until the registry has been read`)
      this.#audience.told()
    } catch (error) {
      this.#audience.log.warn(`the snapshot file ${this.#file.path} is not used: ${error instanceof Error ? error.message : String(error)}`)
    }
  }

  /** Begins to follow. */
  start (): void {
    this.#source.start(this.#feed())
  }

  /** Finds out whether the registry as of `revision` is applied; `syncer.reached` will tell. */
  ask (revision: bigint): void {
    this.#source.ask(revision)
  }

  /** Changes a key at the registry itself: `Source.amend`. */
  async amend (peer: Peer, edit: (entry: Entry) => string): Promise<bigint> {
    return await this.#source.amend(peer, edit)
  }

  async close (): Promise<void> {
    await this.#source.close()
    clearTimeout(this.#timer)
    await this.#writing
    clearTimeout(this.#timer)
    // Also when nothing has changed: it says until when that was known. But what is old may be newer in the file by now.
    if (this.#isBehind || this.#registry.state(now()) === 'live') await this.#write()
  }

  #feed (): Feed {
    const [syncer, registry, { log, told }] = [this.#syncer, this.#registry, this.#audience]
    return {
      get position () { return syncer.position },
      anchors: () => syncer.anchors(),
      list: (listing, isSame) => {
        const slices = syncer.list(listing, { isSame, isBoot: !registry.synced }, now())
        return slices === null ? null : this.#listed(slices, listing.entries.length)
      },
      apply: events => this.#adopt(syncer.apply(events, now()), false),
      advance: revision => {
        syncer.advance(revision)
        told()
      },
      verified: (revision, at) => {
        if (registry.lastError !== null) log.info('in step with the registry again')
        syncer.prove(revision)
        registry.verified(at)
        told()
      },
      comparing: isOn => syncer.comparing(isOn),
      compare: entries => this.#compared(syncer.compare(entries, now())),
      failed: sentence => {
        if (registry.lastError !== sentence) log.warn(sentence)
        registry.lastError = sentence
      },
      warn: sentence => log.warn(sentence),
      doubted: () => { registry.isDoubted = true },
      reconnected: () => { registry.reconnects++ },
      resyncing: (reason, sentence) => {
        registry.resyncs[reason]++
        log.warn({ reason }, `listing the registry again: ${sentence}`)
      }
    }
  }

  * #listed (slices: Iterable<readonly Change[]>, keys: number): Slices {
    const isBoot = !this.#registry.synced
    let count = 0
    // Half a listing is nothing to write down.
    this.#isListing = true
    for (const changes of slices) {
      count += changes.length
      this.#adopt(changes, isBoot)
      yield
    }
    this.#isListing = false
    this.#audience.log.info({ revision: String(this.#syncer.position?.cursor), keys, changes: count }, 'the registry was listed')
    // Also when nothing changed: the file may be another one, or none.
    this.#note()
  }

  * #compared (slices: Generator<readonly Change[], number>): Slices<number> {
    for (;;) {
      const { done, value } = slices.next()
      if (done === true) {
        if (value > 0) {
          this.#registry.resyncs.comparison++
          this.#audience.log.error({ keys: value }, 'what was held differed from the registry, and was repaired; please report this')
        }
        return value
      }
      this.#adopt(value, false)
      yield
    }
  }

  #adopt (changes: readonly Change[], isBoot: boolean): void {
    this.#audience.changed(changes, isBoot)
    if (changes.length > 0) this.#note()
  }

  /** Something is to be written down, soon. */
  #note (): void {
    if (this.#file === null) return
    this.#isBehind = true
    if (this.#writing !== null || this.#timer !== undefined) return
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      this.#writing = this.#write().finally(() => {
        this.#writing = null
        // What is being listed says so at its end.
        if (this.#isBehind && !this.#isListing) this.#note()
      })
    }, this.#trouble === '' ? WRITE_WITHIN : WRITE_AGAIN).unref()
  }

  /** Only what a registry has said: what came from the file is there already. */
  async #write (): Promise<void> {
    const { position } = this.#syncer
    if (this.#file === null || position === null || !this.#registry.synced || this.#isListing) return
    this.#isBehind = false
    const listing = { entries: this.#syncer.entries(), revision: position.cursor, storeId: position.storeId }
    try {
      await this.#file.write({ keyPrefix: this.#keyPrefix, listing, verifiedAt: this.#registry.lastVerifiedAt ?? now() })
      this.#trouble = ''
    } catch (error) {
      const trouble = error instanceof Error ? error.message : String(error)
      if (trouble !== this.#trouble) this.#audience.log.warn(`the snapshot file ${this.#file.path} cannot be written: ${trouble}`)
      this.#trouble = trouble
      this.#isBehind = true
    }
  }
}
