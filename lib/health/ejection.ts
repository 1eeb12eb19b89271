import { inRotation } from '../store/condition.js'
import type { PeerState } from '../store/peer.js'
import type { Service } from '../store/service.js'
import type { OutlierSettings } from '../store/settings.js'
import { judgementOf, record } from './judgement.js'
import { censusOf, roundsOf, type Rounds } from './rounds.js'
import { verdictOn, type Cause, type Grievance, type Verdict } from './verdict.js'

/**
 * The way out and the way back. An ejection lasts base × times ejected up to a bound, ± 20 %; when it ends, one request
 * decides before the rest follow.
 */

const JITTER = 0.2
/** 100 × 0.29 is 28.999… in doubles, and allows 29. */
const ROUNDING = 1e-9

/**
 * Ejects unless a guard refuses: never the only peer, never more than the allowed share (but always one). Who keeps
 * being refused costs O(1) each time.
 */
export function attempt (service: Service, state: PeerState, outlier: OutlierSettings, grievance: Grievance, now: number, random: () => number): Verdict | undefined {
  // Who takes no new requests has nothing to be kept from.
  if (state.ejected !== null || !inRotation(state)) return undefined
  const rounds = roundsOf(service)
  const census = censusOf(service, rounds)
  const { wanted, out } = census
  const most = mostOf(wanted, outlier)
  const guard = wanted === 1
    ? 'it is the only peer'
    : rounds.common ?? (out >= most ? `${out} of ${wanted} peers are ejected already` : undefined)
  if (guard === undefined) {
    const verdict = eject(service, state, outlier, grievance, now, random)
    // Nothing else has changed: many may be ejected in a row without a count of all.
    census.out++
    census.stamp = service.stamp
    return verdict
  }
  const known = state.spared !== null
  state.spared = { reason: `${grievance.reason}; kept because ${guard}`, since: state.spared?.since ?? now, until: null }
  if (known) return undefined
  record(state, 'spare', grievance.cause)
  return verdictOn(service, state, 'spare', grievance.cause, state.spared.reason, now)
}

/** How many of so many may be ejected: at least one. */
export function mostOf (wanted: number, { maxEjected }: OutlierSettings): number {
  return Math.max(1, Math.floor(wanted * maxEjected + ROUNDING))
}

/** Takes it out, guards or not. */
export function eject (service: Service, state: PeerState, outlier: OutlierSettings, { cause, reason }: Grievance, now: number, random: () => number): Verdict {
  const judgement = judgementOf(state)
  judgement.multiplier++
  const length = Math.min(outlier.baseEjection * judgement.multiplier, outlier.maxEjection)
  const until = now + length * (1 + JITTER * (2 * random() - 1))
  state.ejected = { reason, since: now, until }
  state.ejections++
  record(state, 'eject', cause)
  state.halfOpen = false
  state.spared = null
  state.consecutive5xx = 0
  state.consecutiveErrors = 0
  roundsOf(service).ejected.add(state)
  service.touch()
  return verdictOn(service, state, 'eject', cause, reason, now, until)
}

/** Takes an ejected peer back; its slow start begins anew. */
export function restore (service: Service, state: PeerState, cause: Cause, reason: string, now: number): Verdict {
  state.ejected = null
  state.halfOpen = false
  state.probe = null
  state.consecutive5xx = 0
  state.consecutiveErrors = 0
  state.rampFrom = now
  state.settledAt = now
  roundsOf(service).ejected.delete(state)
  service.touch()
  return verdictOn(service, state, 'restore', cause, reason, now)
}

/**
 * Ends the ejections whose time is over, and that of a peer which the others have left alone. O(1) while none is over and
 * nothing has changed, else O(ejected).
 */
export function release (service: Service, rounds: Rounds, now: number): Verdict[] {
  if (rounds.releasedStamp === service.stamp && now < rounds.releaseAt) return []
  const verdicts: Verdict[] = []
  rounds.releaseAt = Infinity
  for (const state of rounds.ejected) {
    if (isAlone(service, state)) verdicts.push(restore(service, state, 'only_peer', 'it is the only peer left', now))
    else if (state.ejected === null || state.halfOpen) continue
    else if (now >= state.ejected.until) verdicts.push(halfOpen(service, state, now))
    else rounds.releaseAt = Math.min(rounds.releaseAt, state.ejected.until)
  }
  rounds.releasedStamp = service.stamp
  return verdicts
}

/** The ejection's time is over: the peer may prove itself with one request. */
function halfOpen (service: Service, state: PeerState, now: number, reason = 'the ejection is over, one request probes'): Verdict {
  state.halfOpen = true
  service.touch()
  return verdictOn(service, state, 'probe', 'ejection_over', reason, now)
}

/**
 * Those that are left fail as well: whatever is wrong, it is not those that are out, and they are missing. Each may prove
 * itself at once; if that fails, this does not count as another ejection. O(ejected).
 */
export function recall (service: Service, { ejected }: Rounds, reason: string, now: number): Verdict[] {
  const verdicts: Verdict[] = []
  for (const state of ejected) {
    if (state.halfOpen) continue
    const judgement = judgementOf(state)
    judgement.multiplier = Math.max(0, judgement.multiplier - 1)
    verdicts.push(halfOpen(service, state, now, `${reason}, so one request probes before its time`))
  }
  return verdicts
}

/** Is nobody else there to take requests? O(1) unless many are out on purpose. */
export function isAlone (service: Service, state: PeerState): boolean {
  for (const other of service.peers.values()) if (other !== state && inRotation(other)) return false
  return true
}
