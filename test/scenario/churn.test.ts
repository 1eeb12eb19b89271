import t from 'tap'
import { startEtcd } from '../fixtures/etcd.js'
import { startGateway } from '../fixtures/gateway.js'
import { startPeer } from '../fixtures/peer.js'
import { startTcpProxy } from '../fixtures/tcp-proxy.js'
import { until } from '../fixtures/wait.js'

t.test('a reconnect and a compaction with an unchanged registry change nothing: no event, no turn, no verdict, no count', async t => {
  const etcd = await startEtcd(t)
  const proxy = await startTcpProxy(t, etcd.port)
  const good = await startPeer(t)
  const bad = await startPeer(t, { handler: (_request, response) => { response.writeHead(500).end() } })
  await etcd.put('/services/shop', '{"panic": 0, "outlier": {"consecutive5xx": 2, "baseEjection": 300000}}')
  for (const { id } of [good, bad]) await etcd.put(`/services/shop/${id}`, '{"weight": 1}')
  for (const [port, weight] of [[1, 5], [2, 1], [3, 1]]) await etcd.put(`/services/turns/127.0.0.1:${port}`, `{"weight": ${weight}}`)
  const { app: { upstreams }, send } = await startGateway(t, { etcd: `http://127.0.0.1:${proxy.port}`, routes: [{ prefix: '/shop', service: 'shop' }] })
  const peer = (id: string) => upstreams.status().services.find(({ name }) => name === 'shop')?.peers.find(one => one.id === id)
  const turn = (): string => {
    const pick = upstreams.pick('turns')
    pick?.done({ status: 200, ms: 1 })
    return pick?.peer.id.slice(-1) ?? ''
  }
  await until(async () => { await send('/shop'); return peer(bad.id)?.state === 'ejected' }, { what: 'an ejection' })
  await upstreams.applied(await etcd.put('/services/shop/127.0.0.1:9', '{"weight": 1, "slow_start": 3600}'))
  const turns = (count: number): string => Array.from({ length: count }, turn).join('')
  const cycle = turns(7)
  const told = async (): Promise<unknown> => ({
    events: JSON.parse((await send('/_upstreams/services/shop')).body).events,
    peers: [good.id, bad.id, '127.0.0.1:9'].map(id => {
      const { state, since, until: end, responses, ejections, registration } = peer(id) ?? {}
      return { state, since, end, responses, ejections, registration }
    })
  })
  const events = async (): Promise<Array<{ event: string, state: string }>> => JSON.parse((await send('/_upstreams/services/shop')).body).events
  await until(async () => (await events()).some(({ event, state }) => event === 'state' && state === 'degraded'), { what: 'the word on the service after the ejection, which comes with the next tick' })
  const before = await told()
  const begun = turns(3)
  for (const compacts of [false, true]) {
    const { reconnects } = upstreams.status().registry
    proxy.refuse()
    proxy.cut()
    // Elsewhere, so that the revision that was followed is compacted away.
    const revision = await etcd.put('/elsewhere', '')
    if (compacts) await etcd.etcdctl('compact', String(revision))
    await proxy.accept()
    await until(() => upstreams.status().registry.reconnects > reconnects, { what: 'the watch', timeout: 20_000 })
    await upstreams.applied(await etcd.put('/elsewhere', ''), { timeout: 20_000 })
  }
  t.equal(upstreams.status().registry.resyncs.compacted, 1, 'it was listed again')
  t.same(await told(), before)
  t.match(before, { peers: [{ state: 'healthy' }, { state: 'ejected', ejections: 1 }, { state: 'warming' }] })
  t.equal(begun + turns(4), cycle, 'whose turn it is goes on from where it was')
})
