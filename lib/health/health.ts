import type { Outcome } from '../logger/outcome.js'
import { expire } from '../store/overrides.js'
import type { PeerState } from '../store/peer.js'
import type { Service } from '../store/service.js'
import { admit, conclude, targetOf, type CheckAnswer, type CheckTask, type Schedule } from './checks.js'
import { forget, observe, prove, release, sweep } from './outlier.js'
import type { Verdict } from './verdict.js'

/** What health remembers of a service between two ticks. */
interface Rounds {
  /** When the running interval of outlier detection began; null while there is none. */
  sweptAt: number | null
  checking: number
  /** The last time, more checks were due than could be started. */
  behind: boolean
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

  /** The probing request of a peer was answered well. */
  prove (service: Service, state: PeerState, now: number): Verdict | undefined {
    return prove(service, state, now)
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

  /**
   * The checks due at `now`, of these peers or of all; each must be concluded. Never two of one peer, at most
   * `concurrency` of a service; who has waited longest goes first, so that slow checks of many peers leave nobody out.
   */
  due (service: Service, now: number, peers: Iterable<PeerState> = service.peers.values()): CheckTask[] {
    const settings = service.settings.check
    if (settings === false) return []
    const rounds = this.#roundsOf(service)
    const room = settings.concurrency - rounds.checking
    const waiting: Array<{ task: CheckTask, schedule: Schedule, dueAt: number }> = []
    for (const state of room > 0 ? peers : []) {
      const path = targetOf(state.peer, settings)
      if (path === undefined) continue
      const schedule = this.#scheduleOf(state)
      const dueAt = schedule.startedAt + settings.interval * schedule.part
      if (schedule.running || now < dueAt) continue
      waiting.push({ task: { service, state, peer: state.peer, settings, path }, schedule, dueAt })
    }
    // Without room nobody was looked at, and somebody may wait.
    rounds.behind = room <= 0 || waiting.length > room
    if (waiting.length > room) waiting.sort((a, b) => a.dueAt - b.dueAt)
    return waiting.slice(0, room).map(({ task, schedule }) => {
      rounds.checking++
      // The first interval is a random part of one, which spreads peers that came together.
      schedule.part = schedule.startedAt === -Infinity ? this.#random() : 1 + settings.jitter * (2 * this.#random() - 1)
      schedule.startedAt = now
      schedule.running = true
      return task
    })
  }

  /** Whether checks are waiting and half of those under way have ended: then it is worth to ask what is due again. */
  isBehind (service: Service): boolean {
    const { behind, checking } = this.#roundsOf(service)
    const { check } = service.settings
    return behind && check !== false && checking <= check.concurrency / 2
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
      rounds = { sweptAt: null, checking: 0, behind: false }
      this.#rounds.set(service, rounds)
    }
    return rounds
  }

  #scheduleOf (state: PeerState): Schedule {
    let schedule = this.#schedules.get(state)
    if (schedule === undefined) {
      schedule = { startedAt: -Infinity, part: 0, running: false }
      this.#schedules.set(state, schedule)
    }
    return schedule
  }
}
