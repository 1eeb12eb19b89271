import type { Outcome } from '../../logger/outcome.js'
import type { PeerState } from '../../store/peer.js'
import type { Balancer, Candidate, MayTake } from '../balancer.js'
import { Failures } from './failures.js'
import { PlaceHeap } from './heap.js'

/** No turn is longer, however small a weight is: there would be no others after it. */
const LONGEST = 1e6

/**
 * The peer with the least to do: the smallest (requests in flight + 1) / weight of all, where who has nothing to do comes
 * first whatever its weight (as HAProxy's `leastconn`, counted for this gateway alone): of few requests the heaviest peers
 * would take all, and a peer that starts slowly none. Among equals turns are taken by weight. A request that failed counts
 * for a while longer, so that failing fast attracts nobody. A heap: O(log n) for a pick and for its end, O(n) for a change.
 */
export class LeastRequests implements Balancer {
  readonly #random: () => number
  #states: PeerState[] = []
  #weights = new Float64Array(0)
  #heap = new PlaceHeap(new Float64Array(0), new Float64Array(0))
  /**
   * When the last turn began, in turns by weight (start-time fair queueing, Goyal et al. 1996). When each peer's turn ends
   * is kept with it; those of newcomers have ended long ago, in an order by chance.
   */
  #turn = 0
  readonly #failures = new Failures(state => this.#weigh(state))

  constructor (random: () => number) {
    this.#random = random
  }

  rebuild (candidates: readonly Candidate[]): void {
    this.#states = candidates.map(({ state }) => state)
    this.#weights = Float64Array.from(candidates, ({ weight }) => weight)
    this.#states.forEach((state, place) => {
      state.place = place
      if (state.turn === 0) state.turn = this.#random() - 1
    })
    // What another balancer has counted, or the same for a longer time, may be far ahead.
    if (this.#states.length > 0) this.#turn = Math.max(this.#turn, this.#states.reduce((least, { turn }) => Math.min(least, turn), Infinity))
    const loads = Float64Array.from(candidates, ({ state, weight }) => this.#tasks(state) / weight)
    this.#heap = new PlaceHeap(loads, Float64Array.from(this.#states, ({ turn }) => turn))
  }

  pick (now: number, _key: string | null, mayTake?: MayTake): PeerState | undefined {
    this.#failures.expire(now)
    const states = this.#states
    if (mayTake === undefined) return states[this.#heap.first]
    return states[this.#heap.firstOf(states, mayTake)]
  }

  opened (state: PeerState): void {
    if (this.#states[state.place] === state) {
      this.#turn = Math.max(this.#turn, state.turn)
      state.turn = this.#turn + Math.min(LONGEST, 1 / (this.#weights[state.place] as number))
    }
    this.#weigh(state)
  }

  closed (state: PeerState, outcome: Outcome, now: number): void {
    this.#failures.note(state, outcome, now)
    this.#weigh(state)
  }

  /** What it would have to do with one request more; 0 when it has nothing to do. */
  #tasks (state: PeerState): number {
    const tasks = state.inflight + this.#failures.of(state)
    return tasks === 0 ? 0 : tasks + 1
  }

  #weigh (state: PeerState): void {
    const { place } = state
    // It may have left, and another stand in its place.
    if (this.#states[place] !== state) return
    this.#heap.keys[place] = this.#tasks(state) / (this.#weights[place] as number)
    this.#heap.ties[place] = state.turn
    this.#heap.moved(place)
  }
}
