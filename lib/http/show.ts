import type { Service } from '../store/service.js'
import type { Gateway } from './gateway.js'

/** A peer in the original's words; `slow_start` in seconds, `start_at` in epoch seconds. */
export interface ShownPeer {
  readonly host: string
  readonly port: number
  readonly weight: number
  readonly status: string
  readonly slow_start: number
  readonly start_at: number | null
  readonly check_url: string
  readonly params: Readonly<Record<string, unknown>>
}

/** `version` is the registry's revision of the last change to the service. */
export interface ShownService {
  readonly version: number
  readonly peers: ShownPeer[]
}

/** Every service by name, and the registry's revision as `_version`. */
export type Shown = Record<string, ShownService | number>

/** The registry's words on a service: `weight` and `status` are not health's. Peers are sorted by id. */
export function show (service: Service): ShownService {
  const peers = [...service.peers.values()].map(state => state.peer).sort((a, b) => a.id < b.id || (a.id === b.id && a.scheme < b.scheme) ? -1 : 1)
  return {
    version: Number(service.revision),
    peers: peers.map(peer => ({
      host: peer.host,
      port: peer.port,
      weight: peer.weight,
      status: peer.status,
      slow_start: peer.slowStart / 1000,
      start_at: peer.startAt === null ? null : peer.startAt / 1000,
      // The original's default, though nothing is checked there unless the registration says so.
      check_url: peer.checkUrl ?? '/',
      params: peer.params
    }))
  }
}

/** The same for every service, under its name. */
export function showAll ({ store, syncer }: Gateway): Shown {
  // A service may be called `__proto__`; without a prototype that is a name like any other.
  const shown: Shown = Object.create(null)
  for (const service of store.sorted()) shown[service.name] = show(service)
  shown['_version'] = Number(syncer.position?.cursor ?? 0n)
  return shown
}
