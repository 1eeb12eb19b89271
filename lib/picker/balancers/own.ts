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
  /** What it did wrong since it last chose well; null when nothing. */
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
    try {
      this.#tell()
      const state = this.#heed(this.#object.pick(now, key, mayTake))
      if (state !== undefined && !(this.#states.has(state) && mayTake?.(state) !== false)) throw new Error('it chose a peer that may not be chosen')
      this.trouble = null
      return state
    } catch (error) {
      this.trouble = wordsOf(error)
      return this.#standIn.pick(now, key, mayTake)
    }
  }

  opened (state: PeerState): void {
    this.#try(() => this.#object.opened?.(state))
  }

  closed (state: PeerState, outcome: Outcome, now: number): void {
    this.#try(() => this.#object.closed?.(state, outcome, now))
  }

  #tell (): void {
    if (told.get(this.#object) === this) return
    // A list of its own: it may sort it, or empty it.
    this.#heed(this.#object.rebuild([...this.#candidates]))
    told.set(this.#object, this)
  }

  #try (call: () => unknown): void {
    try {
      this.#heed(call())
    } catch (error) {
      this.trouble = wordsOf(error)
    }
  }

  /** It may be written with `async`: a promise that failed and that nobody listens to would end the process. */
  #heed<T> (answer: T): T {
    if (answer instanceof Promise) answer.catch((error: unknown) => { this.trouble = wordsOf(error) })
    return answer
  }
}

/** What was thrown may be anything, also what fails when it is made a text. */
function wordsOf (error: unknown): string {
  try {
    return String(error instanceof Error ? error.message : error)
  } catch {
    return 'it threw what cannot be told'
  }
}
