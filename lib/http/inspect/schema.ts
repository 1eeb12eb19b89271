import { SERVICE_WORDS } from '../../store/condition.js'
import { amount, bigNumberOrNull, closed, count, frozen, listOf, oneOf, rates, text, textOrNull, time, yesOrNo } from './schema/parts.js'
import { peerSchema } from './schema/peer.js'
import { registrySchema } from './schema/registry.js'

const service = closed('Service', 'One named group of peers', {
  name: text('Its name'),
  state: oneOf('healthy: nothing wrong. degraded: some peers are failing. panic: too few are healthy, health is ignored. down: no peer is eligible. empty: no peer, or all are out on purpose', SERVICE_WORDS),
  reason: textOrNull('Why its state is what it is, without secrets'),
  balancer: text('The name of what chooses among its peers'),
  revision: bigNumberOrNull('The registry\'s revision of its last change; null of registrations in code'),
  peersTotal: count('Peers registered'),
  peersEligible: count('Peers that may get requests, as if there were no panic'),
  panic: yesOrNo('Whether health is ignored, because too few peers are healthy'),
  inflight: count('Requests under way at its peers'),
  queued: count('Requests that wait for a peer with room'),
  ...rates,
  peers: listOf('Peers', 'Its peers, sorted by id', peerSchema)
})

/** JSON Schema (2020-12) of `GET /_upstreams` and of `app.upstreams.status()`. Whoever changes the status changes it here. */
export const statusSchema = frozen({
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  $id: 'urn:fastify-upstream-etcd:status:1',
  ...closed('Status', 'The state of one gateway of fastify-upstream-etcd as of now', {
    schema: { description: 'The version of this form', const: 1 },
    now: time('When this was told, by the gateway\'s clock'),
    ready: yesOrNo('Whether the registry, or the snapshot file, has been read'),
    node: closed('Node', 'The process that tells this', {
      id: text('Host name and process id'),
      pid: count('Process id'),
      startedAt: time('When the plugin was started'),
      version: text('The version of fastify-upstream-etcd')
    }),
    registry: registrySchema,
    totals: closed('Totals', 'Sums over all services', {
      services: count('Services'),
      peers: count('Peers registered'),
      peersEligible: count('Peers that may get requests, as if there were no panic'),
      inflight: count('Requests under way'),
      rps: amount('Requests per second over the last 60 s, or over statsWindow when that is shorter')
    }),
    services: listOf('Services', 'All services, sorted by name', service)
  })
} as const)
