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

/** Passive judgement. A threshold of 0 turns that rule off. */
export interface OutlierSettings {
  readonly consecutive5xx: number
  readonly consecutiveErrors: number
  readonly interval: number
  readonly failureRate: number
  readonly minRequests: number
  readonly baseEjection: number
  readonly maxEjection: number
  readonly maxEjected: number
  /** How many times the median of the peers' mean times to first byte one peer's may be. */
  readonly latencyFactor: number
}

/** The balancers that are part of the package. */
export const BALANCERS = ['round-robin', 'least-requests', 'p2c-ewma', 'hash', 'random'] as const
export type BalancerName = typeof BALANCERS[number]

/** What a request is hashed by: a part of it, or a function of it. */
export type HashKey = string | ((request: unknown) => unknown)

/** A cookie that keeps a client on its peer, signed with the first secret; the others are still understood. */
export interface StickySettings {
  readonly cookie: string
  readonly secret: readonly string[]
}

/** Requests at the same time: at most `maxInflight` at a peer (0: no bound), `queue` more may wait for `queueTimeout` ms. */
export interface LimitSettings {
  readonly maxInflight: number
  readonly queue: number
  readonly queueTimeout: number
}

/** Bounds of a forwarded request. `total` spans all attempts, up to response headers; `body` is idle time. */
export interface TimeoutSettings {
  readonly connect: number
  readonly headers: number
  readonly body: number
  readonly total: number
}

/** What an attempt must come to for another one: no connection, a lost one, no headers in time, or a status. */
export type RetryReason = 'connect' | 'reset' | 'timeout' | number

/** Retries of a service may be at most `ratio` × its requests plus `perSecond` a second. */
export interface RetryBudgetSettings {
  readonly ratio: number
  readonly perSecond: number
}

/** Attempts after the first. Bodies of up to `bodyBytes` are kept for them. */
export interface RetrySettings {
  readonly attempts: number
  readonly on: readonly RetryReason[]
  readonly budget: RetryBudgetSettings
  readonly bodyBytes: number
}

/** Connections to one peer: at most `connections`, an idle one is kept for `keepAlive` ms. */
export interface PoolSettings {
  readonly connections: number
  readonly keepAlive: number
  /** HTTP/2 where a peer offers it by TLS. */
  readonly allowH2: boolean
}

/** Towards peers with the scheme `https`; PEM as text, null for none. `cert` and `key` are both there or neither is. */
export interface TlsSettings {
  readonly rejectUnauthorized: boolean
  readonly ca: string | null
  readonly cert: string | null
  /** Secret: whoever shows settings hides it. */
  readonly key: string | null
  /** The name that a peer's certificate must carry, when it is not the host. */
  readonly serverName: string | null
}

export interface ServiceSettings {
  /** A name, or an object that chooses (`Balancer` in picker/balancer.ts). */
  readonly balancer: BalancerName | object
  readonly hashKey: HashKey
  readonly sticky: StickySettings | false
  /** Whether what peers say of their load is taken for their weight. */
  readonly loadReports: boolean
  readonly slowStart: SlowStartSettings
  readonly check: CheckSettings | false
  readonly outlier: OutlierSettings | false
  /** Below this share of healthy peers health is ignored; 0 turns that off. */
  readonly panic: number
  readonly limits: LimitSettings
  readonly retry: RetrySettings | false
  readonly timeouts: TimeoutSettings
  /** `'client'`, `'peer'`, or a literal Host header. */
  readonly host: string
  readonly forwarded: boolean
  /** Whether responses say which peer they come from. */
  readonly debugHeader: boolean
  readonly pool: PoolSettings
  readonly tls: TlsSettings
}

/** The shortest time after which something of these settings may be due (ms). */
export function shortestWait ({ check, outlier }: ServiceSettings): number {
  return Math.min(
    check === false ? Infinity : check.interval,
    outlier === false ? Infinity : Math.min(outlier.interval, outlier.baseEjection)
  )
}
