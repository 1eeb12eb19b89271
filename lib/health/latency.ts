import { inRotation } from '../store/condition.js'
import type { PeerState } from '../store/peer.js'
import type { OutlierSettings } from '../store/settings.js'
import { judgementOf } from './judgement.js'
import type { Grievance } from './verdict.js'

/**
 * Who is slow: whose mean time to first byte over an interval is a multiple of the median of the peers' means. The median
 * and not the mean of them, because one slow peer among few would move that; by the means of the peers and not by single
 * requests, because a busy peer has no more to say about what is usual. Requests that failed count nothing: a quick error
 * must not look fast, and a time-out is the business of other rules. Costs O(n log n) for n peers with requests.
 */

/** Of fewer peers nobody can say who is the odd one. */
const FEWEST = 3
/** So much above the median it must be besides (ms): among quick answers a multiple is noise. */
const LEAST = 10
/** A larger multiple says no more. */
const LARGEST = 1000

interface Mean {
  readonly state: PeerState
  readonly answered: number
  readonly ms: number
}

/** Those of `judged` that are too slow, with what that is said by. */
export function slowOf (judged: Iterable<PeerState>, outlier: OutlierSettings): Map<PeerState, Grievance> {
  const slow = new Map<PeerState, Grievance>()
  if (outlier.latencyFactor === 0) return slow
  const means = meansOf(judged, outlier.minRequests)
  if (means.length < FEWEST) return slow
  const median = medianOf(means.map(({ ms }) => ms).sort((a, b) => a - b))
  for (const { state, answered, ms } of means) {
    if (ms <= median * outlier.latencyFactor || ms < median + LEAST) continue
    const times = ms > median * LARGEST ? `over ${LARGEST}` : (ms / median).toFixed(1)
    const reason = `mean time to first byte ${shown(ms)} over ${answered} requests in ${outlier.interval / 1000} s, ` +
      `${times} × the median of ${means.length} peers (${shown(median)})`
    slow.set(state, { cause: 'latency', reason })
  }
  return slow
}

/** The means of those who are in, and have had enough requests to have one. */
function meansOf (judged: Iterable<PeerState>, minRequests: number): Mean[] {
  const means: Mean[] = []
  for (const state of judged) {
    const { answered, waited } = judgementOf(state)
    if (answered >= minRequests && state.ejected === null && inRotation(state)) means.push({ state, answered, ms: waited / answered })
  }
  return means
}

function medianOf (sorted: readonly number[]): number {
  const low = sorted[(sorted.length - 1) >> 1] as number
  const high = sorted[sorted.length >> 1] as number
  return (low + high) / 2
}

function shown (ms: number): string {
  return `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms`
}
