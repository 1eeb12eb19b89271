import { setTimeout as sleep } from 'node:timers/promises'
import type { EtcdSettings } from '../../options.js'
import type { Feed, Position, Source } from '../../syncer/source.js'
import { connect, type EtcdClients } from './clients.js'
import { list } from './listing.js'
import { historyOf, outstanding, Replaced } from './verify.js'
import { Compacted, openWatch, type Watch, type WatchNews } from './watch.js'

/** Pauses between attempts (ms): doubling, with jitter; from the start again once data has arrived. */
const FIRST_PAUSE = 100
const LONGEST_PAUSE = 5000
/** How often the registry is asked whether we are in step (ms, ± 20 %), and how long news may take to arrive. */
const VERIFY_EVERY = 3000
const NEWS_WITHIN = 4000
const LOOK_AGAIN = 250

const WHY = {
  same: 'the watch could not go on',
  compacted: 'the changes since have been compacted away',
  other: 'the store is not the one that was followed'
} as const

/**
 * Follows a prefix of etcd: a listing at revision R, a watch from R + 1, and when anything breaks the same again after
 * a pause, from where we stood if the store is still the same one, else by another listing. Nothing that happens to
 * etcd ends it; only `close` does.
 */
export class EtcdSource implements Source {
  readonly #prefix: string
  readonly #clients: EtcdClients
  readonly #hosts: string
  readonly #closing = new AbortController()
  #running: Promise<void> = Promise.resolve()
  #watch: Watch | null = null
  #clusterId = ''
  #pause = FIRST_PAUSE
  #listAgain: string | null = null
  #wasOpen = false
  /** Whose turn it is among the hosts for the watch. */
  #turn = 0

  constructor (settings: EtcdSettings, prefix: string) {
    this.#prefix = prefix
    this.#hosts = settings.hosts.join(', ')
    this.#clients = connect(settings)
  }

  start (feed: Feed): void {
    this.#running = this.#run(feed)
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
        if (error instanceof Compacted) this.#listAgain = error.message
        feed.failed(this.#sentence(error))
      }
      await wait(this.#pause * (0.5 + Math.random() / 2), this.#closing.signal)
      this.#pause = Math.min(this.#pause * 2, LONGEST_PAUSE)
      if (this.#wasOpen && !this.#closing.signal.aborted) feed.reconnecting()
    }
  }

  /** One life of a watch; ends by throwing. */
  async #session (feed: Feed): Promise<void> {
    if (!await this.#clients.login()) feed.warn(`etcd (${this.#hosts}) has authentication off; going on without the credentials`)
    const { cursor } = await this.#catchUp(feed)
    const watch = await this.#open(cursor + 1n, {
      events: events => {
        this.#listAgain = 'changes could not be applied'
        feed.apply(events)
        this.#listAgain = null
        this.#pause = FIRST_PAUSE
      },
      progress: revision => feed.advance(revision)
    })
    this.#watch = watch
    this.#wasOpen = true
    const over = new AbortController()
    // Closing may have come while the watch was being created.
    if (this.#closing.signal.aborted) watch.cancel()
    try {
      await Promise.race([watch.ended, this.#keepVerifying(feed, AbortSignal.any([over.signal, this.#closing.signal]))])
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
  async #catchUp (feed: Feed): Promise<Position> {
    const { position } = feed
    const history = position === null ? 'same' : await historyOf(this.#clients.calls, this.#prefix, position, feed.anchors(), this.#clusterId)
    if (position !== null && history === 'same' && this.#listAgain === null) return position
    if (position !== null) feed.resyncing(this.#listAgain ?? WHY[history])
    const { entries, revision, clusterId } = await list(this.#clients.calls, this.#prefix)
    if (!feed.list(entries, revision, history === 'same')) {
      throw new Error(`${WHY[history]}, and what is there now names no peer; keeping the peers known until one is there`)
    }
    this.#clusterId = clusterId
    this.#listAgain = null
    this.#pause = FIRST_PAUSE
    feed.verified()
    return feed.position ?? { cursor: revision, keys: entries.length }
  }

  /** Asks again and again whether everything written has arrived. A failing read disturbs nothing; missed news do. */
  async #keepVerifying (feed: Feed, over: AbortSignal): Promise<void> {
    while (!over.aborted) {
      await this.#verify(feed, over)
      await wait(VERIFY_EVERY * (0.8 + 0.4 * Math.random()), over)
    }
  }

  async #verify (feed: Feed, over: AbortSignal): Promise<void> {
    const position = (): Position => feed.position ?? { cursor: 0n, keys: 0 }
    const deadline = Date.now() + NEWS_WITHIN
    try {
      let expected = await outstanding(this.#clients.calls, this.#prefix, position, this.#clusterId)
      while (expected !== null && Date.now() < deadline && !over.aborted) {
        await wait(LOOK_AGAIN, over)
        if (expected !== 'unknown' && expected <= position().cursor) expected = null
        else expected = await outstanding(this.#clients.calls, this.#prefix, position, this.#clusterId)
      }
      if (over.aborted) return
      if (expected === null) {
        this.#pause = FIRST_PAUSE
        return feed.verified()
      }
    } catch (error) {
      // A watch on another store, or under a token that has run out, is to be opened anew.
      if (error instanceof Replaced || this.#clients.isRefused()) throw error
      if (!over.aborted) feed.failed(this.#sentence(error))
      return
    }
    this.#listAgain = 'the watch missed changes'
    throw new Error(this.#listAgain)
  }

  /** grpc-js words its errors with an empty note at the end. */
  #sentence (error: unknown): string {
    const message = error instanceof Error ? error.message : String(error)
    return `etcd (${this.#hosts}): ${message.replace(/\.? ?Resolution note:\s*$/, '')}`
  }
}

/** Ends early, and without an error, when the signal comes. It keeps no process alive. */
async function wait (ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal, ref: false }).catch(() => {})
}
