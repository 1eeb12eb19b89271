import { identityOf, type PeerState } from '../../store/peer.js'
import type { Balancer, Candidate, Explained, MayTake } from '../balancer.js'
import { maglev, type Preference } from './maglev.js'
import { textHash } from './text-hash.js'

/**
 * A prime, the smaller one of Maglev's paper (5.3), and Envoy's default. One size for any number of peers: with another one
 * nearly every key would move.
 */
const SIZE = 65537
/** No peer gets more than so many times what it should have of the requests in flight. */
const BOUND = 1.5
/** A ramp moves keys in so many steps, not with each of its own. */
const STEPS = 16
/** Slots to look at before all peers are. */
const LOOKS = 64

/**
 * The same key goes to the same peer, by every gateway that sees the same peers: a Maglev table, which loses about 1/n of
 * the keys with one of n peers. Loads are bounded (Mirrokni et al., "Consistent Hashing with Bounded Loads", 2016): a peer
 * that has 1.5 times its share of the requests in flight is passed over, and the next slot's takes the request. Requests
 * without a key go by chance. O(1) for a pick; O(slots) for a change of the set or of a weight.
 */
export class Hash implements Balancer {
  readonly #random: () => number
  #states: PeerState[] = []
  #shares = new Float64Array(0)
  #table = new Int32Array(0)
  /** What the table was made from: identities and weights. */
  #made = ''
  #inflight = 0

  constructor (random: () => number) {
    this.#random = random
  }

  rebuild (candidates: readonly Candidate[]): void {
    // In an order of its own, the same everywhere.
    const ranked = candidates.map(candidate => ({ ...candidate, identity: identityOf(candidate.state.peer) }))
      .sort((a, b) => a.identity < b.identity ? -1 : 1)
    const total = ranked.reduce((sum, { weight }) => sum + weight, 0)
    this.#states = ranked.map(({ state }) => state)
    this.#shares = Float64Array.from(ranked, ({ weight }) => weight / total)
    this.#inflight = 0
    this.#states.forEach((state, place) => {
      state.place = place
      this.#inflight += state.inflight
    })
    const weights = ranked.map(({ state: { ramp }, weight }) => stepped(weight, ramp))
    const made = ranked.map(({ identity }, place) => `${identity} ${weights[place]}`).join()
    if (made === this.#made) return
    this.#made = made
    this.#table = maglev(ranked.map(({ identity }, place) => preference(identity, weights[place] as number)), SIZE)
  }

  pick (_now: number, key: string | null, mayTake?: MayTake): PeerState | undefined {
    const { length } = this.#table
    if (length === 0) return undefined
    let slot = Math.floor((key === null ? this.#random() : textHash(key, 0) / 0x100000000) * length)
    for (let look = 0; look < LOOKS; look++) {
      const place = this.#table[slot] as number
      const state = this.#states[place] as PeerState
      if (this.#hasRoom(place, state) && (mayTake === undefined || mayTake(state))) return state
      if (++slot === length) slot = 0
    }
    return this.#leastBusy(mayTake)
  }

  explain (_candidates: readonly Candidate[], now: number, key: string | null, mayTake?: MayTake): Explained {
    const weighs = new Map(this.#states.map((state, place) => [state, BOUND * (this.#inflight + 1) * (this.#shares[place] as number)]))
    // With a key nothing is left to chance.
    return { by: 'room', weighs, next: key === null ? null : this.pick(now, key, mayTake) ?? null, order: key === null ? null : this.#orderOf(key) }
  }

  /** Who has the slots from that of the key on, each once. */
  #orderOf (key: string): PeerState[] {
    const { length } = this.#table
    const first = Math.floor(textHash(key, 0) / 0x100000000 * length)
    const places = new Set<number>()
    // Some weights are too small for a slot: of those none is found.
    for (let i = 0; i < length && places.size < this.#states.length; i++) places.add(this.#table[(first + i) % length] as number)
    return [...places].map(place => this.#states[place] as PeerState)
  }

  opened (state: PeerState): void {
    if (this.#states[state.place] === state) this.#inflight++
  }

  closed (state: PeerState): void {
    if (this.#states[state.place] === state) this.#inflight--
  }

  #hasRoom (place: number, { inflight }: PeerState): boolean {
    return inflight < BOUND * (this.#inflight + 1) * (this.#shares[place] as number)
  }

  /** Nobody near has room. Of those who have, or of all if none has, it is who has the least to do for his share. */
  #leastBusy (mayTake: MayTake | undefined): PeerState | undefined {
    let [best, least, isBounded] = [-1, Infinity, false]
    for (let place = 0; place < this.#states.length; place++) {
      const state = this.#states[place] as PeerState
      if (mayTake !== undefined && !mayTake(state)) continue
      const hasRoom = this.#hasRoom(place, state)
      const load = (state.inflight + 1) / (this.#shares[place] as number)
      if (best === -1 || (hasRoom === isBounded ? load < least : hasRoom)) [best, least, isBounded] = [place, load, hasRoom]
    }
    return this.#states[best]
  }
}

/** The weight with its ramp raised to the next step. Rounded, or what divisions leave would make a new table each time. */
function stepped (weight: number, ramp: number): number {
  return ramp === 0 || ramp === 1 ? weight : Number((weight / ramp).toPrecision(12)) * Math.ceil(ramp * STEPS) / STEPS
}

function preference (identity: string, weight: number): Preference {
  return { offset: textHash(identity, 1) % SIZE, skip: textHash(identity, 2) % (SIZE - 1) + 1, weight }
}
