import type { PeerState } from '../store/peer.js'
import type { Service } from '../store/service.js'
import { CodeCounts } from './codes.js'
import { noErrors } from './outcome.js'
import { Window } from './window.js'

/** What the logger keeps for one peer or one service, made when the first request ends. */
export class TrafficRecord {
  readonly window: Window
  /** When the first request ended, epoch ms: rates of the first minute are taken from then. */
  readonly since: number
  /** Answers since first seen. */
  readonly codes = new CodeCounts()
  /** Failures since first seen. */
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
