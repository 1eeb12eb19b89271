import type { Outcome } from '../logger/outcome.js'
import { expire } from '../store/overrides.js'
import type { PeerState } from '../store/peer.js'
import type { Service } from '../store/service.js'
import { admit, conclude, targetOf, type CheckAnswer, type CheckTask, type Schedule } from './checks.js'
import { forget, observe, release, sweep } from './outlier.js'
import type { Verdict } from './verdict.js'

/** What health remembers of a service between two ticks. */
interface Rounds {
  /** When the running interval of outlier detection began; null while there is none. */
  sweptAt: number | null
  checking: number
}

/**
 * Who should be left out, and why. Health answers what is due at `now` and what it makes of what it is told; it never
 * schedules, connects or logs.
 */
export class Health {
  readonly #random: () => number
  readonly #rounds = new WeakMap<Service, Rounds>()
  readonly #schedules = new WeakMap<PeerState, Schedule>()

  constructor (random: () => number) {
    this.#random = random
  }

  /** A peer came or its registration or its service's settings changed. `boot`: it was in the first listing. */
  admit (service: Service, state: PeerState, isNew: boolean, boot: boolean, now: number): void {
    admit(service, state, isNew, boot, now)
  }

  /** An attempt at a peer has ended. */
  observe (service: Service, state: PeerState, outcome: Outcome, now: number): Verdict | undefined {
    return observe(service, state, outcome, now, this.#random)
  }

  /** Ends what is over at `now`: overrides, ejections, an interval of outlier detection. O(peers). */
  tick (service: Service, now: number): Verdict[] {
    expire(service, now)
    const { outlier } = service.settings
    const rounds = this.#roundsOf(service)
    if (outlier === false) {
      rounds.sweptAt = null
      return forget(service, now)
    }
    const verdicts = release(service, now)
    // The first call only starts the interval.
    rounds.sweptAt ??= now
    if (now >= rounds.sweptAt + outlier.interval) {
      verdicts.push(...sweep(service, outlier, now, this.#random))
      rounds.sweptAt = now
    }
    return verdicts
  }

  /** The checks due at `now`; each must be concluded. Never two of one peer, at most `concurrency` of a service. */
  due (service: Service, now: number): CheckTask[] {
    const settings = service.settings.check
    if (settings === false) return []
    const rounds = this.#roundsOf(service)
    const tasks: CheckTask[] = []
    for (const state of service.peers.values()) {
      if (rounds.checking >= settings.concurrency) break
      const path = targetOf(state.peer, settings)
      if (path === undefined) continue
      const schedule = this.#scheduleOf(state)
      if (schedule.running || now < schedule.nextAt) continue
      schedule.running = true
      rounds.checking++
      const part = schedule.spread ? this.#random() : 1 + settings.jitter * (2 * this.#random() - 1)
      schedule.spread = false
      schedule.nextAt = now + settings.interval * part
      tasks.push({ service, state, peer: state.peer, settings, path })
    }
    return tasks
  }

  /** A check has ended with `answer`. */
  conclude (task: CheckTask, answer: CheckAnswer, now: number): Verdict | undefined {
    this.#scheduleOf(task.state).running = false
    this.#roundsOf(task.service).checking--
    return conclude(task, answer, now)
  }

  #roundsOf (service: Service): Rounds {
    let rounds = this.#rounds.get(service)
    if (rounds === undefined) {
      rounds = { sweptAt: null, checking: 0 }
      this.#rounds.set(service, rounds)
    }
    return rounds
  }

  #scheduleOf (state: PeerState): Schedule {
    let schedule = this.#schedules.get(state)
    if (schedule === undefined) {
      schedule = { nextAt: 0, running: false, spread: true }
      this.#schedules.set(state, schedule)
    }
    return schedule
  }
}
