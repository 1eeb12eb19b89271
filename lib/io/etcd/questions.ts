import type { Etcd3 } from 'etcd3'
import type { Feed, Position } from '../../syncer/source.js'
import { now } from '../clock.js'
import { list, Pages } from './listing.js'
import { finish, wait } from './turns.js'
import { standing, type Standing } from './verify.js'

/** How often etcd is asked whether we are in step (ms, ± 20 %), and how long news may take to arrive. */
const VERIFY_EVERY = 3000
const NEWS_WITHIN = 4000
const LOOK_AGAIN = 250
/** The same when somebody waits for a revision. */
const LOOK_AGAIN_SOON = 10
/** How often all that is held is compared with a listing (ms, ± 20 %). */
const COMPARE_EVERY = 300_000

/** Who hears what came of questions. */
export interface Asking {
  readonly inStep: () => void
  /** A question could not be answered. Throws to end the asking. */
  readonly failed: (error: unknown) => void
}

/** What is asked of etcd while a watch is open: whether it has told everything. */
export class Questions {
  readonly #client: Etcd3
  readonly #prefix: string
  readonly #compareEvery: number
  #compareAt: number
  /** The highest revision that somebody waits for, and whether it is being asked about. */
  #wanted = 0n
  #isSeeking = false

  constructor (client: Etcd3, prefix: string, compareEvery = COMPARE_EVERY) {
    this.#client = client
    this.#prefix = prefix
    this.#compareEvery = compareEvery
    this.#compareAt = now() + about(compareEvery)
  }

  /** Asks again and again whether everything written has arrived; ends when something has not. */
  async keepAsking (feed: Feed, over: AbortSignal, asking: Asking): Promise<void> {
    while (!over.aborted) {
      try {
        const answer = await this.#inStep(feed, over)
        if (answer === null || over.aborted) return
        asking.inStep()
        feed.verified(answer.head, answer.askedAt)
        if (now() >= this.#compareAt) await this.#compare(feed, over)
      } catch (error) {
        if (over.aborted) return
        asking.failed(error)
      }
      await wait(about(VERIFY_EVERY), over)
    }
  }

  /** Somebody waits for a revision: the watch need not tell of it, because it may have changed nothing here. */
  seek (revision: bigint, feed: Feed, isOn: () => boolean): void {
    if (revision > this.#wanted) this.#wanted = revision
    // That it cannot be asked is told by those who follow it.
    if (!this.#isSeeking) this.#seek(feed, isOn).catch(() => {})
  }

  /** The question by which everything was applied; null when what is missing has not come in time. */
  async #inStep (feed: Feed, over: AbortSignal): Promise<Standing | null> {
    const deadline = now() + NEWS_WITHIN
    for (;;) {
      const answer = await standing(this.#client, this.#prefix, () => positionOf(feed))
      if (!answer.isBehind) return answer
      if (now() >= deadline || over.aborted) return null
      await wait(LOOK_AGAIN, over)
      // All that had been written when it was asked.
      if (answer.head <= positionOf(feed).cursor) return answer
    }
  }

  /** Repairs what no question can find: that another value is held than etcd has. */
  async #compare (feed: Feed, over: AbortSignal): Promise<void> {
    this.#compareAt = now() + about(this.#compareEvery)
    feed.comparing(true)
    try {
      const { entries, revision } = await list(this.#client, this.#prefix, new Pages())
      const inStep = await this.#inStep(feed, over)
      if (inStep !== null && inStep.head >= revision && !over.aborted) await finish(feed.compare(entries), over)
    } finally {
      feed.comparing(false)
    }
  }

  async #seek (feed: Feed, isOn: () => boolean): Promise<void> {
    const deadline = now() + NEWS_WITHIN
    this.#isSeeking = true
    try {
      for (let pause = LOOK_AGAIN_SOON; isOn() && now() < deadline; pause = Math.min(2 * pause, LOOK_AGAIN)) {
        const { isBehind, head, askedAt } = await standing(this.#client, this.#prefix, () => positionOf(feed))
        if (!isOn()) return
        if (!isBehind) feed.verified(head, askedAt)
        if ((!isBehind && head >= this.#wanted) || positionOf(feed).cursor >= this.#wanted) return
        await wait(pause)
      }
    } finally {
      this.#isSeeking = false
      this.#wanted = 0n
    }
  }
}

function positionOf ({ position }: Feed): Position {
  return position ?? { cursor: 0n, reached: 0n, keys: 0, storeId: '', newest: null }
}

/** ± 20 %, so that gateways that started together do not ask together. */
function about (ms: number): number {
  return ms * (0.8 + 0.4 * Math.random())
}
