import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { startEtcd, type TestEtcd } from '../fixtures/etcd.js'
import { startGateway, type TestGateway } from '../fixtures/gateway.js'
import { startPeer } from '../fixtures/peer.js'
import { freePort } from '../fixtures/port.js'
import { startTcpProxy } from '../fixtures/tcp-proxy.js'
import { until } from '../fixtures/wait.js'

const PREFIX = '/services/'
const routes = [{ prefix: '/shop', service: 'shop' }]
const key = (id: string) => `${PREFIX}shop/${id}`

/** What etcd holds, as another gateway reads it. */
async function freshShow (t: Parameters<typeof startGateway>[0], etcd: TestEtcd) {
  const other = await startGateway(t, { etcd: etcd.endpoint })
  return other.app.upstreams.show('shop').peers
}

function registry ({ app }: TestGateway) {
  return app.upstreams.status().registry
}

t.test('etcd killed and restarted under load with peers changing: no failed request', async t => {
  const etcd = await startEtcd(t)
  const peers = await Promise.all(Array.from({ length: 4 }, async () => await startPeer(t)))
  for (const peer of peers.slice(0, 3)) await etcd.put(key(peer.id), '{"weight": 2}')
  const gateway = await startGateway(t, { etcd: etcd.endpoint, routes })
  const statuses = new Map<number, number>()
  const end = performance.now() + 30_000
  const load = async (): Promise<void> => {
    while (performance.now() < end) {
      const started = performance.now()
      const { status } = await gateway.send('/shop/x')
      statuses.set(status, (statuses.get(status) ?? 0) + 1)
      await sleep(Math.max(0, 100 - (performance.now() - started)))
    }
  }
  // Twenty clients with ten requests a second each.
  const clients = Array.from({ length: 20 }, load)
  const change = async (i: number): Promise<void> => {
    const peer = peers[i % 4]
    if (peer === undefined) return
    if (i % 4 === 3 && i % 8 === 7) await etcd.del(key(peer.id))
    else await etcd.put(key(peer.id), JSON.stringify({ weight: 1 + i % 5 }))
  }
  for (let i = 0; performance.now() < end; i++) {
    if (i === 40 || i === 90) {
      await etcd.kill()
      await sleep(i === 40 ? 3000 : 500)
      await etcd.restart()
    }
    await change(i)
    await sleep(150)
  }
  await Promise.all(clients)
  const total = [...statuses.values()].reduce((a, b) => a + b, 0)
  t.comment(`${total} requests in 30 s`)
  t.same([...statuses.keys()], [200], 'no failed request')
  t.ok(total > 4500, 'at some 200 requests a second')
  const fresh = await freshShow(t, etcd)
  await until(() => JSON.stringify(gateway.app.upstreams.show('shop').peers) === JSON.stringify(fresh), { what: 'the same as a fresh listing' })
  t.same(gateway.app.upstreams.show('shop').peers, fresh)
  t.equal(gateway.app.upstreams.status().services[0]?.peers.every(({ errors }) => errors.reset === 0 && errors.timeout === 0), true)
})

t.test('etcd that comes up after the gateway', async t => {
  const port = await freePort()
  const peer = await startPeer(t)
  const gateway = await startGateway(t, { etcd: `http://127.0.0.1:${port}`, routes, start: { wait: 50 } })
  t.equal(gateway.app.upstreams.ready, false)
  const early = await gateway.send('/shop')
  t.match(JSON.parse(early.body), { statusCode: 503, code: 'FST_UPSTREAM_NOT_READY' })
  t.equal(early.headers['retry-after'], '1')
  t.match(JSON.parse((await gateway.send('/other')).body), { statusCode: 404 })
  const unready = await gateway.send('/_upstreams/ready')
  t.equal(unready.status, 503)
  t.match(JSON.parse(unready.body), { ready: false, registry: { state: 'syncing', lastError: /ECONNREFUSED/ }, waitingFor: ['registry'] })
  await t.rejects(gateway.app.upstreams.whenReady([], { timeout: 20 }), { code: 'FST_UPSTREAM_SYNC', message: /ECONNREFUSED/ })

  const etcd = await startEtcd(t, { port })
  await etcd.put(key(peer.id), '')
  await gateway.app.upstreams.whenReady('shop', { timeout: 20_000 })
  t.equal((await gateway.send('/shop')).status, 200)
  t.match(registry(gateway), { state: 'live', lastError: null })
  t.equal((await gateway.send('/_upstreams/ready')).status, 200)
})

t.test('an etcd that accepts and never answers holds nothing up', async t => {
  const etcd = await startEtcd(t)
  const proxy = await startTcpProxy(t, etcd.port)
  proxy.stall()
  const started = performance.now()
  await t.rejects(startGateway(t, { etcd: `http://127.0.0.1:${proxy.port}`, start: { wait: 300, onFail: 'throw' } }), { code: 'FST_UPSTREAM_SYNC' })
  t.ok(performance.now() - started < 5000, 'refused to boot in time')
  const gateway = await startGateway(t, { etcd: `http://127.0.0.1:${proxy.port}`, start: { wait: 10 } })
  await until(() => registry(gateway).lastError, { what: 'an error that names the deadline' })
  t.match(registry(gateway).lastError, /DEADLINE_EXCEEDED|Deadline/i)
  proxy.flow()
  await gateway.app.upstreams.whenReady([], { timeout: 30_000 })
  t.equal(registry(gateway).state, 'live')
})

t.test('a path that stalls makes it stale, traffic goes on, and nothing is lost', async t => {
  const etcd = await startEtcd(t)
  const proxy = await startTcpProxy(t, etcd.port)
  const peer = await startPeer(t)
  await etcd.put(key(peer.id), '{"weight": 1}')
  const gateway = await startGateway(t, { etcd: `http://127.0.0.1:${proxy.port}`, routes })
  proxy.stall()
  await etcd.put(key(peer.id), '{"weight": 9}')
  await until(() => registry(gateway).state === 'stale', { what: 'the stale registry', timeout: 15_000 })
  t.ok(Number(registry(gateway).stalenessMs) >= 6000)
  t.equal((await gateway.send('/shop')).status, 200)
  t.equal((await gateway.send('/_upstreams/ready')).status, 200, 'stale is ready')
  proxy.cut()
  proxy.flow()
  await until(() => gateway.app.upstreams.show('shop').peers[0]?.weight === 9, { what: 'what was missed', timeout: 30_000 })
  await until(() => registry(gateway).state === 'live', { what: 'the live registry', timeout: 30_000 })
})

t.test('changes written while the watch was cut all arrive', async t => {
  const etcd = await startEtcd(t)
  const proxy = await startTcpProxy(t, etcd.port)
  await etcd.put(key('127.0.0.1:1'), '{}')
  const gateway = await startGateway(t, { etcd: `http://127.0.0.1:${proxy.port}`, routes })
  for (let round = 1; round <= 3; round++) {
    proxy.refuse()
    proxy.cut()
    for (let i = 1; i <= 200; i++) await etcd.put(key(`127.0.0.1:${i}`), JSON.stringify({ weight: round * 1000 + i }))
    const last = await etcd.del(key(`127.0.0.1:${round}`))
    await proxy.accept()
    await until(() => BigInt(gateway.app.upstreams.show('shop').version) >= last, { what: `revision ${last}`, timeout: 20_000 })
    t.same(gateway.app.upstreams.show('shop').peers, await freshShow(t, etcd))
  }
  t.same(Object.values(registry(gateway).resyncs), [0, 0, 0, 0], 'resumed from the cursor, not listed again')
})

t.test('compacted past the cursor: listed again, as a difference', async t => {
  const etcd = await startEtcd(t)
  const proxy = await startTcpProxy(t, etcd.port)
  const peer = await startPeer(t)
  await etcd.put(key(peer.id), '{"weight": 1}')
  await etcd.put(key('127.0.0.1:2'), '{}')
  const gateway = await startGateway(t, { etcd: `http://127.0.0.1:${proxy.port}`, routes: [{ prefix: '/shop', service: 'shop' }], outlier: false })
  await until(async () => { await gateway.send('/shop'); return peer.hits > 0 }, { what: 'a request' })
  const seen = peer.hits
  proxy.refuse()
  proxy.cut()
  await etcd.del(key('127.0.0.1:2'))
  const revision = await etcd.put(key('127.0.0.1:3'), '{"weight": 3}')
  await etcd.etcdctl('compact', String(revision))
  await proxy.accept()
  await until(() => gateway.app.upstreams.show('shop').peers.some(({ port }) => port === 3), { what: 'the listing', timeout: 20_000 })
  t.same(gateway.app.upstreams.show('shop').peers, await freshShow(t, etcd))
  t.equal(registry(gateway).resyncs.compacted, 1)
  const kept = gateway.app.upstreams.status().services[0]?.peers.find(({ id }) => id === peer.id)
  t.ok(Number(kept?.responses['2xx']) >= seen, 'what was learned of a peer that stayed is kept')
})
