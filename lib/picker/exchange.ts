import type { ErrorKind } from '../logger/outcome.js'
import type { PeerState } from '../store/peer.js'
import type { Service } from '../store/service.js'
import type { ServiceSettings } from '../store/settings.js'
import type { Pick, Picker } from './picker.js'

/** One attempt as `request.upstream` tells it: `status` or `error` once that is known, `ms` until then. */
export interface AttemptInfo {
  readonly peer: string
  status?: number
  error?: ErrorKind
  ms: number
}

/** What `request.upstream` is: the service, the peer tried last, and every attempt in order. */
export interface Upstream {
  readonly service: string
  peer: string | null
  readonly attempts: AttemptInfo[]
}

/** Attempts after the first, each at another peer. */
const MORE_ATTEMPTS = 2

/**
 * One client request on its way through its attempts. The HTTP surface makes it, the transport carries it out, and
 * they find each other by `EXCHANGE`.
 */
export class Exchange {
  readonly service: Service
  /** As of the request's arrival; a change on the way does not concern it. */
  readonly settings: ServiceSettings
  /** Bound of all attempts together until response headers, ms. */
  readonly total: number
  readonly upstream: Upstream
  /** Set by the transport while there is something to stop. */
  stop: ((kind: 'aborted' | 'timeout') => void) | null = null
  #tried: Set<PeerState> | undefined

  constructor (service: Service, total: number) {
    this.service = service
    this.settings = service.settings
    this.total = total
    this.upstream = { service: service.name, peer: null, attempts: [] }
  }

  /** The peer for the next attempt; undefined when nobody is left or the attempts are used up. */
  next (picker: Picker, now: number): Pick | undefined {
    if (this.upstream.attempts.length > MORE_ATTEMPTS) return undefined
    const pick = picker.pick(this.service, this.#tried, now)
    if (pick === undefined) return undefined
    this.upstream.peer = pick.peer.id
    this.upstream.attempts.push({ peer: pick.peer.id, ms: 0 })
    return pick
  }

  /** The peer is not to be picked again for this request. */
  exclude (state: PeerState): void {
    this.#tried ??= new Set()
    this.#tried.add(state)
  }
}

/** Where the transport finds the exchange among the headers: a symbol is copied along and never sent. */
export const EXCHANGE = Symbol('fastify-upstream-etcd.exchange')
