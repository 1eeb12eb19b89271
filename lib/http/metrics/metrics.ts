import { REGISTRY_WORDS } from '../../syncer/registry.js'
import { family, labelled, type Sample } from './exposition.js'
import type { Gateway } from '../gateway.js'
import { peerMetrics } from './peer-metrics.js'
import { rowsOf } from './rows.js'
import { trafficMetrics } from './traffic-metrics.js'

/** What Prometheus reads at `GET /metrics`, in pieces: how the registry is, how services and peers are, and what came of requests. */
export function * metrics (gateway: Gateway): Generator<string, void> {
  yield * family('build_info', 'gauge', 'The version of fastify-upstream-etcd.', [{ labels: labelled({ version: gateway.node.version }), value: 1 }])
  yield * registryMetrics(gateway)
  const rows = rowsOf(gateway.store)
  yield * peerMetrics(gateway, rows)
  yield * trafficMetrics(rows)
}

function * registryMetrics ({ registry, syncer, now: clock }: Gateway): Generator<string, void> {
  const now = clock()
  const state = registry.state(now)
  const { put, delete: deleted, invalid } = syncer.events
  const staleness: Sample[] = registry.kind === 'static' || registry.lastVerifiedAt === null ? [] : [{ value: Math.max(0, now - registry.lastVerifiedAt) / 1000 }]
  yield * family('registry_state', 'gauge', 'How the registry is: 1 for the state it is in.', REGISTRY_WORDS.map(word => ({ labels: labelled({ state: word }), value: word === state ? 1 : 0 })))
  yield * family('registry_revision', 'gauge', 'Revision up to which the changes of the registry are applied.', [{ value: syncer.position?.cursor ?? 0n }])
  yield * family('registry_staleness_seconds', 'gauge', 'Time since the registry was last seen to hold nothing new.', staleness)
  yield * family('registry_events_total', 'counter', 'Keys put and deleted; invalid ones were put with something in them that cannot be used.', [
    { labels: labelled({ type: 'put', result: 'ok' }), value: put - invalid },
    { labels: labelled({ type: 'put', result: 'invalid' }), value: invalid },
    { labels: labelled({ type: 'delete', result: 'ok' }), value: deleted }
  ])
  yield * family('registry_reconnects_total', 'counter', 'Times a watch that had broken was opened again.', [{ value: registry.reconnects }])
  yield * family('registry_resyncs_total', 'counter', 'Times the registry was listed again, or what was held had to be repaired, by reason.',
    registry.resyncCounts.map(([reason, value]) => ({ labels: labelled({ reason }), value })))
}
