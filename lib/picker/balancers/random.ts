import type { PeerState } from '../../store/peer.js'
import type { Balancer, Candidate, Explained, MayTake } from '../balancer.js'
import { AliasTable } from './alias.js'
import { Chance } from './chance.js'

/**
 * By chance, each peer as often as its weight says. Keeps nothing, so nothing has to survive a change. O(1) for a pick,
 * O(n) for a change.
 */
export class Random implements Balancer {
  readonly #chance: Chance
  #states: PeerState[] = []
  #table: AliasTable

  constructor (random: () => number) {
    this.#chance = new Chance(random)
    this.#table = new AliasTable(new Float64Array(0), this.#chance)
  }

  rebuild (candidates: readonly Candidate[]): void {
    this.#states = candidates.map(({ state }) => state)
    this.#table = new AliasTable(Float64Array.from(candidates, ({ weight }) => weight), this.#chance)
  }

  pick (_now: number, _key: string | null, mayTake?: MayTake): PeerState | undefined {
    const states = this.#states
    if (mayTake === undefined) return states.length === 0 ? undefined : states[this.#table.pick()]
    return states[this.#table.pickOf(states, mayTake)]
  }

  explain (candidates: readonly Candidate[]): Explained {
    return { by: 'weight', weighs: new Map(candidates.map(({ state, weight }) => [state, weight])), next: null, order: null }
  }
}
