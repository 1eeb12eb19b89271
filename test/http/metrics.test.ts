import t from 'tap'
import Fastify from 'fastify'
import upstreamEtcd from '../../lib/index.js'
import { startEtcd } from '../fixtures/etcd.js'
import { parseMetrics } from '../fixtures/exposition.js'
import { startGateway } from '../fixtures/gateway.js'
import { until } from '../fixtures/wait.js'

/** Name with labels → value. */
function read (text: string): Record<string, number> {
  const lines = text.trimEnd().split('\n').filter(line => !line.startsWith('#'))
  return Object.fromEntries(lines.map(line => [line.slice('fastify_upstream_'.length, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ')))]))
}

t.test('how the registry is', async t => {
  const etcd = await startEtcd(t)
  await etcd.put('/services/shop/127.0.0.1:1', '')
  const { send, app } = await startGateway(t, { etcd: etcd.endpoint })
  await etcd.put('/services/shop/127.0.0.1:2', '{"weight": "heavy"}')
  await app.upstreams.applied(await etcd.del('/services/shop/127.0.0.1:1'))
  const { status, headers, body } = await send('/_upstreams/metrics')
  t.equal(status, 200)
  t.match(headers, { 'content-type': 'text/plain; version=0.0.4; charset=utf-8', 'cache-control': 'no-store' })
  const { registry, node } = app.upstreams.status()
  const told = read(body)
  t.match(told, {
    [`build_info{version="${node.version}"}`]: 1,
    'registry_state{state="live"}': 1,
    'registry_state{state="stale"}': 0,
    'registry_state{state="snapshot"}': 0,
    'registry_state{state="syncing"}': 0,
    'registry_state{state="static"}': 0,
    registry_revision: Number(registry.revision),
    'registry_events_total{type="put",result="ok"}': 1,
    'registry_events_total{type="put",result="invalid"}': 1,
    'registry_events_total{type="delete",result="ok"}': 1,
    registry_reconnects_total: 0,
    'registry_resyncs_total{reason="compacted"}': 0,
    'registry_resyncs_total{reason="comparison"}': 0
  })
  t.ok((told['registry_staleness_seconds'] ?? -1) >= 0)
  await etcd.kill()
  const isStale = async () => read((await send('/_upstreams/metrics')).body)['registry_state{state="stale"}'] === 1
  await until(isStale, { what: 'the stale registry', timeout: 20_000 })
})

t.test('the text is valid: every family with help and type, in one piece', async t => {
  const { send } = await startGateway(t, { peers: { shop: { '127.0.0.1:1': '' } } })
  const { body } = await send('/_upstreams/metrics')
  t.notMatch(body, /registry_staleness/, 'what is given in code does not age')
  t.ok(parseMetrics(body).size > 10)
})

t.test('who may read them', async t => {
  for (const [open, status] of [[['ready'], 404], [['ready', 'metrics'], 200]] as const) {
    const app = Fastify()
    t.teardown(async () => await app.close())
    await app.register(upstreamEtcd, { peers: {}, inspect: { open: [...open] } })
    t.equal((await app.inject({ path: '/_upstreams/metrics', remoteAddress: '10.0.0.1' })).statusCode, status)
    t.equal((await app.inject({ path: '/_upstreams/metrics', headers: { host: 'localhost' } })).statusCode, 200)
  }
})
