import { isHealthy } from '../store/condition.js'
import type { PeerState } from '../store/peer.js'
import type { Service } from '../store/service.js'
import type { OutlierSettings } from '../store/settings.js'
import { attempt, restore } from './ejection.js'
import { judgementOf, rateOf, streakOf } from './judgement.js'
import { slowOf } from './latency.js'
import type { Rounds } from './rounds.js'
import type { Verdict } from './verdict.js'

/** Ends an interval: judges what it came to, forgives one earlier ejection for a healthy one. O(peers that had requests). */
export function sweep (service: Service, rounds: Rounds, outlier: OutlierSettings, now: number, random: () => number): Verdict[] {
  const verdicts: Verdict[] = []
  // All of them before any is judged: who is slow is so by comparison.
  const slow = slowOf(rounds.judged, outlier)
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
