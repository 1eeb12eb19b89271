import type { PeerState } from '../store/peer.js'
import type { Service } from '../store/service.js'
import type { Explained } from './balancer.js'
import { rescuer } from './picker.js'
import { rankOf, type Level, type Plan } from './plan.js'

/** Whether a peer may be picked: by turns, only for what nobody else can take, or not at all. */
export type Candidacy = 'yes' | 'reserve' | 'no'

export interface ExplainedLevel {
  readonly rank: number
  /** Its share of the requests, 0…1. */
  readonly load: number
  /** What its balancer goes by; null when that is somebody's own. */
  readonly by: Explained['by'] | null
}

export interface ExplainedPeer {
  readonly state: PeerState
  readonly rank: number
  readonly candidate: Candidacy
  /** As the bounds on requests in flight say. */
  readonly hasRoom: boolean
  /** What the balancer would go by, in the unit of `by`; null of no candidates. */
  readonly weighs: number | null
  /** Whose turn it is by the key, 0 first; null without one. */
  readonly place: number | null
}

export interface Explanation {
  readonly levels: readonly ExplainedLevel[]
  readonly peers: readonly ExplainedPeer[]
  /** Who would take the next request with that key; null when chance, or a balancer of somebody's own, decides, or nobody could. */
  readonly next: PeerState | null
}

/** What the next pick would go by, told without picking. Nothing is changed: no turn, no count, no chance. O(peers). */
export function explain (plan: Plan, service: Service, zone: string | null, now: number, key: string | null): Explanation {
  const mayTake = plan.bounded ? plan.hasRoom : undefined
  const told = new Map(plan.levels.map(level => [level, level.balancer.explain?.(level.candidates, now, key, mayTake)]))
  const candidacy = new Map<PeerState, Candidacy>(plan.reserve.map(({ state }) => [state, 'reserve']))
  const [weighs, places] = [new Map<PeerState, number>(), new Map<PeerState, number>()]
  for (const [{ candidates }, explained] of told) {
    for (const { state } of candidates) candidacy.set(state, 'yes')
    for (const [state, value] of explained?.weighs ?? []) weighs.set(state, value)
    explained?.order?.forEach((state, place) => places.set(state, place))
  }
  return {
    levels: [...told].map(([{ rank, load }, explained]) => ({ rank, load, by: explained?.by ?? null })),
    peers: [...service.peers.values()].map(state => ({
      state,
      rank: rankOf(state, zone),
      candidate: candidacy.get(state) ?? 'no',
      hasRoom: plan.hasRoom(state),
      weighs: weighs.get(state) ?? null,
      place: places.get(state) ?? null
    })),
    next: nextOf(plan, zone, told)
  }
}

function nextOf (plan: Plan, zone: string | null, told: ReadonlyMap<Level, Explained | undefined>): PeerState | null {
  const first = turnOf(plan.levels)
  for (const level of first === undefined ? plan.levels : [first, ...plan.levels]) {
    const [one, other] = level.candidates.filter(({ state }) => plan.hasRoom(state))
    if (one !== undefined) return other === undefined ? one.state : told.get(level)?.next ?? null
  }
  return rescuer(plan.reserve, zone, plan.hasRoom) ?? null
}

/** The level whose turn it is, as a pick would find it; of one there is no question. */
function turnOf (levels: readonly Level[]): Level | undefined {
  let best: Level | undefined
  for (const level of levels) if (level.load > 0 && (best === undefined || level.owed + level.load > best.owed + best.load)) best = level
  return best
}
