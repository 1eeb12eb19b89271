import type { Numbered } from './journal.js'
import { hideInAny } from '../inspect/redact.js'
import { iso, isoOrNull } from '../as-json.js'

/** What `app.upstreams.on` tells and the event stream sends of one happening: times ISO, 64-bit numbers strings, unknown null. */
export interface UpstreamRecord {
  /** Names it on this gateway, for as long as that runs; rising. */
  readonly id: string
  readonly type: 'peer' | 'service' | 'registry'
  readonly at: string
  /** Null when it is about the registry. */
  readonly service: string | null
  /** `host:port`; null when it is about the whole service. */
  readonly peer: string | null
  readonly scheme: 'http' | 'https' | null
  /**
   * Of a peer: what the registry did (`added`, `changed`, `removed`), what health decided (`eject`, `probe`, `restore`, `spare`,
   * `down`, `up`, `expire`), or `action`. Of a service: `added`, `removed`, `settings`, `panic`, `calm`, `state`, `action`. Of
   * the registry: `state`, `error`, `clear` (the error is over), `resync`.
   */
  readonly event: string
  /** The peer's, service's or registry's state from then on; null when it is gone. */
  readonly state: string | null
  /** The rule behind a decision of health, for machines. */
  readonly cause: string | null
  /** In words, with the numbers. */
  readonly reason: string | null
  readonly since: string | null
  readonly until: string | null
  /** The registry's revision that brought it. */
  readonly revision: string | null
  /** Of what people do: what was done, and by whom. */
  readonly what: string | null
  readonly by: string | null
}

/** `epoch` tells one run of the gateway from another. */
export function recordOf (epoch: string, happening: Numbered): UpstreamRecord {
  const { n, type, at, service, peer, scheme, event, state, cause, reason, since, until, revision, what, by } = happening
  return {
    id: `${epoch}-${n}`,
    type,
    at: iso(at),
    service,
    peer,
    scheme,
    event,
    state,
    cause,
    reason: hideInAny(reason),
    since: isoOrNull(since),
    until: isoOrNull(until),
    revision: revision?.toString() ?? null,
    what: hideInAny(what),
    by: hideInAny(by)
  }
}

/** The number in a record's id that this run of the gateway has given; null for any other text. */
export function numberOf (epoch: string, id: string): number | null {
  const [, run, n] = /^(\w+)-(\d{1,15})$/.exec(id) ?? []
  return run === epoch ? Number(n) : null
}
