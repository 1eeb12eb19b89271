import { healthOf } from '../store/condition.js'
import type { Service } from '../store/service.js'
import { roundsOf } from './rounds.js'
import type { Verdict } from './verdict.js'

/**
 * Whether panic may have begun or ended since this was asked last: somebody is out, or it is on, and something has changed.
 * O(1). Whoever knows whether health is ignored then says so by `turn`.
 */
export function mayTurn (service: Service): boolean {
  const rounds = roundsOf(service)
  if (rounds.watchedStamp === service.stamp) return false
  rounds.watchedStamp = service.stamp
  return rounds.isPanic || rounds.ejected.size > 0 || rounds.failing.size > 0
}

/** Health of the service is ignored, or not: a verdict when that is news. */
export function turn (service: Service, isPanic: boolean, now: number): Verdict | undefined {
  const rounds = roundsOf(service)
  if (rounds.isPanic === isPanic) return undefined
  rounds.isPanic = isPanic
  const reason = isPanic ? `only ${healthOf(service)}, so health is ignored` : healthOf(service)
  return { action: isPanic ? 'panic' : 'calm', service: service.name, peer: null, scheme: null, cause: 'healthy_share', reason, since: now, until: null }
}
