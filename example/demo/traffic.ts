import { setTimeout as sleep } from 'node:timers/promises'
import { atEnd } from './ending.js'

/** From the start of one request to that of the next (ms). */
const PERIOD = 20

/** A steady trickle: one request after the other, 50 a second. */
export class Traffic {
  readonly startedAt = Date.now()
  sent = 0
  failed = 0
  /** What the last failure was; null when there was none. */
  lastFailure: string | null = null
  readonly #url: string
  readonly #watchers = new Set<(from: string) => void>()
  #isStopped = false
  #held: Promise<unknown> = Promise.resolve()

  constructor (url: string) {
    this.#url = url
    atEnd(() => { this.#isStopped = true })
    this.#run()
  }

  /** Who answered the next `n` requests: how many by peer, and by `failed`. */
  next (n: number): Promise<Map<string, number>> {
    const counts = new Map<string, number>()
    let left = n
    return new Promise(resolve => {
      const watch = (from: string): void => {
        counts.set(from, (counts.get(from) ?? 0) + 1)
        if (--left > 0) return
        this.#watchers.delete(watch)
        resolve(counts)
      }
      this.#watchers.add(watch)
    })
  }

  /** Does something between two requests: none is under way, and none is sent before `what` is done. */
  async between (what: () => Promise<unknown>): Promise<void> {
    await this.next(1)
    const done = what()
    this.#held = done.catch(() => {})
    await done
  }

  async #run (): Promise<void> {
    while (!this.#isStopped) {
      const due = sleep(PERIOD)
      const from = await this.#send()
      this.sent++
      for (const watch of [...this.#watchers]) watch(from)
      await due
      await this.#held
    }
  }

  async #send (): Promise<string> {
    try {
      const answer = await fetch(this.#url, { signal: AbortSignal.timeout(5000) })
      if (!answer.ok) throw new Error(`${answer.status} ${await answer.text()}`)
      const { from } = await answer.json() as { from: string }
      return from
    } catch (error) {
      this.failed++
      this.lastFailure = String(error)
      return 'failed'
    }
  }
}
