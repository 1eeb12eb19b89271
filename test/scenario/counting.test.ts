import type { IncomingMessage, ServerResponse } from 'node:http'
import t from 'tap'
import { startGateway } from '../fixtures/gateway.js'
import { startPeer, type TestPeer } from '../fixtures/peer.js'
import { until } from '../fixtures/wait.js'

/** Waits for the next full second: a report ends with the last one. */
async function secondOver (): Promise<void> {
  const second = Math.floor(Date.now() / 1000)
  await until(() => Math.floor(Date.now() / 1000) > second, { what: 'the next second' })
}

t.test('a report equals what the peers counted, to the unit, for every status code', async t => {
  const codes = [200, 201, 204, 206, 301, 304, 400, 404, 418, 429, 451, 499, 599]
  const handler = (request: IncomingMessage, response: ServerResponse) => {
    response.writeHead(Number(/\d{3}/.exec(request.url ?? '')?.[0] ?? 200)).end()
  }
  const peers: TestPeer[] = [await startPeer(t, { handler }), await startPeer(t, { handler })]
  const { app, send } = await startGateway(t, {
    peers: { shop: Object.fromEntries(peers.map((peer, i) => [peer.id, { weight: i + 1 }])) },
    routes: [{ prefix: '/shop', service: 'shop' }],
    outlier: false
  })
  const requests = codes.flatMap((code, i) => Array.from({ length: 5 + i * 3 }, () => code))
  await Promise.all(requests.map(code => send(`/shop/${code}`)))
  await secondOver()

  const { statistics, name, ts_start: start, ts_end: end } = app.upstreams.report('shop')
  t.equal(name, 'shop')
  t.equal(end - start, 59, 'sixty full seconds')
  for (const peer of peers) {
    const told = statistics.find(({ peer: id }) => id === peer.id)?.stat.map(({ code, count }) => [code, count])
    t.same(told, [...peer.counts].sort((a, b) => a[0] - b[0]), peer.id)
  }
  const [one] = app.upstreams.report('shop', { peer: peers[0]?.id ?? '' }).statistics
  t.equal(one?.peer, peers[0]?.id)
  t.ok(Math.abs(app.upstreams.tps(10) * 10 - requests.length) < 1e-6, 'tps counts client requests')
  const { services: [service] } = app.upstreams.status()
  for (const { id, responses } of service?.peers ?? []) {
    t.equal(Object.values(responses).reduce((a, b) => a + b, 0), peers.find(peer => peer.id === id)?.hits, 'all classes together')
  }
})

t.test('the sum of response times is what a slow peer makes of it', async t => {
  const peer = await startPeer(t, { delay: 50 })
  const { app, send } = await startGateway(t, { peers: { slow: { [peer.id]: {} } }, routes: [{ prefix: '/', service: 'slow' }] })
  await send('/')
  await secondOver()
  const before = app.upstreams.report('slow').statistics[0]?.rtsum ?? NaN
  // What clients waited holds what the peer took; a busy machine lengthens both.
  const waited: number[] = []
  for (let i = 0; i < 20; i++) {
    const startedAt = performance.now()
    await send('/')
    waited.push((performance.now() - startedAt) / 1000)
  }
  await secondOver()
  const { rtsum = NaN, p50 = NaN } = app.upstreams.report('slow').statistics[0] ?? {}
  const sum = rtsum - before
  t.ok(sum > 0.98 && sum <= waited.reduce((a, b) => a + b), `20 × 50 ms sum up to ${sum.toFixed(3)} s`)
  // Percentiles come from a histogram and are up to 12.5 % off.
  t.ok(Number(p50) > 0.045 && Number(p50) < Math.max(...waited) * 1.125, `the median is ${p50}`)
})

t.test('tps counts client requests, not attempts', async t => {
  const alive = await startPeer(t)
  const dead = [await startPeer(t), await startPeer(t)]
  for (const peer of dead) await peer.kill()
  const { app, sendMany } = await startGateway(t, {
    peers: { shop: Object.fromEntries([alive, ...dead].map(peer => [peer.id, {}])) },
    routes: [{ prefix: '/shop', service: 'shop' }],
    outlier: false
  })
  const answers = await sendMany(30, '/shop')
  t.same(new Set(answers.map(({ status }) => status)), new Set([200]), 'refused connections move on to another peer')
  await secondOver()
  t.equal(Math.round(app.upstreams.tps(10) * 10), 30)
  const { services: [service] } = app.upstreams.status()
  const refused = service?.peers.reduce((sum, { errors }) => sum + errors.connect, 0) ?? 0
  t.ok(refused >= 20, `${refused} attempts were refused beside them`)
  t.throws(() => app.upstreams.tps(0), { code: 'FST_UPSTREAM_BAD_OPTION' })
  t.throws(() => app.upstreams.report('shop', { seconds: 61 }), { code: 'FST_UPSTREAM_BAD_OPTION' })
})
