import type { Outcome } from '../logger/outcome.js'
import type { PeerState } from '../store/peer.js'

/** A peer that may be chosen, with its effective weight (> 0). */
export interface Candidate {
  readonly state: PeerState
  readonly weight: number
}

/** Whether a peer can take this request: it was not tried, and has room. */
export type MayTake = (state: PeerState) => boolean

/** What a balancer goes by just now, told without a change of anything. */
export interface Explained {
  /**
   * `owed`: picks owed with the next one's part, most first. `turn`: picks until its turn, fewest first. `load`: (in flight +
   * 1) / weight, least first. `cost`: latency (ms) × (in flight + 1) / weight, the lesser of two by chance. `room`: in flight
   * it has to stay below that, in the order of the key. `weight`: by chance, as often as that.
   */
  readonly by: 'owed' | 'turn' | 'load' | 'cost' | 'room' | 'weight'
  readonly weighs: ReadonlyMap<PeerState, number>
  /** Who would be picked next; null when chance decides, or when there is nobody. */
  readonly next: PeerState | null
  /** Who takes requests with this key, and who after him when he cannot; null where keys are not looked at. */
  readonly order: readonly PeerState[] | null
}

/**
 * Chooses among the peers of one service and priority. `rebuild` is called when the set or a weight has changed, at most
 * once per stamp; what a balancer must remember of a peer beyond that it writes to its `PeerState`.
 */
export interface Balancer {
  /** What it is called where it is shown. */
  readonly name?: string
  rebuild: (candidates: readonly Candidate[]) => void
  /**
   * One of the candidates, of those that `mayTake` allows if it is given; undefined when there is none. `now` is epoch ms,
   * `key` what the request is to be hashed by, null when there is nothing.
   */
  pick: (now: number, key: string | null, mayTake?: MayTake) => PeerState | undefined
  /** What `pick` would go by with these arguments. `candidates` are those of the last `rebuild`. */
  explain?: (candidates: readonly Candidate[], now: number, key: string | null, mayTake?: MayTake) => Explained
  /** A request goes to `state`, by whoever's choice; its `inflight` has risen. */
  opened?: (state: PeerState) => void
  /** A request at `state` has ended; its `inflight` has fallen. The peer may be no candidate any more. */
  closed?: (state: PeerState, outcome: Outcome, now: number) => void
}
