import { setImmediate as turn, setTimeout as sleep } from 'node:timers/promises'
import type { EtcdSettings } from '../../options.js'
import type { Feed, Position, ResyncReason, Slices, Source } from '../../syncer/source.js'
import { connect, type EtcdClients } from './clients.js'
import { list } from './listing.js'
import { historyOf, Replaced, standing } from './verify.js'
import { Compacted, openWatch, type Watch, type WatchNews } from './watch.js'
import { sentenceOf } from './words.js'

/** Pauses between attempts (ms): doubling, with jitter; from the start again once data has arrived. */
const FIRST_PAUSE = 100
const LONGEST_PAUSE = 5000
/** How often the registry is asked whether we are in step (ms, ± 20 %), and how long news may take to arrive. */
const VERIFY_EVERY = 3000
const NEWS_WITHIN = 4000
const LOOK_AGAIN = 250
/** The same when somebody waits for a revision. */
const LOOK_AGAIN_SOON = 10
/** How often all that is held is compared with a listing (ms, ± 20 %). */
const COMPARE_EVERY = 300_000

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
  readonly #compareEvery: number
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
  #compareAt: number
  /** The highest revision that somebody waits for, and whether it is being asked about. */
  #wanted = 0n
  #isAsking = false
  /** Whose turn it is among the hosts for the watch. */
  #turn = 0

  constructor (settings: EtcdSettings, prefix: string, compareEvery = COMPARE_EVERY) {
    this.#prefix = prefix
    this.#hosts = settings.hosts.join(', ')
    this.#clients = connect(settings)
    this.#compareEvery = compareEvery
    this.#compareAt = Date.now() + about(compareEvery)
  }

  start (feed: Feed): void {
    this.#feed = feed
    this.#running = this.#run(feed)
  }

  ask (revision: bigint): void {
    if (revision > this.#wanted) this.#wanted = revision
    if (this.#isAsking || this.#feed === null) return
    this.#isAsking = true
    // That it cannot be asked is told by those who follow it.
    this.#seek(this.#feed).catch(() => {}).finally(() => { this.#isAsking = false })
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
      if (this.#wasOpen && !this.#closing.signal.aborted) feed.reconnecting()
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
  async #catchUp (feed: Feed): Promise<bigint> {
    const { position } = feed
    const { calls } = this.#clients
    const history = position === null ? 'same' : await historyOf(calls, this.#prefix, position, feed.anchors())
    const reason = history === 'same' ? this.#listAgain : history
    if (position !== null && reason === null && this.#isListed) return position.cursor
    if (this.#isListed && reason !== null) feed.resyncing(reason, SENTENCES[reason])
    const listing = await list(calls, this.#prefix)
    const slices = feed.list(listing, history === 'same')
    if (slices === null) throw new Error(`${SENTENCES[reason ?? 'replaced']}, and ${NO_PEER}`)
    await finish(slices, this.#closing.signal)
    if (this.#closing.signal.aborted) throw new Error('closed')
    this.#isListed = true
    this.#listAgain = null
    this.#pause = FIRST_PAUSE
    feed.verified(listing.revision)
    return listing.revision
  }

  /** Asks again and again whether everything written has arrived. A failing read disturbs nothing; missed news do. */
  async #keepVerifying (feed: Feed, over: AbortSignal): Promise<void> {
    while (!over.aborted) {
      try {
        const head = await this.#inStep(feed, over)
        if (over.aborted) return
        if (head === null) break
        this.#pause = FIRST_PAUSE
        feed.verified(head)
        if (Date.now() >= this.#compareAt) await this.#compare(feed, over)
      } catch (error) {
        // A watch on another store, or under a token that has run out, is to be opened anew.
        if (error instanceof Replaced || this.#clients.isRefused()) throw error
        if (!over.aborted) feed.failed(sentenceOf(error, this.#hosts))
      }
      await wait(about(VERIFY_EVERY), over)
    }
    if (over.aborted) return
    this.#listAgain = 'missed'
    throw new Error(SENTENCES.missed)
  }

  /** The revision up to which everything is applied; null when what is missing has not come in time. */
  async #inStep (feed: Feed, over: AbortSignal): Promise<bigint | null> {
    const deadline = Date.now() + NEWS_WITHIN
    for (;;) {
      const { head, missing } = await standing(this.#clients.calls, this.#prefix, () => positionOf(feed))
      if (missing === null) return head
      if (Date.now() >= deadline || over.aborted) return null
      await wait(LOOK_AGAIN, over)
      if (missing !== 'unknown' && missing <= positionOf(feed).cursor) return positionOf(feed).cursor
    }
  }

  /** Repairs what no question can find: that another value is held than etcd has. */
  async #compare (feed: Feed, over: AbortSignal): Promise<void> {
    this.#compareAt = Date.now() + about(this.#compareEvery)
    feed.comparing(true)
    try {
      const { entries, revision } = await list(this.#clients.calls, this.#prefix)
      const head = await this.#inStep(feed, over)
      if (head !== null && head >= revision && !over.aborted) await finish(feed.compare(entries), over)
    } finally {
      feed.comparing(false)
    }
  }

  /** Somebody waits for a revision: the watch need not tell of it, because it may have changed nothing here. */
  async #seek (feed: Feed): Promise<void> {
    const deadline = Date.now() + NEWS_WITHIN
    const watch = this.#watch
    // Without one, or with another one, what is held may be about to change as a whole; and a new one begins with a question.
    if (watch === null) return
    while (Date.now() < deadline && !this.#closing.signal.aborted) {
      const { head, missing } = await standing(this.#clients.calls, this.#prefix, () => positionOf(feed))
      if (watch !== this.#watch) return
      if (missing === null) feed.verified(head)
      if ((missing === null && head >= this.#wanted) || positionOf(feed).cursor >= this.#wanted) return
      await wait(LOOK_AGAIN_SOON, this.#closing.signal)
    }
  }
}

function positionOf ({ position }: Feed): Position {
  return position ?? { cursor: 0n, keys: 0, storeId: '', newest: null }
}

/** ± 20 %, so that gateways that started together do not ask together. */
function about (ms: number): number {
  return ms * (0.8 + 0.4 * Math.random())
}

/** Does all of it, with a turn of the loop after each slice; an end of `signal` ends it early. */
async function finish (slices: Slices<unknown>, signal: AbortSignal): Promise<void> {
  while (!signal.aborted && slices.next().done !== true) await turn()
}

/** Ends early, and without an error, when the signal comes. It keeps no process alive. */
async function wait (ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal, ref: false }).catch(() => {})
}
