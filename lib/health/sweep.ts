import { isHealthy } from '../store/condition.js'
import type { PeerState } from '../store/peer.js'
import type { Service } from '../store/service.js'
import type { OutlierSettings } from '../store/settings.js'
import { attempt, mostOf, recall, restore } from './ejection.js'
import { judgementOf, rateOf, streakOf } from './judgement.js'
import { slowOf } from './latency.js'
import { censusOf, type Rounds } from './rounds.js'
import type { Verdict } from './verdict.js'

/** More failures than this share of requests, and something is wrong with all. */
const COMMON = 0.25

/** Ends an interval: judges what it came to, forgives one earlier ejection for a healthy one. O(peers that had requests). */
export function sweep (service: Service, rounds: Rounds, outlier: OutlierSettings, now: number, random: () => number): Verdict[] {
  const verdicts: Verdict[] = []
  // All of them before any is judged: who is slow is so by comparison.
  const slow = slowOf(rounds.judged, outlier)
  const { common } = rounds
  rounds.common = commonOf(service, rounds, outlier)
  if (common === null && rounds.common !== null) verdicts.push(...recall(service, rounds, rounds.common, now))
  for (const state of rounds.judged) {
    const judgement = judgementOf(state)
    const grievance = rateOf(judgement, outlier) ?? slow.get(state)
    judgement.restart()
    if (state.ejected !== null) continue
    if (grievance !== undefined) {
      const verdict = attempt(service, state, outlier, grievance, now, random)
      if (verdict !== undefined) verdicts.push(verdict)
    } else if (streakOf(state, outlier) === undefined) {
      state.spared = null
      // An interval that checks kept it out of proves nothing.
      if (isHealthy(state)) judgement.multiplier = Math.max(0, judgement.multiplier - 1)
    }
    if (isDone(state)) rounds.judged.delete(state)
  }
  return verdicts
}

/**
 * As many are out as may be, and those that are in fail as well? Then nobody is an outlier: too few take what all could, and
 * others in their place would fail next. That lasts until an interval goes well. Who is ejected does not count: what failed
 * there has been judged.
 */
function commonOf (service: Service, rounds: Rounds, outlier: OutlierSettings): string | null {
  if (rounds.common === null) {
    if (rounds.ejected.size === 0) return null
    const { wanted, out } = censusOf(service, rounds)
    if (out < mostOf(wanted, outlier)) return null
  }
  let [all, bad] = [0, 0]
  for (const state of rounds.judged) {
    if (state.ejected !== null) continue
    const { requests, failures } = judgementOf(state)
    all += requests
    bad += failures
  }
  if (all < outlier.minRequests || bad / all <= COMMON) return null
  return `${bad} of ${all} requests failed in ${outlier.interval / 1000} s at those that are in`
}

/** Is nothing left that a later interval could forgive? */
function isDone (state: PeerState): boolean {
  return state.spared === null && judgementOf(state).multiplier === 0
}

/** Outlier detection was turned off: takes everybody back and forgets what was counted. O(peers concerned), once. */
export function forget (service: Service, rounds: Rounds, now: number): Verdict[] {
  for (const state of rounds.judged) {
    const judgement = judgementOf(state)
    judgement.restart()
    judgement.multiplier = 0
    state.spared = null
  }
  rounds.judged.clear()
  return [...rounds.ejected].map(state => restore(service, state, 'outlier_off', 'outlier detection was turned off', now))
}
