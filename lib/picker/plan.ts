import { inRotation, isEligible, isHealthy } from '../store/condition.js'
import type { PeerState } from '../store/peer.js'
import type { Service } from '../store/service.js'
import type { Balancer, Candidate } from './balancer.js'
import { release } from './hold-off.js'
import { hasVeteran, rampShare } from './slow-start.js'

/** Envoy's overprovisioning factor: a level keeps all requests while at least 1 / 1.4 = 71.4 % of it is healthy. */
const OVERPROVISION = 1.4

/** The peers of one priority. `load` is its share of the requests, `owed` what of a whole request has added up. */
export interface Level {
  readonly priority: number
  readonly balancer: Balancer
  candidates: Candidate[]
  load: number
  owed: number
}

/**
 * Who may be picked, derived from a service as of `stamp`. Levels outlive it: they hold the balancers, and stay while a
 * peer of their priority is registered, also when none of them may be picked.
 */
export interface Plan {
  stamp: number
  /** Too few peers are healthy, so health is ignored. */
  panic: boolean
  /** Some candidate has a bound on its requests in flight. */
  bounded: boolean
  /** Some candidate is ramping up: its weight changes as time goes by. */
  ramping: boolean
  /** Somebody does not ramp; without one nobody does. */
  veteran: boolean
  /** Lowest priority first. */
  levels: Level[]
  /** Who asked to be left alone: picked when nobody in `levels` can take a request. Empty when all of them asked. */
  reserve: Candidate[]
}

/** Is the healthy share of those whom the registry calls up below the threshold? Who waits for a first check is not asked. */
export function isPanic (states: readonly PeerState[], threshold: number): boolean {
  const judged = states.filter(state => state.check !== 'probing')
  return judged.length > 0 && judged.filter(isHealthy).length / judged.length < threshold
}

/** Brings `plan` up to date with its service. O(peers); called at most once per stamp. */
export function rebuild (plan: Plan, service: Service, newBalancer: () => Balancer, now: number): void {
  release(service, now)
  const states = [...service.peers.values()]
  const wanted = states.filter(inRotation)
  plan.stamp = service.stamp
  plan.panic = isPanic(wanted, service.settings.panic)
  const allowed = plan.panic ? wanted : wanted.filter(isEligible)
  const veteran = hasVeteran(allowed, now)
  // Peers that began together at full weight stay there: when the first of them is no longer new, none of them is.
  if (veteran && !plan.veteran) for (const { state } of candidatesOf(plan)) state.rampFrom = null
  plan.veteran = veteran
  for (const state of wanted) state.ramp = veteran ? rampShare(state, service.settings.slowStart, now) : 1
  plan.bounded = allowed.some(state => state.peer.maxInflight > 0)
  plan.ramping = allowed.some(state => state.ramp < 1)
  const takers = plan.panic ? allowed : withoutHeldOff(allowed)
  plan.reserve = takers === allowed ? [] : allowed.filter(isHeldOff).map(candidate)

  const priorities = [...new Set(states.map(state => state.peer.priority))].sort((a, b) => a - b)
  const known = plan.levels
  plan.levels = priorities.map(priority => known.find(level => level.priority === priority) ??
    { priority, balancer: newBalancer(), candidates: [], load: 1, owed: 0 })
  for (const level of plan.levels) {
    level.candidates = takers.filter(state => state.peer.priority === level.priority).map(candidate)
    level.balancer.rebuild(level.candidates)
  }
  if (plan.levels.length > 1) share(plan.levels, wanted)
  else if (plan.levels[0] !== undefined) plan.levels[0].load = 1
}

/** Everybody who may be picked, by turns or at need. */
export function candidatesOf ({ levels, reserve }: Plan): Candidate[] {
  return [...levels.flatMap(({ candidates }) => candidates), ...reserve]
}

function isHeldOff (state: PeerState): boolean {
  return state.heldOff !== null
}

/** Those who did not ask to be left alone; all if there are none. */
function withoutHeldOff (states: readonly PeerState[]): readonly PeerState[] {
  const others = states.filter(state => !isHeldOff(state))
  return others.length === 0 || others.length === states.length ? states : others
}

function candidate (state: PeerState): Candidate {
  return { state, weight: effectiveWeight(state) }
}

/** Weight after slow start and overrides, of a peer in rotation; above 0, however small its factors are. */
export function effectiveWeight (state: PeerState): number {
  return Math.max(Number.MIN_VALUE, state.peer.weight * state.ramp * (state.cutdown?.share ?? 1))
}

/**
 * Spreads the requests over the levels as Envoy does: each takes 1.4 × its healthy share of what the levels before it
 * left over. Falling short, the loads are stretched to 1; with nobody healthy at all the first level takes everything.
 * Who is due for its one probing request counts as healthy until that is sent, or a level with nobody else, whose
 * requests all go to the next one, would never see it. Who asked to be left alone does not count as healthy here.
 */
function share (levels: readonly Level[], wanted: readonly PeerState[]): void {
  let left = 1
  for (const level of levels) {
    const all = wanted.filter(state => state.peer.priority === level.priority)
    const healthy = level.candidates.filter(({ state }) => isEligible(state)).length
    level.load = healthy === 0 ? 0 : Math.min(left, OVERPROVISION * healthy / all.length)
    left -= level.load
  }
  const placed = 1 - left
  const first = levels.find(({ candidates }) => candidates.length > 0)
  for (const level of levels) level.load = placed > 0 ? level.load / placed : Number(level === first)
}
