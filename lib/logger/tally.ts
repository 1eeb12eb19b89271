import type { Service } from '../store/service.js'
import { Durations } from './durations.js'

/** Why a request of a client was not sent to any peer. */
export const REFUSALS = ['no_peer', 'not_ready', 'queue_full', 'shed'] as const
export type Refusal = typeof REFUSALS[number]

/** What is counted of a service since it was first seen: these numbers only rise. */
export class Tally {
  /** Of client requests, until the last byte of the answer; without those that became WebSockets or the like. */
  readonly requests = new Durations()
  /** Of attempts that were answered, until the response headers. */
  readonly firstBytes = new Durations()
  /** Attempts after the first, by what went wrong with the one before: a status, or how it failed. */
  readonly retries = new Map<string | number, number>([['connect', 0], ['reset', 0], ['timeout', 0]])
  /** Times the budget did not allow a retry. */
  exhausted = 0
  readonly refusals: Record<Refusal, number> = { no_peer: 0, not_ready: 0, queue_full: 0, shed: 0 }

  retried (reason: string | number): void {
    this.retries.set(reason, (this.retries.get(reason) ?? 0) + 1)
  }
}

/** The service's own, or null while nothing was counted. */
export function talliedOf ({ tally }: Service): Tally | null {
  return tally as Tally | null
}

/** The service's own, made on first use. */
export function tallyOf (service: Service): Tally {
  // Nobody else puts anything there, and `instanceof` takes longer than all the rest of the counting.
  return (service.tally ??= new Tally()) as Tally
}
