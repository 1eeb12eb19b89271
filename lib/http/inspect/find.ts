import { UnknownServiceError } from '../../errors.js'
import type { PeerState } from '../../store/peer.js'
import type { Service } from '../../store/service.js'
import { failure } from './bad-request.js'
import type { Gateway } from '../gateway.js'

/** The service of that name. Throws FST_UPSTREAM_UNKNOWN_SERVICE. */
export function find ({ store }: Gateway, name: string): Service {
  const service = store.get(name)
  if (service === undefined) throw new UnknownServiceError(name)
  return service
}

/** A peer by `host:port`, or with its scheme before that where both are there. Throws (404). */
export function findPeer (service: Service, id: string): PeerState {
  const state = service.peers.get(id) ?? service.find(id)
  if (state === undefined) throw failure(404, 'the service has no such peer')
  return state
}
