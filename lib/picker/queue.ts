import type { Service } from '../store/service.js'

/** A request that waits until a peer has room for it. */
export interface Waiting {
  /** Goes on if it can; false when it has to wait on. */
  readonly turn: () => boolean
  /** Some peers are no good for it, so what it cannot take another may. */
  readonly isChoosy: boolean
}

/** The requests of a service that wait for room, first in first out. Leaving is O(1). */
export class Queue {
  readonly #waiting = new Set<Waiting>()
  #isServing = false

  get length (): number {
    return this.#waiting.size
  }

  /** Takes a place behind the others; false when `most` wait already. */
  join (waiting: Waiting, most: number): boolean {
    if (this.#waiting.size >= most) return false
    this.#waiting.add(waiting)
    return true
  }

  leave (waiting: Waiting): void {
    this.#waiting.delete(waiting)
  }

  /** Somewhere there may be room: those who can go on do, in their order. */
  serve (): void {
    // Going on may end at once, which makes room, and would come here again.
    if (this.#isServing) return
    this.#isServing = true
    try {
      for (const waiting of this.#waiting) {
        if (waiting.turn()) this.#waiting.delete(waiting)
        else if (!waiting.isChoosy) break
      }
    } finally {
      this.#isServing = false
    }
  }
}

/** The service's queue, made on first use. */
export function queueOf (service: Service): Queue {
  const { queue } = service
  if (queue instanceof Queue) return queue
  return (service.queue = new Queue())
}

/** How many requests wait for room at one of the service's peers. */
export function waitingIn ({ queue }: Service): number {
  return queue instanceof Queue ? queue.length : 0
}
