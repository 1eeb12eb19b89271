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
export function drain (service: Service, state: PeerState, now: number, until: number): void {
  state.drain = { reason: 'drained by an operator', since: now, until }
  service.overriddenUntil = Math.min(service.overriddenUntil, until)
  service.touch()
}

/** Ends both overrides. */
export function recover (service: Service, state: PeerState): void {
  state.cutdown = null
  state.drain = null
  service.touch()
}

/** Ends the overrides whose time is over. O(1) until one may be, O(peers) then. */
export function expire (service: Service, now: number): void {
  if (now < service.overriddenUntil) return
  service.overriddenUntil = Infinity
  for (const state of service.peers.values()) {
    if (isOver(service, state.cutdown, now)) {
      state.cutdown = null
      service.touch()
    }
    if (isOver(service, state.drain, now)) {
      state.drain = null
      service.touch()
    }
  }
}

/** One that goes on is looked at again when its time has come. */
function isOver (service: Service, override: { readonly until: number | null } | null, now: number): boolean {
  const until = override?.until ?? Infinity
  if (now >= until) return true
  service.overriddenUntil = Math.min(service.overriddenUntil, until)
  return false
}
