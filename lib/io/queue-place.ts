import { queueOf, type Waiting } from '../picker/queue.js'
import type { Service } from '../store/service.js'

/** Whose place it is. */
export interface Queueing {
  /** Goes on if it can. */
  readonly turn: () => boolean
  /** Nobody had room in time. */
  readonly waited: () => void
}

/** One request's place in its service's queue, until it goes on, leaves, or has waited long enough. */
export class QueuePlace implements Waiting {
  readonly isChoosy: boolean
  readonly #service: Service
  readonly #owner: Queueing
  #timer: NodeJS.Timeout | undefined

  private constructor (service: Service, owner: Queueing, isChoosy: boolean) {
    this.#service = service
    this.#owner = owner
    this.isChoosy = isChoosy
  }

  /** A place for at most `ms`; null when `most` wait already. `isChoosy`: some peers are no good for it. */
  static join (service: Service, most: number, owner: Queueing, ms: number, isChoosy: boolean): QueuePlace | null {
    const place = new QueuePlace(service, owner, isChoosy)
    if (!queueOf(service).join(place, most)) return null
    place.#timer = setTimeout(() => owner.waited(), ms)
    return place
  }

  turn (): boolean {
    return this.#owner.turn()
  }

  leave (): void {
    clearTimeout(this.#timer)
    queueOf(this.#service).leave(this)
  }
}
