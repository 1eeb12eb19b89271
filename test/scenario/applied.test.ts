import t from 'tap'
import { startEtcd } from '../fixtures/etcd.js'
import { startGateway } from '../fixtures/gateway.js'
import { startTcpProxy } from '../fixtures/tcp-proxy.js'
import { until } from '../fixtures/wait.js'

const key = (id: string) => `/services/shop/${id}`

t.test('after applied(revision of a put) no pick uses an older table, in 500 rounds', async t => {
  const etcd = await startEtcd(t)
  const { app: { upstreams } } = await startGateway(t, { etcd: etcd.endpoint })
  const ids = ['127.0.0.1:1', '127.0.0.1:2']
  let wrong = 0
  for (let round = 1; round <= 500; round++) {
    // Of two peers one is up, in turns, with the round as its weight; now and then the other one is not there at all.
    const [up = '', down = ''] = round % 2 === 0 ? ids : ids.toReversed()
    if (round % 5 === 0) await etcd.del(key(down))
    else await etcd.put(key(down), '{"status": "down"}')
    await upstreams.applied(await etcd.put(key(up), JSON.stringify({ weight: round })))
    const pick = upstreams.pick('shop')
    pick?.done({ status: 200, ms: 1 })
    if (pick?.peer.id !== up || pick.peer.weight !== round) wrong++
  }
  t.equal(wrong, 0)
})

t.test('a revision that changed nothing here, in every form a revision has', async t => {
  const etcd = await startEtcd(t)
  const { app: { upstreams } } = await startGateway(t, { etcd: etcd.endpoint })
  const cursor = upstreams.status().registry.revision
  const elsewhere = await etcd.put('/elsewhere/x', '')
  for (const revision of [elsewhere, String(elsewhere), Number(elsewhere), 0, '1']) await upstreams.applied(revision)
  t.equal(upstreams.status().registry.revision, cursor, 'a question moves no cursor')
  // A delete that took nothing is a revision too; a delete that did is seen although no key tells of it.
  await etcd.put(key('127.0.0.1:1'), '')
  await upstreams.applied(await etcd.del(key('127.0.0.1:1')))
  t.same(upstreams.status().services, [])
  // One that is yet to come.
  const next = await etcd.put('/elsewhere/x', '')
  const waiting = upstreams.applied(next + 2n, { timeout: 15_000 })
  await etcd.put('/elsewhere/x', '')
  await etcd.put('/elsewhere/x', '')
  await waiting
  for (const bad of [-1, 1.5, NaN, 2 ** 53, '', 'x', '-1', '1.5', '9'.repeat(20), -1n, null, undefined, {}]) {
    await t.rejects(upstreams.applied(bad as number), { code: 'FST_UPSTREAM_BAD_OPTION', message: /"revision" must be a decimal string/ }, String(bad))
  }
  await t.rejects(upstreams.applied(1, { timeout: 0 }), { code: 'FST_UPSTREAM_BAD_OPTION', message: /timeout/ })
})

t.test('what cannot be reached is told when the time is over', async t => {
  const etcd = await startEtcd(t)
  const proxy = await startTcpProxy(t, etcd.port)
  const gateway = await startGateway(t, { etcd: `http://127.0.0.1:${proxy.port}` })
  const { upstreams } = gateway.app
  await t.rejects(upstreams.applied(1_000_000, { timeout: 50 }), { code: 'FST_UPSTREAM_SYNC', message: /revision 1000000 was not reached within 50 ms; the registry is at \d+/ })
  proxy.close()
  const missed = await etcd.put(key('127.0.0.1:1'), '')
  await until(() => /refused/.test(upstreams.status().registry.lastError ?? ''), { what: 'the error' })
  await t.rejects(upstreams.applied(missed, { timeout: 50 }), { code: 'FST_UPSTREAM_SYNC', message: /connection refused/ })
  const waiting = upstreams.applied(missed, { timeout: 20_000 })
  await proxy.accept()
  await waiting
  t.equal(upstreams.show('shop').peers.length, 1)
  const late = upstreams.applied(1_000_000)
  const closed = t.rejects(late, { code: 'FST_UPSTREAM_SYNC', message: /closed/ })
  await gateway.app.close()
  await closed
})

t.test('the embedded registry has no revisions', async t => {
  const { app } = await startGateway(t, { peers: { shop: { '127.0.0.1:1': '' } } })
  await app.upstreams.applied('123456')
  t.equal(app.upstreams.status().registry.state, 'static')
})
