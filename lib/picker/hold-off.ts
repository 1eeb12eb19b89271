import type { PeerState } from '../store/peer.js'
import type { Service } from '../store/service.js'

/** A peer is not left alone for longer, whatever it asks for, ms. */
const LONGEST = 60_000

/**
 * A peer answered 503 with `Retry-After`: for `ms` it is picked only for what nobody else can take. At most 60 s; what is
 * not above 0, or not finite, says nothing. A later one replaces an earlier one.
 */
export function holdOff (service: Service, state: PeerState, ms: number, now: number): void {
  if (!(ms > 0 && ms < Infinity)) return
  const until = now + Math.min(ms, LONGEST)
  // Who is held off already stays so: an overloaded peer's many answers are not to rebuild the plan each time.
  if (state.heldOff === null) service.touch()
  state.heldOff = { reason: `answered 503 with Retry-After: ${ms / 1000} s`, since: now, until }
  service.heldUntil = Math.min(service.heldUntil, until)
}

/** Ends what has lasted its time. O(1) until then, O(peers) when it is due. */
export function release (service: Service, now: number): void {
  if (now < service.heldUntil) return
  service.heldUntil = Infinity
  for (const state of service.peers.values()) {
    if (state.heldOff === null) continue
    if (now < state.heldOff.until) {
      service.heldUntil = Math.min(service.heldUntil, state.heldOff.until)
    } else {
      state.heldOff = null
      service.touch()
    }
  }
}
