import t from 'tap'
import { startGateway, type TestGateway } from '../fixtures/gateway.js'
import { startPeer, type TestPeer } from '../fixtures/peer.js'
import { until } from '../fixtures/wait.js'

const outlier = { consecutive5xx: 3, interval: 100, baseEjection: 200, maxEjection: 400 }

function view ({ app }: TestGateway, peer: TestPeer) {
  const found = app.upstreams.status().services[0]?.peers.find(({ id }) => id === peer.id)
  if (found === undefined) throw new Error(`no peer ${peer.id}`)
  return found
}

function service ({ app }: TestGateway) {
  const [first] = app.upstreams.status().services
  if (first === undefined) throw new Error('no service')
  return first
}

async function gatewayFor (t: Parameters<typeof startGateway>[0], peers: readonly TestPeer[], options: object = {}): Promise<TestGateway> {
  return await startGateway(t, {
    peers: { shop: Object.fromEntries(peers.map(peer => [peer.id, {}])) },
    routes: [{ prefix: '/shop', service: 'shop' }],
    outlier,
    ...options
  })
}

t.test('a peer that answers 500 is ejected with a reason and comes back', async t => {
  const peers = [await startPeer(t), await startPeer(t), await startPeer(t)] as const
  const [bad] = peers
  const gateway = await gatewayFor(t, peers)
  bad.setStatus(500)
  await gateway.sendMany(9, '/shop')
  const { state, eligible, reason, since, until: end, ejections } = view(gateway, bad)
  t.match({ state, eligible, ejections }, { state: 'ejected', eligible: false, ejections: 1 })
  t.equal(reason, '3 requests in a row answered with 5xx')
  const length = Date.parse(end ?? '') - Date.parse(since)
  t.ok(length >= 160 && length <= 240, `for 200 ms ± 20 %, got ${length}`)
  t.equal(service(gateway).state, 'degraded')
  const { hits } = bad
  await gateway.sendMany(6, '/shop')
  t.equal(bad.hits, hits, 'an ejected peer gets nothing')

  await until(() => view(gateway, bad).state === 'probing', { what: 'the end of the ejection' })
  await until(async () => { await gateway.send('/shop'); return bad.hits === hits + 1 }, { what: 'the probing request' })
  t.equal(view(gateway, bad).state, 'ejected', 'it fails, and the peer is out again at once')
  t.equal(view(gateway, bad).ejections, 2)

  bad.setStatus(200)
  await until(async () => { await gateway.send('/shop'); return view(gateway, bad).state === 'healthy' }, { what: 'its return' })
  const back = bad.hits
  await gateway.sendMany(9, '/shop')
  t.equal(bad.hits - back, 3, 'with its share')
  const detail = JSON.parse((await gateway.send('/_upstreams/services/shop')).body)
  const told = detail.events.filter((event: { peer: string }) => event.peer === bad.id).map(({ event }: { event: string }) => event)
  t.same(told, ['added', 'eject', 'probe', 'eject', 'probe', 'restore'])
})

t.test('a peer that answers 404 is not, and clients that leave speak against nobody', async t => {
  const missing = await startPeer(t, { status: 404 })
  const slow = await startPeer(t, { handler: () => {} })
  const gateway = await gatewayFor(t, [missing, slow], { routes: [{ prefix: '/shop', service: 'shop' }] })
  const leave = new AbortController()
  const clients = Array.from({ length: 20 }, async () => await fetch(`${gateway.url}/shop`, { signal: leave.signal }).then(async answer => await answer.text(), () => 'left'))
  await until(() => slow.hits === 10 && missing.counts.get(404) === 10, { what: 'all requests at the peers' })
  leave.abort()
  await Promise.all(clients)
  await until(() => service(gateway).inflight === 0, { what: 'the end of what was left alone' })
  t.match(view(gateway, missing), { eligible: true, ejections: 0, responses: { '4xx': 10 } })
  t.match(view(gateway, slow), { eligible: true, ejections: 0, errors: { aborted: 10 } })
})

t.test('the only peer is never ejected, and says why', async t => {
  const only = await startPeer(t, { status: 500 })
  const gateway = await gatewayFor(t, [only])
  const answers = await gateway.sendMany(10, '/shop')
  t.same(new Set(answers.map(({ status }) => status)), new Set([500]), 'its answers stand')
  t.match(view(gateway, only), { state: 'degraded', eligible: true, ejections: 0 })
  t.match(view(gateway, only).reason, /kept because it is the only peer/)
})

t.test('with most peers down panic takes over and says so', async t => {
  const peers = await Promise.all(Array.from({ length: 4 }, async () => await startPeer(t)))
  const gateway = await gatewayFor(t, peers, { check: { path: '/up', interval: 40, fall: 2, rise: 2 }, retry: false })
  const [one, two, three, four] = peers as [TestPeer, TestPeer, TestPeer, TestPeer]
  await until(() => view(gateway, four).check?.ok === true, { what: 'the first checks' })
  for (const peer of [one, two, three]) peer.setStatus(503)
  await until(() => service(gateway).panic, { what: 'panic' })
  t.match(service(gateway), { state: 'panic', reason: 'only 1 of 4 peers are healthy, so health is ignored', peersEligible: 1 })
  t.match(view(gateway, one), { state: 'down', eligible: false })
  t.match(view(gateway, one).reason, /2 checks failed in a row: GET \/up answered 503/)
  const before = peers.map(peer => peer.requests.filter(({ url }) => url === '/').length)
  await gateway.sendMany(8, '/shop')
  t.same(peers.map((peer, i) => peer.requests.filter(({ url }) => url === '/').length - (before[i] ?? 0)), [2, 2, 2, 2], 'all take part again')

  for (const peer of peers) peer.setStatus(200)
  await until(() => service(gateway).state === 'healthy', { what: 'the end of the panic' })
  t.notOk(service(gateway).panic)
})

t.test('checks: by connecting, by status, in time, with the own agent and host', async t => {
  const peer = await startPeer(t)
  const mute = await startPeer(t, { delay: 2000 })
  const gateway = await gatewayFor(t, [peer, mute], { check: { path: '/up', interval: 40, timeout: 60, fall: 1, status: [[200, 204]], userAgent: 'probe/1' }, panic: 0 })
  await until(() => view(gateway, mute).state === 'down', { what: 'the check that takes too long' })
  t.match(view(gateway, mute).reason, /GET \/up took over 60 ms/)
  t.match(peer.requests[0], { method: 'GET', url: '/up', headers: { host: peer.id, 'user-agent': 'probe/1' } })
  await peer.kill()
  // A check that is under way at this moment is reset; those after it are refused.
  await until(() => /ECONNREFUSED/.test(view(gateway, peer).check?.error ?? ''), { what: 'the refused check' })
  t.equal(view(gateway, peer).state, 'down')
  const refused = await gateway.send('/shop')
  t.match(JSON.parse(refused.body), { statusCode: 503, code: 'FST_UPSTREAM_NO_PEER' })
  t.equal(refused.headers['retry-after'], '1')
  t.equal(service(gateway).state, 'down')
  await peer.revive()
  await until(() => view(gateway, peer).eligible, { what: 'two good checks' })

  const tcp = await gatewayFor(t, [peer, mute], { check: { type: 'tcp', interval: 40, fall: 1 } })
  await until(() => view(tcp, mute).state === 'healthy', { what: 'a check by connecting' })
  await mute.kill()
  await until(() => /connecting: connect ECONNREFUSED/.test(view(tcp, mute).check?.error ?? ''), { what: 'the refused connection' })
  t.equal(view(tcp, mute).state, 'down')
})

t.test('closed, it asks nobody any more, however many wait for their check', async t => {
  const peers = await Promise.all(Array.from({ length: 5 }, async () => await startPeer(t, { handler: () => {} })))
  const gateway = await gatewayFor(t, peers, { check: { path: '/up', interval: 20, timeout: 60_000, concurrency: 2 } })
  const asked = () => peers.reduce((sum, { hits }) => sum + hits, 0)
  await until(() => asked() === 2, { what: 'two checks under way' })
  await gateway.app.close()
  await until(() => peers.every(({ connections }) => connections === 0), { what: 'their end' })
  t.equal(asked(), 2)
})
