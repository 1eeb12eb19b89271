import type { Outcome } from '../logger/outcome.js'
import type { PeerState } from '../store/peer.js'
import type { OutlierSettings } from '../store/settings.js'
import type { EjectionCause, Grievance } from './verdict.js'

type Counts = Record<'eject' | 'spare', Map<EjectionCause, number>>

/** What is counted of a peer between two sweeps, how often it was ejected lately, and what was made of it in all. */
export class Judgement {
  requests = 0
  failures = 0
  /** Requests that did not fail, and the sum of their times to first byte (ms). */
  answered = 0
  waited = 0
  multiplier = 0
  /** How often what came of which rule, since the peer was first seen; null while nothing has. */
  counts: Counts | null = null

  /** Another interval begins. */
  restart (): void {
    this.requests = 0
    this.failures = 0
    this.answered = 0
    this.waited = 0
  }
}

/** It was ejected, or a guard refused that. */
export function record (state: PeerState, action: keyof Counts, cause: EjectionCause): void {
  const judgement = judgementOf(state)
  judgement.counts ??= { eject: new Map(), spare: new Map() }
  const counts = judgement.counts[action]
  counts.set(cause, (counts.get(cause) ?? 0) + 1)
}

/** How often the peer was ejected, or a guard refused that, by the rule that it broke. */
export function judgementCounts (state: PeerState, action: keyof Counts): Iterable<readonly [EjectionCause, number]> {
  return state.judgement instanceof Judgement && state.judgement.counts !== null ? state.judgement.counts[action] : []
}

/** What is counted of a peer, made on first use. */
export function judgementOf (state: PeerState): Judgement {
  if (state.judgement instanceof Judgement) return state.judgement
  const judgement = new Judgement()
  state.judgement = judgement
  return judgement
}

/** Does this outcome speak against the peer? */
export function isFailure (outcome: Outcome): boolean {
  return 'error' in outcome || outcome.status >= 500
}

/** Counts one outcome for the next sweep. */
export function count (state: PeerState, outcome: Outcome): void {
  const judgement = judgementOf(state)
  judgement.requests++
  if (isFailure(outcome)) judgement.failures++
  else if ('status' in outcome) wait(judgement, outcome.ttfb ?? outcome.ms)
}

/** A time that is none, which others may tell, would spoil the sum. */
function wait (judgement: Judgement, ms: number): void {
  if (!(ms >= 0 && ms < Infinity)) return
  judgement.answered++
  judgement.waited += ms
}

/** Counts equal failures in a row. */
export function countStreak (state: PeerState, outcome: Outcome): void {
  if (!isFailure(outcome)) {
    state.consecutive5xx = 0
    state.consecutiveErrors = 0
  } else if ('error' in outcome) state.consecutiveErrors++
  else state.consecutive5xx++
}

/** Too many failures in a row? */
export function streakOf (state: PeerState, outlier: OutlierSettings): Grievance | undefined {
  if (outlier.consecutive5xx > 0 && state.consecutive5xx >= outlier.consecutive5xx) {
    return { cause: 'consecutive_5xx', reason: `${state.consecutive5xx} requests in a row answered with 5xx` }
  }
  if (outlier.consecutiveErrors > 0 && state.consecutiveErrors >= outlier.consecutiveErrors) {
    return { cause: 'consecutive_errors', reason: `${state.consecutiveErrors} attempts in a row failed to connect, were reset or timed out` }
  }
  return undefined
}

/** Too many failures for the requests of an interval? */
export function rateOf ({ requests, failures }: Judgement, outlier: OutlierSettings): Grievance | undefined {
  if (outlier.failureRate === 0 || requests < outlier.minRequests || failures / requests < outlier.failureRate) return undefined
  return { cause: 'failure_rate', reason: `${failures} of ${requests} requests failed in ${outlier.interval / 1000} s` }
}
