import type { PeerState } from './peer.js'
import type { Service } from './service.js'

/**
 * A clock may be set while everything is measured by it. The gateway's own cannot, but what is given a time as an argument
 * does not know whose that is. Forward it is believed: what was to end by then is over. When a tick finds it gone back,
 * all that is remembered in time is moved back by as much, so that it lasts as long as it was meant to, to within a second.
 */

/** What seems to have begun within this time before the tick that finds out (ms) has begun since the clock was set. */
const FRESH = 1000

/** Takes note of the time at a tick. O(1), or O(peers) when the clock has gone back. */
export function follow (service: Service, now: number): void {
  const by = service.clock - now
  service.clock = now
  if (!(by > 0)) return
  service.rewound += by
  service.heldUntil -= by
  service.overriddenUntil -= by
  const back = (at: number): number => at > now - FRESH && at <= now ? at : at - by
  for (const state of service.peers.values()) rewind(state, back)
  service.touch()
}

function rewind (state: PeerState, back: (at: number) => number): void {
  state.registeredAt = back(state.registeredAt)
  state.settledAt = back(state.settledAt)
  if (state.rampFrom !== null) state.rampFrom = back(state.rampFrom)
  if (state.lastCheck !== null) state.lastCheck = { ...state.lastCheck, at: back(state.lastCheck.at) }
  state.heldOff = moved(state.heldOff, back)
  state.checkReason = moved(state.checkReason, back)
  state.ejected = moved(state.ejected, back)
  state.spared = moved(state.spared, back)
  state.cutdown = moved(state.cutdown, back)
  state.drain = moved(state.drain, back)
  state.weighed = moved(state.weighed, back)
}

/** What it was, begun when `back` says and as long as before. */
function moved<T extends { readonly since: number, readonly until: number | null }> (span: T | null, back: (at: number) => number): T | null {
  if (span === null) return null
  const since = back(span.since)
  return { ...span, since, until: span.until === null ? null : span.until - (span.since - since) }
}
