import type { PeerState } from '../../store/peer.js'
import type { Balancer, Candidate, Explained, MayTake } from '../balancer.js'
import { PlaceHeap } from './heap.js'
import { weightsOf } from './weights.js'

/**
 * The peer with the least to do: the smallest (requests in flight + 1) / weight of all (as nginx's `least_conn` and
 * HAProxy's `leastconn`, counted for this gateway alone). Among equals whoever was not picked for longest takes it, so
 * equals take turns. A heap: O(log n) for a pick and for its end, O(n) for a change.
 */
export class LeastRequests implements Balancer {
  readonly #random: () => number
  #states: PeerState[] = []
  #weights = new Float64Array(0)
  #heap = new PlaceHeap(new Float64Array(0), new Float64Array(0))
  /** The number of the last turn. Turns are kept on the peers, those before the first pick are below 0 and by chance. */
  #turn = 0

  constructor (random: () => number) {
    this.#random = random
  }

  rebuild (candidates: readonly Candidate[]): void {
    this.#states = candidates.map(({ state }) => state)
    this.#weights = weightsOf(candidates)
    this.#states.forEach((state, place) => {
      state.place = place
      if (state.turn === 0) state.turn = this.#random() - 1
      this.#turn = Math.max(this.#turn, state.turn)
    })
    const loads = Float64Array.from(this.#states, ({ inflight }, place) => (inflight + 1) / (this.#weights[place] as number))
    this.#heap = new PlaceHeap(loads, Float64Array.from(this.#states, ({ turn }) => turn))
  }

  pick (_now: number, _key: string | null, mayTake?: MayTake): PeerState | undefined {
    const states = this.#states
    if (mayTake === undefined) return states[this.#heap.first]
    return states[this.#heap.firstOf(states, mayTake)]
  }

  explain (candidates: readonly Candidate[], now: number, key: string | null, mayTake?: MayTake): Explained {
    const weighs = new Map(candidates.map(({ state, weight }) => [state, (state.inflight + 1) / weight]))
    // A pick that is not opened changes nothing.
    return { by: 'load', weighs, next: this.pick(now, key, mayTake) ?? null, order: null }
  }

  opened (state: PeerState): void {
    state.turn = ++this.#turn
    this.#weigh(state)
  }

  closed (state: PeerState): void {
    this.#weigh(state)
  }

  #weigh (state: PeerState): void {
    const { place } = state
    // It may have left, and another stand in its place.
    if (this.#states[place] !== state) return
    this.#heap.keys[place] = (state.inflight + 1) / (this.#weights[place] as number)
    this.#heap.ties[place] = state.turn
    this.#heap.moved(place)
  }
}
