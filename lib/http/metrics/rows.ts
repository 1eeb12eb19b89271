import { identityOf, type PeerState } from '../../store/peer.js'
import type { Service } from '../../store/service.js'
import type { Store } from '../../store/store.js'
import { labelled } from './exposition.js'

/** A service and its peers with their labels, as they were when the metrics were asked for: each is told of once. */
export interface Row {
  readonly service: Service
  readonly labels: string
  readonly peers: ReadonlyArray<{ readonly state: PeerState, readonly labels: string }>
}

/** All services, sorted by name. */
export function rowsOf (store: Store): Row[] {
  return store.sorted().map(service => {
    const { name } = service
    const peers = [...service.peers.values()].map(state => ({ state, labels: labelled({ service: name, peer: labelOf(service, state) }) }))
    return { service, labels: labelled({ service: name }), peers }
  })
}

/** `host:port`; where a service has the same address by both schemes, the one by https is called by it. */
function labelOf (service: Service, { peer }: PeerState): string {
  return service.find(peer.id)?.peer.scheme === peer.scheme ? peer.id : identityOf(peer)
}
