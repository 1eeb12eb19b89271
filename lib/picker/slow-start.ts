import type { PeerState } from '../store/peer.js'
import type { SlowStartSettings } from '../store/settings.js'

/**
 * Envoy's slow start: the share of its weight that a peer gets `now`, 0…1:
 * max(minWeight, (t / slow_start)^(1 / aggression)), t since it was first seen or came back; 1 when it does not ramp.
 */
export function rampShare (state: PeerState, settings: SlowStartSettings, now: number): number {
  const { rampFrom, peer: { slowStart } } = state
  if (rampFrom === null || isOver(state, now)) return 1
  const elapsed = Math.max(0, now - rampFrom)
  return Math.max(settings.minWeight, (elapsed / slowStart) ** (1 / settings.aggression))
}

/** Is somebody there who does not ramp? With nobody to lean on, a ramp would only be a detour to the same shares. */
export function hasVeteran (states: readonly PeerState[], now: number): boolean {
  return states.some(state => isOver(state, now))
}

/** A ramp of no length is over at once, also when the clock has gone back before its beginning. */
function isOver ({ rampFrom, peer: { slowStart } }: PeerState, now: number): boolean {
  return rampFrom === null || slowStart === 0 || now >= rampFrom + slowStart
}
