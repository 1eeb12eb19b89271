import type { Outcome } from '../logger/outcome.js'
import { inRotation, isHealthy } from '../store/condition.js'
import { identityOf, type PeerState } from '../store/peer.js'
import type { Service } from '../store/service.js'
import type { OutlierSettings } from '../store/settings.js'
import type { Verdict } from './verdict.js'

/**
 * Passive judgement by what requests came to (Envoy's outlier detection, gRPC A50): consecutive 5xx, consecutive
 * failures, and at each interval the failure rate. 4xx and clients that left never count. An ejection lasts base ×
 * times ejected up to a bound, ± 20 %; when it ends, one request decides before the rest follow.
 */

const JITTER = 0.2
/** 100 × 0.29 is 28.999… in doubles, and allows 29. */
const ROUNDING = 1e-9

/** What is counted of a peer between two sweeps, and how often it was ejected lately. */
export class Judgement {
  requests = 0
  failures = 0
  multiplier = 0
}

function judgementOf (state: PeerState): Judgement {
  if (state.judgement instanceof Judgement) return state.judgement
  const judgement = new Judgement()
  state.judgement = judgement
  return judgement
}

/** Does this outcome speak against the peer? */
function isFailure (outcome: Outcome): boolean {
  return 'error' in outcome || outcome.status >= 500
}

/** Counts one outcome and judges at once what can be judged by it. O(1) unless a peer is to be ejected. */
export function observe (service: Service, state: PeerState, outcome: Outcome, now: number, random: () => number): Verdict | undefined {
  const { outlier } = service.settings
  const isProbe = state.probeEnded
  if (isProbe) {
    state.probeEnded = false
    service.touch()
  }
  if ('error' in outcome && outcome.error === 'aborted') return undefined
  count(state, outcome, outlier !== false)
  if (outlier === false) return undefined
  if (isProbe) return conclude(service, state, outlier, outcome, now, random)
  const reason = isFailure(outcome) ? streakReason(state, outlier) : undefined
  return reason === undefined ? undefined : attempt(service, state, outlier, reason, now, random)
}

function count (state: PeerState, outcome: Outcome, isJudged: boolean): void {
  const failed = isFailure(outcome)
  if (isJudged) {
    const judgement = judgementOf(state)
    judgement.requests++
    if (failed) judgement.failures++
  }
  if (!failed) {
    state.consecutive5xx = 0
    state.consecutiveErrors = 0
  } else if ('error' in outcome) state.consecutiveErrors++
  else state.consecutive5xx++
}

/** The one request after an ejection was answered well. */
export function prove (service: Service, state: PeerState, now: number): Verdict | undefined {
  if (service.peers.get(identityOf(state.peer)) !== state) return undefined
  return restore(service, state, 'the probing request succeeded', now)
}

/** What the one request after an ejection came to. */
function conclude (service: Service, state: PeerState, outlier: OutlierSettings, outcome: Outcome, now: number, random: () => number): Verdict | undefined {
  if (!isFailure(outcome)) return prove(service, state, now)
  if (service.peers.get(identityOf(state.peer)) !== state) return undefined
  const reason = `the probing request failed (${told(outcome)})`
  if (isAlone(service, state)) return restore(service, state, `${reason}, but it is the only peer`, now)
  return eject(service, state, outlier, reason, now, random)
}

/** Ends an interval: judges failure rates, forgives one earlier ejection for a healthy interval. O(peers). */
export function sweep (service: Service, outlier: OutlierSettings, now: number, random: () => number): Verdict[] {
  const verdicts: Verdict[] = []
  for (const state of service.peers.values()) {
    if (!(state.judgement instanceof Judgement)) continue
    const { requests, failures } = state.judgement
    state.judgement.requests = 0
    state.judgement.failures = 0
    if (state.ejected !== null) continue
    const tooMany = outlier.failureRate > 0 && requests >= outlier.minRequests && failures / requests >= outlier.failureRate
    if (tooMany) {
      const reason = `${failures} of ${requests} requests failed in ${outlier.interval / 1000} s`
      const verdict = attempt(service, state, outlier, reason, now, random)
      if (verdict !== undefined) verdicts.push(verdict)
    } else if (streakReason(state, outlier) === undefined) {
      state.spared = null
      // An interval that checks kept it out of proves nothing.
      if (isHealthy(state)) state.judgement.multiplier = Math.max(0, state.judgement.multiplier - 1)
    }
  }
  return verdicts
}

/** Ends the ejections whose time is over, and that of a peer which the others have left alone. O(peers). */
export function release (service: Service, now: number): Verdict[] {
  const verdicts: Verdict[] = []
  for (const state of service.peers.values()) {
    if (state.ejected === null) continue
    if (isAlone(service, state)) verdicts.push(restore(service, state, 'it is the only peer left', now))
    else if (!state.halfOpen && now >= state.ejected.until) verdicts.push(halfOpen(service, state, now))
  }
  return verdicts
}

/** Outlier detection was turned off: takes everybody back and forgets what was counted. O(peers). */
export function forget (service: Service, now: number): Verdict[] {
  const verdicts: Verdict[] = []
  for (const state of service.peers.values()) {
    state.judgement = null
    state.spared = null
    if (state.ejected !== null) verdicts.push(restore(service, state, 'outlier detection was turned off', now))
  }
  return verdicts
}

/** The ejection's time is over: the peer may prove itself with one request. */
function halfOpen (service: Service, state: PeerState, now: number): Verdict {
  state.halfOpen = true
  service.touch()
  return verdict('probe', service, state, 'the ejection is over, one request probes', now, null)
}

/** Takes an ejected peer back; its slow start begins anew. */
function restore (service: Service, state: PeerState, reason: string, now: number): Verdict {
  state.ejected = null
  state.halfOpen = false
  state.probe = null
  state.consecutive5xx = 0
  state.consecutiveErrors = 0
  state.rampFrom = now
  state.settledAt = now
  service.touch()
  return verdict('restore', service, state, reason, now, null)
}

function streakReason (state: PeerState, outlier: OutlierSettings): string | undefined {
  if (outlier.consecutive5xx > 0 && state.consecutive5xx >= outlier.consecutive5xx) {
    return `${state.consecutive5xx} requests in a row answered with 5xx`
  }
  if (outlier.consecutiveErrors > 0 && state.consecutiveErrors >= outlier.consecutiveErrors) {
    return `${state.consecutiveErrors} attempts in a row failed to connect, were reset or timed out`
  }
  return undefined
}

/** Ejects unless a guard refuses: never the only peer, never more than the allowed share (but always one). */
function attempt (service: Service, state: PeerState, outlier: OutlierSettings, reason: string, now: number, random: () => number): Verdict | undefined {
  if (state.ejected !== null) return undefined
  const wanted = [...service.peers.values()].filter(inRotation)
  // Who takes no new requests, or was removed, has nothing to be kept from.
  if (!wanted.includes(state)) return undefined
  const out = wanted.filter(other => other.ejected !== null).length
  const most = Math.max(1, Math.floor(wanted.length * outlier.maxEjected + ROUNDING))
  const guard = wanted.length === 1
    ? 'it is the only peer'
    : out >= most ? `${out} of ${wanted.length} peers are ejected already` : undefined
  if (guard === undefined) return eject(service, state, outlier, reason, now, random)
  const known = state.spared !== null
  state.spared = { reason: `${reason}; kept because ${guard}`, since: state.spared?.since ?? now, until: null }
  return known ? undefined : verdict('spare', service, state, state.spared.reason, now, null)
}

function eject (service: Service, state: PeerState, outlier: OutlierSettings, reason: string, now: number, random: () => number): Verdict {
  const judgement = judgementOf(state)
  judgement.multiplier++
  const length = Math.min(outlier.baseEjection * judgement.multiplier, outlier.maxEjection)
  const until = now + length * (1 + JITTER * (2 * random() - 1))
  state.ejected = { reason, since: now, until }
  state.ejections++
  state.halfOpen = false
  state.spared = null
  state.consecutive5xx = 0
  state.consecutiveErrors = 0
  service.touch()
  return verdict('eject', service, state, reason, now, until)
}

/** Is nobody else there to take requests? O(1) unless many are out on purpose. */
function isAlone (service: Service, state: PeerState): boolean {
  for (const other of service.peers.values()) if (other !== state && inRotation(other)) return false
  return true
}

function told (outcome: Outcome): string {
  return 'error' in outcome ? outcome.error : `status ${outcome.status}`
}

function verdict (action: Verdict['action'], service: Service, state: PeerState, reason: string, since: number, until: number | null): Verdict {
  return { action, service: service.name, peer: state.peer.id, reason, since, until }
}
