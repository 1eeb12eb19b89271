import type { PeerState } from '../store/peer.js'

/** A peer's checks. Points in time are ms by the clock that never goes back (`Service.rewound`). */
export class Schedule {
  readonly state: PeerState
  /** What to ask; null for connecting. */
  path: string | null = null
  /** When the last one began, and which part of the interval the next one comes after it. */
  startedAt = -Infinity
  part = 0
  dueAt = -Infinity
  /** One is under way. */
  isRunning = false
  /** The queue's: where in it, -1 for nowhere. */
  place = -1
  /** How they ended, since the peer was first seen. */
  ok = 0
  failed = 0

  constructor (state: PeerState) {
    this.state = state
  }
}

/** How many checks of the peer have ended how; nothing when it was never checked. */
export function checkCounts ({ schedule }: PeerState): Iterable<readonly ['ok' | 'failed', number]> {
  return schedule instanceof Schedule && schedule.ok + schedule.failed > 0 ? [['ok', schedule.ok], ['failed', schedule.failed]] : []
}

/**
 * Schedules by due time, the earliest first: a binary heap in an array. Looking at the first costs O(1), whatever else
 * O(log n). Each schedule knows its place, so that a removed peer can be taken out.
 */
export class Queue {
  readonly #heap: Schedule[] = []

  get first (): Schedule | undefined {
    return this.#heap[0]
  }

  /** Puts it where its due time belongs; also when it is in there already. */
  add (schedule: Schedule): void {
    if (schedule.place === -1) schedule.place = this.#heap.length
    this.#sink(this.#rise(schedule))
  }

  /** Takes it out; nothing happens when it is not there. */
  remove (schedule: Schedule): void {
    const { place } = schedule
    if (place === -1) return
    schedule.place = -1
    const last = this.#heap.pop()
    if (last === undefined || last === schedule) return
    last.place = place
    this.#sink(this.#rise(last))
  }

  clear (): void {
    for (const schedule of this.#heap) schedule.place = -1
    this.#heap.length = 0
  }

  /** Moves those that are due later down, from its place on to the root. */
  #rise (schedule: Schedule): Schedule {
    let { place } = schedule
    while (place > 0) {
      const above = this.#heap[(place - 1) >> 1] as Schedule
      if (above.dueAt <= schedule.dueAt) break
      this.#put(above, place)
      place = (place - 1) >> 1
    }
    this.#put(schedule, place)
    return schedule
  }

  /** Moves those that are due earlier up, from its place on to the leaves. */
  #sink (schedule: Schedule): void {
    let { place } = schedule
    for (;;) {
      const left = this.#heap[2 * place + 1]
      const right = this.#heap[2 * place + 2]
      const below = left !== undefined && right !== undefined && right.dueAt < left.dueAt ? right : left
      if (below === undefined || below.dueAt >= schedule.dueAt) break
      const { place: free } = below
      this.#put(below, place)
      place = free
    }
    this.#put(schedule, place)
  }

  #put (schedule: Schedule, place: number): void {
    this.#heap[place] = schedule
    schedule.place = place
  }
}
