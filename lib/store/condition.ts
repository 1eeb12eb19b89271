import type { PeerState, Reason } from './peer.js'
import type { Service } from './service.js'

/**
 * The one vocabulary for how a peer is, highest first. `maintenance` and `draining` are on purpose; `down` and
 * `ejected` are health's; `probing` waits for its first proof; `warming` ramps up; `degraded` fails, or asked to
 * be left alone, but is still in.
 */
export const PEER_WORDS = ['maintenance', 'draining', 'down', 'ejected', 'probing', 'warming', 'degraded', 'healthy', 'unknown'] as const
export type PeerWord = typeof PEER_WORDS[number]

/** How a service is. */
export const SERVICE_WORDS = ['healthy', 'degraded', 'panic', 'down', 'empty'] as const
export type ServiceWord = typeof SERVICE_WORDS[number]

/** A word with its reason. `eligible` is told as if there were no panic. */
export interface Condition {
  readonly state: PeerWord
  readonly eligible: boolean
  readonly reason: string | null
  readonly since: number
  readonly until: number | null
}

/** Failures in a row from which a peer that is still in is called degraded. */
const DEGRADED_AFTER = 2

/** Do the registry and the operator want it to take requests? Health has no say in this. */
export function inRotation (state: PeerState): boolean {
  return state.peer.status === 'up' && (state.weighed ?? state.peer).weight > 0 && state.drain === null && state.cutdown?.share !== 0
}

/** Has health no objection? */
export function isHealthy (state: PeerState): boolean {
  return state.ejected === null && state.check !== 'failing' && state.check !== 'probing'
}

/** In rotation, and health lets it have a request: it is healthy, or it is due for the one that may prove it. */
export function isEligible (state: PeerState): boolean {
  if (!inRotation(state) || state.check === 'failing' || state.check === 'probing') return false
  return state.ejected === null || (state.halfOpen && state.probe === null)
}

/** How a peer is, in the one vocabulary. */
export function conditionOf (state: PeerState): Condition {
  const eligible = isEligible(state)
  const as = (word: PeerWord, why: Reason | string | null): Condition => typeof why === 'object' && why !== null
    ? { state: word, eligible, reason: why.reason, since: why.since, until: why.until }
    : { state: word, eligible, reason: why, since: state.settledAt, until: null }
  return purposeOf(state, as) ?? objectionOf(state, as) ?? standingOf(state, as)
}

type As = (word: PeerWord, why: Reason | string | null) => Condition

function purposeOf (state: PeerState, as: As): Condition | undefined {
  const { status, weight } = state.peer
  const since = state.registeredAt
  if (state.drain?.isDown === true) return as('maintenance', state.drain)
  if (status === 'drain') return as('draining', { reason: 'the registry says drain', since, until: null })
  if (status !== 'up') return as('maintenance', { reason: `the registry says ${status}`, since, until: null })
  if (state.drain !== null) return as('draining', state.drain)
  if (state.weighed?.weight === 0) return as('draining', state.weighed)
  if (weight === 0 && state.weighed === null) return as('draining', { reason: 'weight 0 takes no new requests', since, until: null })
  if (state.cutdown?.share === 0) return as('draining', { ...state.cutdown, reason: 'cut down to 0' })
  return undefined
}

function objectionOf (state: PeerState, as: As): Condition | undefined {
  if (state.check === 'failing') return as('down', state.checkReason)
  if (state.ejected !== null && !state.halfOpen) return as('ejected', state.ejected)
  if (state.ejected !== null) {
    return as('probing', { ...state.ejected, reason: `one request probes after: ${state.ejected.reason}` })
  }
  if (state.check === 'probing') return as('probing', state.checkReason)
  return undefined
}

function standingOf (state: PeerState, as: As): Condition {
  if (state.rampFrom !== null && state.ramp < 1) {
    const until = state.rampFrom + state.peer.slowStart
    return as('warming', { reason: `slow start over ${state.peer.slowStart / 1000} s`, since: state.rampFrom, until })
  }
  if (state.heldOff !== null) return as('degraded', state.heldOff)
  if (state.spared !== null) return as('degraded', state.spared)
  if (state.lastCheck !== null && !state.lastCheck.ok) {
    return as('degraded', `${-state.lastCheck.streak === 1 ? 'the last check' : `the last ${-state.lastCheck.streak} checks`} failed: ${state.lastCheck.error ?? ''}`)
  }
  const failing = Math.max(state.consecutive5xx, state.consecutiveErrors)
  if (failing >= DEGRADED_AFTER) return as('degraded', `the last ${failing} requests failed`)
  const proven = state.check === 'passing' || state.statistics !== null
  return as(proven ? 'healthy' : 'unknown', null)
}

/** How many of those that health can speak of, and that are in rotation, it has no objection to. O(peers). */
export function healthOf (service: Service): string {
  const judged = [...service.peers.values()].filter(state => inRotation(state) && state.check !== 'probing')
  return `${judged.filter(isHealthy).length} of ${judged.length} peers are healthy`
}

/** How a service is, from its peers and from whether the picker ignores health just now. */
export function serviceCondition (service: Service, panic: boolean): { state: ServiceWord, reason: string | null } {
  const states = [...service.peers.values()]
  if (states.length === 0) return { state: 'empty', reason: 'no peer is registered' }
  const wanted = states.filter(inRotation)
  if (wanted.length === 0) return { state: 'empty', reason: `out on purpose: ${states.length} of ${states.length} peers` }
  const eligible = wanted.filter(isEligible).length
  if (panic) return { state: 'panic', reason: `only ${healthOf(service)}, so health is ignored` }
  if (eligible === 0) return { state: 'down', reason: `none of ${wanted.length} peers is eligible` }
  const bad = wanted.map(conditionOf).filter(({ state }) => state === 'down' || state === 'ejected' || state === 'degraded')
  if (bad.length > 0) return { state: 'degraded', reason: `${bad.length} of ${wanted.length} peers are failing` }
  return { state: 'healthy', reason: null }
}
