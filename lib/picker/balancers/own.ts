import type { Outcome } from '../../logger/outcome.js'
import type { PeerState } from '../../store/peer.js'
import type { Balancer, Candidate, MayTake } from '../balancer.js'
import { RoundRobin } from './round-robin.js'

/** For whom an object that serves several services or priorities was told the candidates last. */
const told = new WeakMap<Balancer, Own>()

/**
 * A balancer that a user wrote. Whatever it throws, and a choice of somebody who may not be chosen, reaches no client:
 * round robin chooses then, and `trouble` says why. One object may serve several services and priorities; it is told their
 * candidates again when it is another one's turn.
 */
export class Own implements Balancer {
  readonly #object: Balancer
  readonly #standIn: RoundRobin
  #candidates: readonly Candidate[] = []
  #states: ReadonlySet<PeerState> = new Set()
  /** What it did wrong last; null while it does well. */
  trouble: string | null = null

  constructor (object: Balancer, random: () => number) {
    this.#object = object
    this.#standIn = new RoundRobin(random)
  }

  rebuild (candidates: readonly Candidate[]): void {
    this.#candidates = candidates
    this.#states = new Set(candidates.map(({ state }) => state))
    this.#standIn.rebuild(candidates)
    told.delete(this.#object)
  }

  pick (now: number, key: string | null, mayTake?: MayTake): PeerState | undefined {
    const chosen = this.#ask(() => {
      this.#tell()
      const state = this.#object.pick(now, key, mayTake)
      if (state === undefined || (this.#states.has(state) && (mayTake === undefined || mayTake(state)))) return { state }
      throw new Error('it chose a peer that may not be chosen')
    })
    return chosen === undefined ? this.#standIn.pick(now, key, mayTake) : chosen.state
  }

  opened (state: PeerState): void {
    this.#ask(() => this.#object.opened?.(state))
  }

  closed (state: PeerState, outcome: Outcome, now: number): void {
    this.#ask(() => this.#object.closed?.(state, outcome, now))
  }

  #tell (): void {
    if (told.get(this.#object) === this) return
    this.#object.rebuild(this.#candidates)
    told.set(this.#object, this)
  }

  #ask<T> (question: () => T): T | undefined {
    try {
      const answer = question()
      return answer
    } catch (error) {
      this.trouble = error instanceof Error ? error.message : String(error)
      return undefined
    }
  }
}
