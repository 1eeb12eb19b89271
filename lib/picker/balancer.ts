import type { PeerState } from '../store/peer.js'

/** A peer that may be chosen, with its effective weight (> 0). */
export interface Candidate {
  readonly state: PeerState
  readonly weight: number
}

/**
 * Chooses among candidates. `rebuild` is called when the set or a weight has changed, at most once per stamp; what a
 * balancer must remember of a peer beyond that it writes to its `PeerState`.
 */
export interface Balancer {
  rebuild: (candidates: readonly Candidate[]) => void
  /** One of the candidates, of those that `mayTake` allows if it is given; undefined when there is none. */
  pick: (mayTake?: (state: PeerState) => boolean) => PeerState | undefined
}
