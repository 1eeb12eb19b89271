import type { Outcome } from '../logger/outcome.js'
import { follow } from '../store/clock.js'
import { expire } from '../store/overrides.js'
import type { PeerState } from '../store/peer.js'
import type { Service } from '../store/service.js'
import { admit, conclude, type CheckAnswer, type CheckTask } from './checks.js'
import { release } from './ejection.js'
import { observe, prove } from './outlier.js'
import { mayTurn, turn } from './panic.js'
import { roundsOf } from './rounds.js'
import { end, enlist, hurry, isBehind, start, strike } from './schedule.js'
import { forget, sweep } from './sweep.js'
import { verdictOn, type Verdict } from './verdict.js'

/**
 * Who should be left out, and why. Health answers what is due at `now` and what it makes of what it is told; it never
 * schedules, connects or logs. What it remembers it keeps with the service and its peers.
 */
export class Health {
  readonly #random: () => number

  constructor (random: () => number) {
    this.#random = random
  }

  /** A peer came or its registration or its service's settings changed. `boot`: it was in the first listing. */
  admit (service: Service, state: PeerState, isNew: boolean, boot: boolean, now: number): void {
    admit(service, state, isNew, boot, now)
    enlist(service, state)
  }

  /** A peer was removed: nothing more is due of it. */
  drop (service: Service, state: PeerState): void {
    const { judged, ejected, failing } = roundsOf(service)
    for (const set of [judged, ejected, failing]) set.delete(state)
    strike(service, state)
  }

  /** An attempt at a peer has ended. */
  observe (service: Service, state: PeerState, outcome: Outcome, now: number): Verdict | undefined {
    return observe(service, state, outcome, now, this.#random)
  }

  /** The probing request of a peer was answered well. */
  prove (service: Service, state: PeerState, now: number): Verdict | undefined {
    return prove(service, state, now)
  }

  /**
   * Ends what is over at `now`: overrides, ejections, an interval of outlier detection. O(1) when nothing is, however many
   * peers there are.
   */
  tick (service: Service, now: number): Verdict[] {
    follow(service, now)
    const verdicts = expire(service, now).map(({ state, what }) => verdictOn(service, state, 'expire', 'override_over', `the override is over: ${what}`, now))
    const { outlier } = service.settings
    const rounds = roundsOf(service)
    if (outlier === false) {
      rounds.sweptAt = null
      return [...verdicts, ...forget(service, rounds, now)]
    }
    verdicts.push(...release(service, rounds, now))
    // The first call only starts the interval.
    const at = now + service.rewound
    rounds.sweptAt ??= at
    if (at < rounds.sweptAt + outlier.interval) return verdicts
    rounds.sweptAt = at
    return [...verdicts, ...sweep(service, rounds, outlier, now, this.#random)]
  }

  /** Whether panic may have begun or ended; then `turn` wants to know. O(1). */
  mayTurn (service: Service): boolean {
    return mayTurn(service)
  }

  /** Health of the service is ignored just now, or it is not. */
  turn (service: Service, isPanic: boolean, now: number): Verdict | undefined {
    return turn(service, isPanic, now)
  }

  /**
   * The checks due at `now`; each must be concluded. Never two of one peer, at most `concurrency` of a service; who has
   * waited longest goes first, so that slow checks of many peers leave nobody out.
   */
  due (service: Service, now: number): CheckTask[] {
    return start(service, now + service.rewound, this.#random)
  }

  /** The peer's next check is due at once. False when there is nothing to check of it. */
  hurry (service: Service, state: PeerState): boolean {
    return hurry(service, state)
  }

  /** Whether checks were due at `now` and half of those under way have ended: then it is worth to ask what is due again. */
  isBehind (service: Service, now: number): boolean {
    return isBehind(service, now + service.rewound)
  }

  /** A check has ended with `answer`. */
  conclude (task: CheckTask, answer: CheckAnswer, now: number): Verdict | undefined {
    end(task, answer.ok)
    return conclude(task, answer, now)
  }
}
