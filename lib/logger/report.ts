import type { PeerState } from '../store/peer.js'
import type { Service } from '../store/service.js'
import { BUCKETS, lowerBound, quantile } from './histogram.js'
import { CLIENT_CLOSED } from './outcome.js'
import { recordOf } from './record.js'
import type { Second, Summary } from './window.js'

/** A peer's part of a report, in the original's shape; all times in seconds. */
export interface PeerReport {
  readonly peer: string
  readonly rtsum: number
  readonly stat: ReadonlyArray<{ readonly code: number, readonly count: number }>
  readonly p50: number | null
  readonly p90: number | null
  readonly p99: number | null
}

/** `ts_start` is the first and `ts_end` the last of the full seconds reported, in epoch seconds. */
export interface Report {
  readonly name: string
  readonly ts_start: number
  readonly ts_end: number
  readonly statistics: PeerReport[]
}

/** Percentiles in ms; null when nothing was counted. */
export interface Latency {
  readonly p50: number | null
  readonly p90: number | null
  readonly p99: number | null
}

/** The last seconds of a peer or service, the running second included. */
export interface Recent {
  /** Answers and failures, clients that left included. */
  readonly requests: number
  readonly rps: number
  /** 5xx and failures by requests, 0…1; null without requests. Clients that left count in neither. */
  readonly errorRate: number | null
  readonly latencyMs: Latency
}

/** The `seconds` full seconds before `now`, for each of `peers`, sorted by peer. */
export function report (service: Service, peers: Iterable<PeerState>, seconds: number, now: number): Report {
  const end = Math.floor(now / 1000) - 1
  const start = end - seconds + 1
  const statistics: PeerReport[] = []
  for (const state of peers) {
    const sum = recordOf(state)?.window.sum(start, end)
    statistics.push({
      peer: state.peer.id,
      rtsum: (sum?.rtsum ?? 0) / 1000,
      stat: sum === undefined ? [] : [...sum.codes].map(([code, count]) => ({ code, count })),
      ...quantiles(sum, 1000)
    })
  }
  statistics.sort((a, b) => a.peer < b.peer ? -1 : 1)
  return { name: service.name, ts_start: start, ts_end: end, statistics }
}

/** For one call at a time: making one takes longer than adding up. */
const scratch = new Uint32Array(BUCKETS)

/**
 * The last `seconds` seconds of a peer or a service. While its first request is younger than that, rates are taken over
 * the time since then, at least one second.
 */
export function recent (owner: PeerState | Service, seconds: number, now: number): Recent {
  const record = recordOf(owner)
  if (record === null) return { requests: 0, rps: 0, errorRate: null, latencyMs: quantiles(undefined, 1) }
  const last = Math.floor(now / 1000)
  const sum = record.window.sum(last - seconds + 1, last, scratch.fill(0))
  const failed = sum.errors.connect + sum.errors.timeout + sum.errors.reset
  const requests = sum.count + failed
  const judged = requests - (sum.codes.get(CLIENT_CLOSED) ?? 0)
  let bad = failed
  for (const [code, count] of sum.codes) if (code >= 500) bad += count
  // With a clock that has gone back the first request is yet to come, and nobody knows better than the whole time.
  const span = now < record.since ? seconds : Math.min(seconds, Math.max(1, (now - record.since) / 1000))
  return { requests, rps: requests / span, errorRate: judged === 0 ? null : bad / judged, latencyMs: quantiles(sum, 1) }
}

/** One entry for each of the `seconds` full seconds before `now`: requests, failures and the mean in ms. */
export function history (service: Service, seconds: number, now: number): Array<{ at: number, requests: number, errors: number, meanMs: number | null }> {
  const last = Math.floor(now / 1000) - 1
  const first = last - seconds + 1
  const busy = new Map(series(service, first, last).map(entry => [entry.second, entry]))
  return Array.from({ length: seconds }, (_, i) => {
    const { requests, errors, answers, rtsum } = busy.get(first + i) ?? { requests: 0, errors: 0, answers: 0, rtsum: 0 }
    return { at: first + i, requests, errors, meanMs: answers === 0 ? null : rtsum / answers }
  })
}

/** The seconds from `first` to `last`, both included, in which anything happened; oldest first. */
export function series (owner: PeerState | Service, first: number, last: number): Second[] {
  return recordOf(owner)?.window.series(first, last) ?? []
}

/** Answers of the last `seconds` seconds, the running one included, by latency: `[from, to, count]` in ms, for those that have any. */
export function latencies (owner: PeerState | Service, seconds: number, now: number): Array<[from: number, to: number, count: number]> {
  const last = Math.floor(now / 1000)
  const counts = recordOf(owner)?.window.sum(last - seconds + 1, last).histogram ?? new Uint32Array()
  return [...counts].flatMap((count, bucket): Array<[number, number, number]> => count === 0 ? [] : [[lowerBound(bucket), lowerBound(bucket + 1), count]])
}

function quantiles (sum: Summary | undefined, unit: number): Latency {
  const of = (q: number): number | null => {
    const ms = sum === undefined ? null : quantile(sum.histogram, q)
    return ms === null ? null : ms / unit
  }
  return { p50: of(0.5), p90: of(0.9), p99: of(0.99) }
}
