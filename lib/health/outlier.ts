import type { Outcome } from '../logger/outcome.js'
import type { PeerState } from '../store/peer.js'
import type { Service } from '../store/service.js'
import type { OutlierSettings } from '../store/settings.js'
import { attempt, eject, isAlone, restore } from './ejection.js'
import { count, countStreak, isFailure, streakOf } from './judgement.js'
import { roundsOf } from './rounds.js'
import type { Verdict } from './verdict.js'

/**
 * Passive judgement by what requests came to (Envoy's outlier detection, gRPC A50): consecutive 5xx and consecutive
 * failures at once, the rest at each interval, which is `sweep.ts`. 4xx and clients that left never count.
 */

/** Counts one outcome and judges at once what can be judged by it. O(1) unless a peer is to be ejected. */
export function observe (service: Service, state: PeerState, outcome: Outcome, now: number, random: () => number): Verdict | undefined {
  const isProbe = state.probeEnded
  if (isProbe) {
    state.probeEnded = false
    service.touch()
  }
  if (state.isRemoved || ('error' in outcome && outcome.error === 'aborted')) return undefined
  countStreak(state, outcome)
  const { outlier } = service.settings
  if (outlier === false) return undefined
  count(state, outcome)
  roundsOf(service).judged.add(state)
  if (isProbe) return conclude(service, state, outlier, outcome, now, random)
  const grievance = isFailure(outcome) ? streakOf(state, outlier) : undefined
  return grievance === undefined ? undefined : attempt(service, state, outlier, grievance, now, random)
}

/** The one request after an ejection was answered well. */
export function prove (service: Service, state: PeerState, now: number): Verdict | undefined {
  if (state.isRemoved) return undefined
  return restore(service, state, 'probe_succeeded', 'the probing request succeeded', now)
}

/** What the one request after an ejection came to. */
function conclude (service: Service, state: PeerState, outlier: OutlierSettings, outcome: Outcome, now: number, random: () => number): Verdict | undefined {
  if (!isFailure(outcome)) return prove(service, state, now)
  const reason = `the probing request failed (${told(outcome)})`
  if (isAlone(service, state)) return restore(service, state, 'only_peer', `${reason}, but it is the only peer`, now)
  return eject(service, state, outlier, { cause: 'probe_failed', reason }, now, random)
}

function told (outcome: Outcome): string {
  return 'error' in outcome ? outcome.error : `status ${outcome.status}`
}
