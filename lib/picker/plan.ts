import { inRotation, isEligible, isHealthy } from '../store/condition.js'
import type { PeerState } from '../store/peer.js'
import type { Service } from '../store/service.js'
import type { ServiceSettings } from '../store/settings.js'
import type { Balancer, Candidate } from './balancer.js'
import { make } from './balancers/make.js'
import { release } from './hold-off.js'
import { weigh } from './load-report.js'
import { hasVeteran, rampShare } from './slow-start.js'

/** Envoy's overprovisioning factor: a level keeps all requests while at least 1 / 1.4 = 71.4 % of it is healthy. */
const OVERPROVISION = 1.4

/**
 * The peers of one priority that are in the gateway's own zone, or those that are not; in a gateway without a zone all of
 * them. `load` is its share of the requests, `owed` what of a whole request has added up.
 */
export interface Level {
  readonly rank: number
  /** What its balancer was made of. */
  made: ServiceSettings['balancer']
  balancer: Balancer
  candidates: Candidate[]
  load: number
  owed: number
}

/**
 * Who may be picked, derived from a service as of `stamp`. Levels outlive it: they hold the balancers, and stay while a
 * peer of their rank is registered, also when none of them may be picked.
 */
export class Plan {
  stamp = -1
  /** Epoch ms. */
  builtAt = 0
  /** Too few peers are healthy, so health is ignored. */
  panic = false
  /** Some candidate has a bound on its requests in flight. */
  bounded = false
  /** Some candidate is ramping up: its weight changes as time goes by. */
  ramping = false
  /** Some peer says how loaded it is: weights change as it does. */
  reported = false
  /** Somebody does not ramp; without one nobody does. */
  veteran = true
  /** Lowest rank first. */
  levels: Level[] = []
  /** The balancers want to know of requests that begin, and of those that end: looking for that each time would cost a third of a pick. */
  opens = false
  closes = false
  /** Who asked to be left alone: picked when nobody in `levels` can take a request. Empty when all of them asked. */
  reserve: Candidate[] = []
  /** The bound on requests in flight of peers that name none of their own; 0 for none. */
  limit = 0
  readonly hasRoom = (state: PeerState): boolean => {
    const limit = state.peer.maxInflight === 0 ? this.limit : state.peer.maxInflight
    return limit === 0 || state.inflight < limit
  }

  /** The level that `state` belongs to. */
  levelOf (state: PeerState, zone: string | null): Level | undefined {
    if (this.levels.length === 1) return this.levels[0]
    const rank = rankOf(state, zone)
    return this.levels.find(level => level.rank === rank)
  }
}

/** Whose turn it is when others fall short: by priority, and within it those of the own zone first. */
export function rankOf ({ peer }: PeerState, zone: string | null): number {
  return 2 * peer.priority + Number(zone !== null && peer.zone !== zone)
}

/** Is the healthy share of those whom the registry calls up below the threshold? Who waits for a first check is not asked. */
export function isPanic (states: readonly PeerState[], threshold: number): boolean {
  const judged = states.filter(state => state.check !== 'probing')
  return judged.length > 0 && judged.filter(isHealthy).length / judged.length < threshold
}

/** What a gateway is like: the zone that it is in, null for none, and its chance. */
export interface Place {
  readonly zone: string | null
  readonly random: () => number
}

/** Brings `plan` up to date with its service. O(peers); called at most once per stamp. */
export function rebuild (plan: Plan, service: Service, place: Place, now: number): void {
  release(service, now)
  const { settings } = service
  const states = [...service.peers.values()]
  const wanted = states.filter(inRotation)
  plan.stamp = service.stamp
  plan.builtAt = now
  plan.panic = isPanic(wanted, settings.panic)
  const allowed = plan.panic ? wanted : wanted.filter(isEligible)
  const veteran = hasVeteran(allowed, now)
  // Peers that began together at full weight stay there: when the first of them is no longer new, none of them is.
  if (veteran && !plan.veteran) for (const { state } of candidatesOf(plan)) state.rampFrom = null
  plan.veteran = veteran
  for (const state of wanted) state.ramp = veteran ? rampShare(state, settings.slowStart, now) : 1
  for (const state of wanted) state.reportedWeight = null
  // Keys would move with every report.
  plan.reported = settings.loadReports && settings.balancer !== 'hash' && wanted.some(({ load }) => load !== null)
  if (plan.reported) weighByRank(allowed, place.zone, now)
  plan.limit = settings.limits.maxInflight
  plan.bounded = plan.limit > 0 || allowed.some(state => state.peer.maxInflight > 0)
  plan.ramping = allowed.some(state => state.ramp < 1)
  const takers = plan.panic ? allowed : withoutHeldOff(allowed)
  plan.reserve = takers === allowed ? [] : allowed.filter(isHeldOff).map(candidate)
  level(plan, settings, place, states, takers)
  plan.opens = plan.levels.some(({ balancer }) => balancer.opened !== undefined)
  plan.closes = plan.levels.some(({ balancer }) => balancer.closed !== undefined)
  if (plan.levels.length > 1) share(plan.levels, wanted, place.zone)
  else if (plan.levels[0] !== undefined) plan.levels[0].load = 1
}

/** Load reports spread weights among peers that share requests: those of one rank. */
function weighByRank (states: readonly PeerState[], zone: string | null, now: number): void {
  const ranks = new Set(states.map(state => rankOf(state, zone)))
  for (const rank of ranks) weigh(states.filter(state => rankOf(state, zone) === rank), now)
}

/** Spreads `takers` over the levels that `states` make, and tells the balancers. */
function level (plan: Plan, { balancer }: ServiceSettings, { zone, random }: Place, states: readonly PeerState[], takers: readonly PeerState[]): void {
  const known = plan.levels
  const ranks = new Map<number, Candidate[]>()
  for (const state of states) ranks.set(rankOf(state, zone), [])
  for (const state of takers) ranks.get(rankOf(state, zone))?.push(candidate(state))
  plan.levels = [...ranks].sort(([a], [b]) => a - b).map(([rank, candidates]) => {
    const level = known.find(level => level.rank === rank) ?? { rank, made: balancer, balancer: make(balancer, random), candidates, load: 1, owed: 0 }
    if (level.made !== balancer) {
      level.made = balancer
      level.balancer = make(balancer, random)
    }
    level.candidates = candidates
    level.balancer.rebuild(candidates)
    return level
  })
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
  return Math.max(Number.MIN_VALUE, (state.weighed?.weight ?? state.reportedWeight ?? state.peer.weight) * state.ramp * (state.cutdown?.share ?? 1))
}

/**
 * Spreads the requests over the levels as Envoy does: each takes 1.4 × its healthy share of what the levels before it
 * left over. Falling short, the loads are stretched to 1; with nobody healthy at all the first level takes everything.
 * Who is due for its one probing request counts as healthy until that is sent, or a level with nobody else, whose
 * requests all go to the next one, would never see it. Who asked to be left alone does not count as healthy here.
 */
function share (levels: readonly Level[], wanted: readonly PeerState[], zone: string | null): void {
  let left = 1
  for (const level of levels) {
    const all = wanted.filter(state => rankOf(state, zone) === level.rank)
    const healthy = level.candidates.filter(({ state }) => isEligible(state)).length
    level.load = healthy === 0 ? 0 : Math.min(left, OVERPROVISION * healthy / all.length)
    left -= level.load
  }
  const placed = 1 - left
  const first = levels.find(({ candidates }) => candidates.length > 0)
  for (const level of levels) level.load = placed > 0 ? level.load / placed : Number(level === first)
}
