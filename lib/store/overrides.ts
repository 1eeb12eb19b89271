import type { PeerState } from './peer.js'
import type { Service } from './service.js'

/**
 * The operator's word on a peer, on this gateway only. It always expires; a new override replaces the old one of its
 * kind. Shares are 0…1, points in time epoch ms.
 */

/** Scales the peer's weight by `share` until `until`. */
export function cutdown (service: Service, state: PeerState, share: number, now: number, until: number): void {
  state.cutdown = { share, since: now, until }
  service.touch()
}

/** Gives the peer no new requests until `until`. */
export function drain (service: Service, state: PeerState, now: number, until: number): void {
  state.drain = { reason: 'drained by an operator', since: now, until }
  service.touch()
}

/** Ends both overrides. */
export function recover (service: Service, state: PeerState): void {
  state.cutdown = null
  state.drain = null
  service.touch()
}

/** Ends the overrides whose time is over. O(peers). */
export function expire (service: Service, now: number): void {
  for (const state of service.peers.values()) {
    if (state.cutdown !== null && state.cutdown.until <= now) {
      state.cutdown = null
      service.touch()
    }
    if (state.drain !== null && state.drain.until !== null && state.drain.until <= now) {
      state.drain = null
      service.touch()
    }
  }
}
