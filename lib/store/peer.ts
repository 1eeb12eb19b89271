/**
 * A peer in two objects with two lifetimes. `Peer` is what the registry says: frozen, replaced by every change.
 * `PeerState` is what this gateway learned: it survives every change and every re-listing, and dies with the peer.
 */

export const SCHEMES = ['http', 'https'] as const
export type Scheme = typeof SCHEMES[number]

/** One registration as decoded. Durations are milliseconds, points in time epoch milliseconds. */
export interface Peer {
  /** `host:port`, IPv6 in brackets. */
  readonly id: string
  /** IPv4, IPv6 without brackets, or a name in lower case. */
  readonly host: string
  readonly port: number
  readonly scheme: Scheme
  /** 0 … 1,000,000; 0 takes no new requests. */
  readonly weight: number
  /** The registry's word; anything but `up` is out of rotation. */
  readonly status: string
  readonly slowStart: number
  readonly checkUrl: string | null
  readonly startAt: number | null
  readonly priority: number
  readonly zone: string | null
  /** 0 means no bound. */
  readonly maxInflight: number
  readonly params: Readonly<Record<string, unknown>>
  /** Where it was registered. */
  readonly key: string
  readonly modRevision: bigint
  readonly lease: bigint
}

/** Names a peer within its service: two keys with the same identity are one peer. */
export function identityOf (peer: Pick<Peer, 'scheme' | 'id'>): string {
  return `${peer.scheme}://${peer.id}`
}

/** Whether two registrations differ in nothing but where and when they were written. */
export function saysTheSame (a: Peer, b: Peer): boolean {
  return wordsOf(a) === wordsOf(b)
}

function wordsOf ({ key: _key, modRevision: _revision, lease: _lease, ...words }: Peer): string {
  return JSON.stringify(words)
}

/** Why something is so, in words with the numbers; `since` and `until` are epoch milliseconds. */
export interface Reason {
  readonly reason: string
  readonly since: number
  readonly until: number | null
}

/** Why a peer is out, and until when. */
export interface Ejection extends Reason {
  readonly until: number
}

/** Why a peer is left alone, and until when. */
export interface HoldOff extends Reason {
  readonly until: number
}

/** What a peer said of its load (ORCA), and what that makes of its weight. Times are epoch ms. */
export interface LoadReport {
  /** Shares of what it has, 0…1 and more; null when it did not say. */
  readonly cpu: number | null
  readonly application: number | null
  /** Requests and errors a second, as it counts them. */
  readonly rps: number | null
  readonly eps: number | null
  readonly named: ReadonlyMap<string, number>
  /** Its part of a weight (gRPC A58): requests a second by utilization; 0 when nothing follows from it. */
  readonly weight: number
  /** When this was said, and since when it says what a weight follows from. */
  readonly at: number
  readonly since: number
}

/** An operator's word that the peer is to take no new requests. */
export interface Drain extends Reason {
  /** The operator calls it down, which has the word of the registry's `down`. */
  readonly isDown?: boolean
}

/** A weight in place of the registry's, on this gateway, for a while. */
export interface Weighed extends Reason {
  readonly weight: number
  readonly until: number
}

/** A share of a peer's weight, on this gateway, for a while. */
export interface Cutdown {
  readonly share: number
  readonly since: number
  readonly until: number
}

/**
 * `none`: nothing to check. `unchecked`: there since boot, not checked yet, eligible. `probing`: came later, not
 * eligible before its first success. `passing` and `failing` are verdicts.
 */
export type CheckCondition = 'none' | 'unchecked' | 'probing' | 'passing' | 'failing'

/** What one active check saw. `at` is epoch ms, `streak` counts equal results in a row (negative: failures). */
export interface CheckResult {
  readonly at: number
  readonly ok: boolean
  readonly status: number | null
  readonly ms: number
  readonly error: string | null
  readonly streak: number
}

/** Checks in a row that came to the same. Points in time are epoch ms, the slowest one of them took so many ms. */
export interface CheckRun {
  readonly ok: boolean
  readonly status: number | null
  readonly error: string | null
  count: number
  readonly from: number
  to: number
  slowest: number
}

const NO_RUNS: readonly CheckRun[] = Object.freeze([])

/** Everything learned about a peer. Each field names the only part that writes it. */
export class PeerState {
  /** Store. The current registration. */
  peer: Peer
  /** Store. When this gateway first saw the peer, and when the registry last changed its word on it. */
  readonly joinedAt: number
  registeredAt: number
  /** Store. The registry no longer has it: what still comes of it is about nobody. */
  isRemoved = false
  /** Health. Since when nothing has spoken against it. */
  settledAt: number
  /** Store sets it for newcomers, health for returning peers: where the slow-start ramp begins, or null. */
  rampFrom: number | null
  /** Picker. The ramp's share of the weight as of the last rebuild, 0…1. */
  ramp = 1
  /** Picker. Requests picked and not yet closed. */
  inflight = 0
  /** Picker. The weight that its load reports come to as of the last rebuild; null without any that count. */
  reportedWeight: number | null = null
  /** Balancers. Where it stands in the list of the one that it is a candidate of. */
  place = 0
  /** Round robin. Picks owed to this peer (share received by now minus picks), carried over rebuilds. */
  debt = 0
  /** Least requests. The number of its last turn; below 0 before the first one, 0 when it has none yet. */
  turn = 0
  /** Two choices. Peak-sensitive mean of its times to first byte (ms), as of when (epoch ms); 0 and 0 while unknown. */
  latency = 0
  latencyAt = 0
  /** Two choices. Failures in a row, as far as they are counted. */
  failures = 0
  /** Picker. The one request (its pick) under way that may prove a half-open peer. */
  probe: object | null = null
  /** Picker sets it when that request ends, health clears it when it has judged. */
  probeEnded = false
  /** Picker. What it last said of its load; null when it never did. */
  load: LoadReport | null = null
  /** Picker. The peer asked to be left alone; it takes what nobody else can. */
  heldOff: HoldOff | null = null

  /** Health. */
  check: CheckCondition = 'none'
  /** Health. Why `check` is what it is. */
  checkReason: Reason | null = null
  /** Health. */
  lastCheck: CheckResult | null = null
  /** Health. The last checks, oldest first. */
  checkRuns: readonly CheckRun[] = NO_RUNS
  /** Health. Out until `ejected.until`; after that, half-open. */
  ejected: Ejection | null = null
  /** Health. The ejection is over and one request may prove the peer. */
  halfOpen = false
  /** Health. An ejection that a guard refused. */
  spared: Reason | null = null
  /** Health. How often it was ejected in all. */
  ejections = 0
  /** Health. Requests answered with 5xx, and attempts that failed, in a row. */
  consecutive5xx = 0
  consecutiveErrors = 0

  /** Operator. */
  cutdown: Cutdown | null = null
  /** Operator. */
  drain: Drain | null = null
  /** Operator. */
  weighed: Weighed | null = null

  /** The logger's, health's and the transport's own records, made on first use; they know their own by `instanceof`. */
  statistics: object | null = null
  judgement: object | null = null
  schedule: object | null = null
  connections: object | null = null

  constructor (peer: Peer, joinedAt: number, rampFrom: number | null) {
    this.peer = peer
    this.joinedAt = joinedAt
    this.registeredAt = joinedAt
    this.settledAt = joinedAt
    this.rampFrom = rampFrom
  }
}
