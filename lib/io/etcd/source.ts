import type { EtcdSettings } from '../../options.js'
import type { Peer } from '../../store/peer.js'
import { Refusal, Unreachable } from '../../syncer/refusal.js'
import type { Entry, Feed, ResyncReason, Source } from '../../syncer/source.js'
import { now } from '../clock.js'
import { amend } from './amend.js'
import { connect, type EtcdClients } from './clients.js'
import { list, Pages } from './listing.js'
import { Questions } from './questions.js'
import { historyOf, Replaced } from './verify.js'
import { finish, wait } from './turns.js'
import { Compacted, openWatch, type Watch, type WatchNews } from './watch.js'
import { sentenceOf } from './words.js'

/** Pauses between attempts (ms): doubling, with jitter; from the start again once data has arrived. */
const FIRST_PAUSE = 100
const LONGEST_PAUSE = 5000
const SENTENCES: Readonly<Record<Exclude<ResyncReason, 'comparison'>, string>> = {
  missed: 'the watch missed changes',
  compacted: 'the changes since have been compacted away',
  replaced: 'the store is not the one that was followed'
}
const NO_PEER = 'what is there now names no peer; keeping the peers known until one is there'

/**
 * Follows a prefix of etcd: a listing at revision R, a watch from R + 1, and when anything breaks the same again after
 * a pause, from where we stood if the store is still the same one, else by another listing. Nothing that happens to
 * etcd ends it; only `close` does.
 */
export class EtcdSource implements Source {
  readonly #prefix: string
  readonly #clients: EtcdClients
  readonly #hosts: string
  readonly #questions: Questions
  readonly #closing = new AbortController()
  #feed: Feed | null = null
  #running: Promise<void> = Promise.resolve()
  #watch: Watch | null = null
  #pause = FIRST_PAUSE
  /** Why the position is not to be trusted. */
  #listAgain: Exclude<ResyncReason, 'comparison'> | null = null
  /** Listed by this process: a position may also come from a snapshot. */
  #isListed = false
  #wasOpen = false
  readonly #pages = new Pages()
  /** Whose turn it is among the hosts for the watch. */
  #turn = 0

  /** What is held is compared with a listing every `compareEvery` ms. */
  constructor (settings: EtcdSettings, prefix: string, compareEvery?: number) {
    this.#prefix = prefix
    this.#hosts = settings.hosts.join(', ')
    this.#clients = connect(settings)
    this.#questions = new Questions(this.#clients.calls, prefix, compareEvery)
  }

  start (feed: Feed): void {
    this.#feed = feed
    this.#running = this.#run(feed)
  }

  ask (revision: bigint): void {
    // Without a watch, or with another one, what is held may be about to change as a whole; and a new one begins with a question.
    const watch = this.#watch
    if (watch !== null && this.#feed !== null) this.#questions.seek(revision, this.#feed, () => watch === this.#watch)
  }

  async amend (peer: Pick<Peer, 'key' | 'modRevision'>, edit: (entry: Entry) => string): Promise<bigint> {
    return await amend(this.#clients.calls, this.#prefix, peer, edit).catch((error: unknown) => {
      if (error instanceof Refusal) throw error
      if (String(error).includes('permission denied')) throw new Refusal(`etcd (${this.#hosts}) does not let this gateway write the key: its role may only read`)
      throw new Unreachable(sentenceOf(error, this.#hosts))
    })
  }

  async close (): Promise<void> {
    this.#closing.abort()
    // Cancel before close, or the stream keeps its socket and the process.
    this.#watch?.cancel()
    this.#clients.close()
    await this.#running
  }

  async #run (feed: Feed): Promise<void> {
    while (!this.#closing.signal.aborted) {
      try {
        await this.#session(feed)
      } catch (error) {
        if (this.#closing.signal.aborted) return
        if (error instanceof Compacted) this.#listAgain = 'compacted'
        feed.failed(sentenceOf(error, this.#hosts))
      }
      await wait(this.#pause * (0.5 + Math.random() / 2), this.#closing.signal)
      this.#pause = Math.min(this.#pause * 2, LONGEST_PAUSE)
    }
  }

  /** One life of a watch; ends by throwing. */
  async #session (feed: Feed): Promise<void> {
    if (!await this.#clients.login()) feed.warn(`etcd (${this.#hosts}) has authentication off; going on without the credentials`)
    const cursor = await this.#catchUp(feed)
    const watch = await this.#open(cursor + 1n, {
      events: events => {
        this.#listAgain = 'missed'
        feed.apply(events)
        this.#listAgain = null
        this.#pause = FIRST_PAUSE
      },
      progress: revision => feed.advance(revision)
    })
    this.#watch = watch
    if (this.#wasOpen) feed.reconnected()
    this.#wasOpen = true
    const over = new AbortController()
    // Closing may have come while the watch was being created.
    if (this.#closing.signal.aborted) watch.cancel()
    try {
      await Promise.race([watch.ended, this.#keepAsking(feed, AbortSignal.any([over.signal, this.#closing.signal]))])
    } finally {
      over.abort()
      this.#watch = null
      watch.cancel()
    }
  }

  /** Opens the watch at the first host that creates it, beginning after the one that had it last. */
  async #open (from: bigint, news: WatchNews): Promise<Watch> {
    const { watches } = this.#clients
    let failure: unknown
    for (let i = 0; i < watches.length && !this.#closing.signal.aborted; i++) {
      const client = watches[this.#turn++ % watches.length]
      try {
        if (client !== undefined) return await openWatch(client, this.#prefix, from, news)
      } catch (error) {
        if (error instanceof Compacted) throw error
        failure = error
      }
    }
    throw failure ?? new Error('closed')
  }

  /** Brings the syncer to where a watch can go on from. */
  async #catchUp (feed: Feed): Promise<bigint> {
    const { position } = feed
    const { calls } = this.#clients
    const history = position === null ? 'same' : await historyOf(calls, this.#prefix, position, feed.anchors())
    const reason = history === 'same' ? this.#listAgain : history
    if (history === 'replaced') feed.doubted()
    if (position !== null && reason === null && this.#isListed) return position.reached
    const askedAt = now()
    const listing = await list(calls, this.#prefix, this.#pages)
    const slices = feed.list(listing, history === 'same')
    if (slices === null) throw new Error(`${SENTENCES[reason ?? 'replaced']}, and ${NO_PEER}`)
    if (this.#isListed && reason !== null) feed.resyncing(reason, SENTENCES[reason])
    await finish(slices, this.#closing.signal)
    if (this.#closing.signal.aborted) throw new Error('closed')
    this.#isListed = true
    this.#listAgain = null
    this.#pause = FIRST_PAUSE
    feed.verified(listing.revision, askedAt)
    return listing.revision
  }

  /** Ends by throwing when the watch is worth nothing. A failing read disturbs nothing; missed news do. */
  async #keepAsking (feed: Feed, over: AbortSignal): Promise<void> {
    await this.#questions.keepAsking(feed, over, {
      inStep: () => { this.#pause = FIRST_PAUSE },
      failed: error => {
        // A watch on another store, or under a token that has run out, is to be opened anew.
        if (error instanceof Replaced || this.#clients.isRefused()) throw error
        feed.failed(sentenceOf(error, this.#hosts))
      }
    })
    if (over.aborted) return
    this.#listAgain = 'missed'
    throw new Error(SENTENCES.missed)
  }
}
