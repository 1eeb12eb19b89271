import type { PeerState } from '../store/peer.js'
import type { Service } from '../store/service.js'
import type { CheckSettings } from '../store/settings.js'
import { targetOf, type CheckTask } from './checks.js'
import { Schedule } from './queue.js'
import { roundsOf, type Rounds } from './rounds.js'

/**
 * When to check whom: every interval ± jitter after the last check began, at most `concurrency` at once, who has waited
 * longest first. Who is due is at the head of a queue, so that nobody else needs to be looked at.
 */

/** The schedule of a peer, made on first use. */
function scheduleOf (state: PeerState): Schedule {
  if (state.schedule instanceof Schedule) return state.schedule
  const schedule = new Schedule(state)
  state.schedule = schedule
  return schedule
}

/** Makes the queue fit what is to be checked of `state` now. O(log n). */
export function enlist (service: Service, state: PeerState): void {
  const { check } = service.settings
  const path = targetOf(state.peer, check)
  if (check !== false && path !== undefined) line(roundsOf(service), scheduleOf(state), check, path)
  else strike(service, state)
}

/** Its next check will not come. O(log n). */
export function strike (service: Service, state: PeerState): void {
  if (state.schedule instanceof Schedule) roundsOf(service).queue.remove(state.schedule)
}

/** Puts a peer where its next check belongs, unless one is under way. */
function line ({ queue }: Rounds, schedule: Schedule, { interval }: CheckSettings, path: string | null): void {
  if (schedule.isRunning) return
  schedule.path = path
  schedule.dueAt = schedule.startedAt + interval * schedule.part
  queue.add(schedule)
}

/** Other settings: another interval counts at once, and others may be checked. O(peers). */
function arrange (service: Service, rounds: Rounds): void {
  rounds.queuedFor = service.settings.check
  rounds.queue.clear()
  if (service.settings.check !== false) for (const state of service.peers.values()) enlist(service, state)
}

/** Starts the checks that are due at `at` as far as there is room; each must be concluded. O(due × log n). */
export function start (service: Service, at: number, random: () => number): CheckTask[] {
  const { check: settings } = service.settings
  const rounds = roundsOf(service)
  if (rounds.queuedFor !== settings) arrange(service, rounds)
  if (settings === false) return []
  const tasks: CheckTask[] = []
  for (let next = rounds.queue.first; next !== undefined && next.dueAt <= at && rounds.checking < settings.concurrency; next = rounds.queue.first) {
    rounds.queue.remove(next)
    rounds.checking++
    // The first interval is a random part of one, which spreads peers that came together.
    next.part = next.startedAt === -Infinity ? random() : 1 + settings.jitter * (2 * random() - 1)
    next.startedAt = at
    next.isRunning = true
    const { state, path } = next
    tasks.push({ service, state, peer: state.peer, settings, path })
  }
  return tasks
}

/**
 * The next check of `state` is due at once, before all others; one that is under way will do. False when there is nothing to
 * check of it. O(log n).
 */
export function hurry (service: Service, state: PeerState): boolean {
  const { check: settings } = service.settings
  const rounds = roundsOf(service)
  if (rounds.queuedFor !== settings) arrange(service, rounds)
  if (targetOf(state.peer, settings) === undefined) return false
  const schedule = scheduleOf(state)
  if (schedule.isRunning) return true
  schedule.dueAt = -Infinity
  rounds.queue.add(schedule)
  return true
}

/** Whether checks were due at `at` and half of those under way have ended: then it is worth to ask what is due again. */
export function isBehind (service: Service, at: number): boolean {
  const { check } = service.settings
  const { queue, checking } = roundsOf(service)
  return check !== false && checking <= check.concurrency / 2 && queue.first !== undefined && queue.first.dueAt <= at
}

/** A check has ended, well or not: the next one is to come. */
export function end ({ service, state }: CheckTask, isOk: boolean): void {
  roundsOf(service).checking--
  const schedule = scheduleOf(state)
  schedule.isRunning = false
  if (isOk) schedule.ok++
  else schedule.failed++
  if (!state.isRemoved) enlist(service, state)
}
