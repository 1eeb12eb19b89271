import type { PeerState } from './peer.js'
import type { Service } from './service.js'

/**
 * The operator's word on a peer, on this gateway only. It always expires; a new override replaces the old one of its
 * kind. Shares are 0…1, points in time epoch ms.
 */

/** Scales the peer's weight by `share` until `until`. */
export function cutdown (service: Service, state: PeerState, share: number, now: number, until: number): void {
  state.cutdown = { share, since: now, until }
  service.overriddenUntil = Math.min(service.overriddenUntil, until)
  service.touch()
}

/** Gives the peer no new requests until `until`. */
export function drain (service: Service, state: PeerState, now: number, until: number, reason = 'drained by an operator'): void {
  state.drain = { reason, since: now, until }
  service.overriddenUntil = Math.min(service.overriddenUntil, until)
  service.touch()
}

/** The same by another word: the peer shows as down on purpose, not as draining. */
export function takeDown (service: Service, state: PeerState, now: number, until: number, reason: string): void {
  drain(service, state, now, until, reason)
  state.drain = { reason, since: now, until, isDown: true }
}

/** Gives the peer `weight` in place of the registry's, and of what load reports come to, until `until`. */
export function weigh (service: Service, state: PeerState, weight: number, now: number, until: number, reason: string): void {
  state.weighed = { weight, reason, since: now, until }
  service.overriddenUntil = Math.min(service.overriddenUntil, until)
  service.touch()
}

/** Ends all overrides of the peer. */
export function recover (service: Service, state: PeerState): void {
  state.cutdown = null
  state.drain = null
  state.weighed = null
  service.touch()
}

/** An override whose time is over. */
export interface Expired {
  readonly state: PeerState
  /** In words: what it was. */
  readonly what: string
}

/** Ends the overrides whose time is over, and returns them. O(1) until one may be, O(peers) then. */
export function expire (service: Service, now: number): Expired[] {
  if (now < service.overriddenUntil) return []
  service.overriddenUntil = Infinity
  const expired: Expired[] = []
  for (const state of service.peers.values()) {
    const { cutdown, drain, weighed } = state
    if (isOver(service, cutdown, now)) state.cutdown = null
    if (isOver(service, drain, now)) state.drain = null
    if (isOver(service, weighed, now)) state.weighed = null
    if (state.cutdown !== cutdown) expired.push({ state, what: `cut down to ${cutdown?.share} of its weight` })
    if (state.drain !== drain) expired.push({ state, what: String(drain?.reason) })
    if (state.weighed !== weighed) expired.push({ state, what: String(weighed?.reason) })
  }
  if (expired.length > 0) service.touch()
  return expired
}

/** One that goes on is looked at again when its time has come. */
function isOver (service: Service, override: { readonly until: number | null } | null, now: number): boolean {
  const until = override?.until ?? Infinity
  if (now >= until) return true
  service.overriddenUntil = Math.min(service.overriddenUntil, until)
  return false
}
