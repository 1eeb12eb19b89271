import { inRotation } from '../store/condition.js'
import type { PeerState } from '../store/peer.js'
import type { Service } from '../store/service.js'
import type { CheckSettings } from '../store/settings.js'
import { Queue } from './queue.js'

/**
 * What health remembers of a service between two ticks: above all who needs to be looked at, so that a tick costs the
 * same however many peers do well. A peer leaves these sets when it is removed.
 */
export class Rounds {
  /** When the running interval of outlier detection began, by the clock that never goes back; null while there is none. */
  sweptAt: number | null = null
  /** Of whom something was counted since, or is remembered that a healthy interval forgives. */
  readonly judged = new Set<PeerState>()
  /** Who is ejected, half-open ones included. */
  readonly ejected = new Set<PeerState>()
  /** Whom active checks have found down. */
  readonly failing = new Set<PeerState>()
  /** The stamp at which the ejected were looked at last, and when the first of them may prove itself. */
  releasedStamp = -1
  releaseAt = Infinity
  /** What the last interval came to, when those that are in fail like those that are out; null when they do not. */
  common: string | null = null
  /** How many are in rotation, and how many of these are ejected, as of a stamp. */
  readonly census = { stamp: -1, wanted: 0, out: 0 }
  /** Whose next check is to come, and the settings that it is ordered by. Who is being checked is not in it. */
  readonly queue = new Queue()
  queuedFor: CheckSettings | false = false
  /** How many checks are under way. */
  checking = 0
  /** What was told of the service last, and the stamp up to which nothing else can be so. */
  isPanic = false
  watchedStamp = -1
}

/** The rounds of a service, made on first use. */
export function roundsOf (service: Service): Rounds {
  if (service.rounds instanceof Rounds) return service.rounds
  const rounds = new Rounds()
  service.rounds = rounds
  return rounds
}

/** How many peers are in rotation, and how many of them are ejected. O(peers), at most once per stamp. */
export function censusOf (service: Service, { census, ejected }: Rounds): Rounds['census'] {
  if (census.stamp === service.stamp) return census
  census.stamp = service.stamp
  census.wanted = count(service.peers.values())
  census.out = count(ejected)
  return census
}

function count (states: Iterable<PeerState>): number {
  let wanted = 0
  for (const state of states) if (inRotation(state)) wanted++
  return wanted
}
