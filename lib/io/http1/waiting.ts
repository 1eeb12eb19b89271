import type { Passenger } from '../carrier.js'
import type { Ready } from './request.js'

/** How many may wait before those are looked for who do so no more. */
const MANY = 64

/** Those for whom there is no connection, in their order. */
export class Waiting {
  /** Those who were on their way already, and go before all others. */
  readonly #returned = new Map<Passenger, Ready>()
  readonly #waiting = new Map<Passenger, Ready>()
  #sweepAt = MANY

  get isEmpty (): boolean {
    return this.#waiting.size === 0 && this.#returned.size === 0
  }

  addFirst (ready: Ready, passenger: Passenger): void {
    this.#returned.set(passenger, ready)
  }

  /** Who is over by then is not kept with his body until a connection is free, which may be hours. */
  add (ready: Ready, passenger: Passenger): void {
    this.#waiting.set(passenger, ready)
    if (this.#waiting.size < this.#sweepAt) return
    for (const one of this.#waiting.keys()) if (one.isOver) this.#waiting.delete(one)
    this.#sweepAt = Math.max(MANY, 2 * this.#waiting.size)
  }

  /** Who has waited longest, of those who still do; he waits no more. */
  next (): [Ready, Passenger] | undefined {
    for (const line of [this.#returned, this.#waiting]) {
      for (const [passenger, ready] of line) {
        line.delete(passenger)
        if (!passenger.isOver) return [ready, passenger]
      }
    }
    return undefined
  }

  /** All of them, who wait no more. */
  take (): Array<[Ready, Passenger]> {
    const all = [...this.#returned, ...this.#waiting].map(([passenger, ready]): [Ready, Passenger] => [ready, passenger])
    this.#returned.clear()
    this.#waiting.clear()
    return all.filter(([, { isOver }]) => !isOver)
  }
}
