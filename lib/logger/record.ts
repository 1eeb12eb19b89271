import type { PeerState } from '../store/peer.js'
import type { Service } from '../store/service.js'
import { noErrors } from './outcome.js'
import { Window } from './window.js'

/** The first digit of a status; 0 stands for a code outside 1xx…5xx. */
export type StatusClass = 0 | 1 | 2 | 3 | 4 | 5

/** The class that a status is counted under. */
export function classOf (status: number): StatusClass {
  const digit = Math.floor(status / 100)
  return digit >= 1 && digit <= 5 ? digit as StatusClass : 0
}

/** What the logger keeps for one peer or one service, made when the first request ends. */
export class TrafficRecord {
  readonly window: Window
  /** When the first request ended, epoch ms: rates of the first minute are taken from then. */
  readonly since: number
  /** Answers since first seen by class: `classes[2]` are the 2xx. */
  readonly classes: Record<StatusClass, number> = { 0: 0, 1: 0, 2: 0, 3: 0, 4: 0, 5: 0 }
  readonly errors = noErrors()

  constructor (seconds: number, now: number) {
    this.window = new Window(seconds)
    this.since = now
  }
}

/** The record of `owner`, or null while it has seen no traffic. */
export function recordOf (owner: PeerState | Service): TrafficRecord | null {
  return owner.statistics instanceof TrafficRecord ? owner.statistics : null
}

/** The record of `owner`, made at `now` when there is none. */
export function ensureRecord (owner: PeerState | Service, seconds: number, now: number): TrafficRecord {
  if (owner.statistics instanceof TrafficRecord) return owner.statistics
  const record = new TrafficRecord(seconds, now)
  owner.statistics = record
  return record
}
