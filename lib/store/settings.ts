/**
 * What a service is told to do: frozen slices, one for each part that reads it. Durations are milliseconds and
 * shares are 0…1. `options.ts` checks and builds them, from code and from etcd; nobody changes one in place.
 */

/** Shape of the ramp after a start: weight × max(minWeight, (t / slow_start)^(1 / aggression)). */
export interface SlowStartSettings {
  readonly minWeight: number
  readonly aggression: number
}

/** Active checks. `status` holds closed intervals of accepted codes; `path` is for peers that name no check URL. */
export interface CheckSettings {
  readonly type: 'http' | 'tcp'
  readonly path: string | null
  readonly interval: number
  readonly timeout: number
  readonly rise: number
  readonly fall: number
  readonly status: ReadonlyArray<readonly [number, number]>
  readonly jitter: number
  readonly concurrency: number
  readonly userAgent: string
}

/** Passive judgement. A threshold of 0 or `false` turns that rule off. */
export interface OutlierSettings {
  readonly consecutive5xx: number
  readonly consecutiveErrors: number
  readonly interval: number
  readonly failureRate: number
  readonly minRequests: number
  readonly baseEjection: number
  readonly maxEjection: number
  readonly maxEjected: number
}

/** Bounds of a forwarded request. `total` spans all attempts, up to response headers; `body` is idle time. */
export interface TimeoutSettings {
  readonly connect: number
  readonly headers: number
  readonly body: number
  readonly total: number
}

/** Connections to one peer: at most `connections`, an idle one is kept for `keepAlive` ms. */
export interface PoolSettings {
  readonly connections: number
  readonly keepAlive: number
}

export interface ServiceSettings {
  readonly balancer: 'round-robin'
  readonly slowStart: SlowStartSettings
  readonly check: CheckSettings | false
  readonly outlier: OutlierSettings | false
  /** Below this share of healthy peers health is ignored; 0 turns that off. */
  readonly panic: number
  readonly timeouts: TimeoutSettings
  /** `'client'`, `'peer'`, or a literal Host header. */
  readonly host: string
  readonly forwarded: boolean
  readonly pool: PoolSettings
}

/** The shortest time after which something of these settings may be due (ms). */
export function shortestWait ({ check, outlier }: ServiceSettings): number {
  return Math.min(
    check === false ? Infinity : check.interval,
    outlier === false ? Infinity : Math.min(outlier.interval, outlier.baseEjection)
  )
}
