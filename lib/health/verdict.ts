import type { PeerState, Scheme } from '../store/peer.js'
import type { Service } from '../store/service.js'

/** For what a peer may be ejected: the rule that it broke. */
export type EjectionCause = 'consecutive_5xx' | 'consecutive_errors' | 'failure_rate' | 'latency' | 'probe_failed'

/**
 * What a verdict comes from, for machines. Beside the rules: an ejection's time is over, its one request succeeded, the
 * peer is the only one, outlier detection was turned off, active checks, or an operator's override is over; and of a service, how
 * many of its peers are healthy.
 */
export type Cause = EjectionCause | 'ejection_over' | 'probe_succeeded' | 'only_peer' | 'outlier_off' | 'checks' | 'healthy_share' | 'override_over'

/** What speaks against a peer. */
export interface Grievance {
  readonly cause: EjectionCause
  /** In words, with the numbers. */
  readonly reason: string
}

/**
 * What health decided about a peer; somebody else logs, shows and acts on it. `eject` and `probe` and `restore` come
 * from outcomes, `down` and `up` from checks; `spare` is an ejection that a guard refused; `expire` ends an override. `panic`
 * and `calm` are of a whole service: health is ignored from here on, or not any more.
 */
export interface Verdict {
  readonly action: 'eject' | 'probe' | 'restore' | 'spare' | 'down' | 'up' | 'expire' | 'panic' | 'calm'
  readonly service: string
  /** Null when it is on the service. */
  readonly peer: string | null
  readonly scheme: Scheme | null
  readonly cause: Cause
  /** In words, with the numbers. */
  readonly reason: string
  /** Epoch ms. */
  readonly since: number
  readonly until: number | null
}

/** A verdict on a peer as of `since`. */
export function verdictOn (service: Service, state: PeerState, action: Verdict['action'], cause: Cause, reason: string, since: number, until: number | null = null): Verdict {
  return { action, service: service.name, peer: state.peer.id, scheme: state.peer.scheme, cause, reason, since, until }
}
