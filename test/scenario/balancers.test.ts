import { Writable } from 'node:stream'
import t, { type Test } from 'tap'
import upstreamEtcd, { type CandidateView, type OwnBalancer, type PeerView } from '../../lib/index.js'
import { startEtcd } from '../fixtures/etcd.js'
import { startGateway, type TestGateway } from '../fixtures/gateway.js'
import { startPeer, type TestPeer } from '../fixtures/peer.js'
import { until } from '../fixtures/wait.js'

const BUILT_IN = ['round-robin', 'least-requests', 'p2c-ewma', 'hash', 'random']
const shop = (gateway: TestGateway) => gateway.app.upstreams.status().services[0]

async function startPeers (t: Test, n: number): Promise<TestPeer[]> {
  return await Promise.all(Array.from({ length: n }, () => startPeer(t)))
}

t.test('every balancer, in code: all peers get requests, none fails', async t => {
  // All equally fast for p2c-ewma, whatever else the machine is doing.
  const peers = await Promise.all([30, 30, 30].map(async delay => await startPeer(t, { delay })))
  for (const balancer of ['round-robin', 'least-requests', 'p2c-ewma', 'hash', 'random'] as const) {
    const gateway = await startGateway(t, {
      peers: { shop: Object.fromEntries(peers.map(({ id }) => [id, {}])) },
      balancer,
      hashKey: 'uri',
      routes: [{ prefix: '/', service: 'shop' }]
    })
    const before = peers.map(({ hits }) => hits)
    const answers = await Promise.all(Array.from({ length: 90 }, (_, i) => gateway.send(`/${i}`)))
    t.ok(answers.every(({ status }) => status === 200))
    peers.forEach(({ hits }, i) => t.ok(hits - (before[i] ?? 0) >= 10, `${balancer}: ${hits - (before[i] ?? 0)} of 90`))
    t.equal(shop(gateway)?.balancer, balancer)
  }
})

t.test('the balancer is changed live from etcd, with requests under way; what is wrong there changes nothing', async t => {
  const etcd = await startEtcd(t)
  const peers = await startPeers(t, 3)
  for (const { id } of peers) await etcd.put(`/services/shop/${id}`, '')
  const gateway = await startGateway(t, { etcd: etcd.endpoint, routes: [{ prefix: '/', service: 'shop' }] })
  const { upstreams } = gateway.app
  for (const peer of peers) peer.setDelay(20)
  const over = new AbortController()
  let [failed, sent] = [0, 0]
  const traffic = Promise.all(Array.from({ length: 6 }, async () => {
    while (!over.signal.aborted) {
      sent++
      if ((await gateway.send(`/${sent}`)).status !== 200) failed++
    }
  }))
  for (const balancer of [...BUILT_IN, ...BUILT_IN.toReversed()]) {
    await upstreams.applied(await etcd.put('/services/shop', JSON.stringify({ balancer, hash_key: 'uri' })))
    t.equal(shop(gateway)?.balancer, balancer)
    const before = peers.reduce((sum, { hits }) => sum + hits, 0)
    await until(() => peers.reduce((sum, { hits }) => sum + hits, 0) > before + 30)
  }
  await upstreams.applied(await etcd.put('/services/shop', '{"balancer": "fastest"}'))
  t.equal(shop(gateway)?.balancer, 'round-robin', 'the last good one')
  t.match(upstreams.status().registry.invalidKeys, [{ key: '/services/shop', error: /balancer.* must be "round-robin", "least-requests"/ }])
  over.abort()
  await traffic
  t.equal(failed, 0)
  t.equal(shop(gateway)?.inflight, 0, 'no count has drifted')
})

t.test('the own zone first, and the others when it falls short', async t => {
  const [a1, a2, b1] = await startPeers(t, 3) as [TestPeer, TestPeer, TestPeer]
  const gateway = await startGateway(t, {
    zone: 'a',
    outlier: { consecutiveErrors: 1, baseEjection: 300_000 },
    panic: 0,
    peers: { shop: { [a1.id]: { zone: 'a' }, [a2.id]: { zone: 'a' }, [b1.id]: { zone: 'b' } } },
    routes: [{ prefix: '/', service: 'shop' }]
  })
  await gateway.sendMany(20, '/')
  t.same([a1.hits, a2.hits, b1.hits], [10, 10, 0])
  await a1.kill()
  while (shop(gateway)?.peers.find(({ id }) => id === a1.id)?.state !== 'ejected') await gateway.send('/')
  const before = [a2.hits, b1.hits]
  await gateway.sendMany(20, '/')
  // One of two is healthy: 1.4 times its half, which is 70 % of the requests; the rest spills over.
  t.same([a2.hits, b1.hits].map((hits, i) => hits - (before[i] ?? 0)), [14, 6])
  await gateway.app.upstreams.drain('shop', a2.id)
  await gateway.sendMany(10, '/')
  t.equal(b1.hits - (before[1] ?? 0), 16)
  t.match(shop(gateway)?.peers.map(({ zone }) => zone).sort(), ['a', 'a', 'b'])
})

/** The last of the candidates that may take it. */
class Last implements OwnBalancer {
  readonly name: string = 'last'
  candidates: readonly CandidateView[] = []
  opens = 0
  closes = 0
  rebuild (candidates: readonly CandidateView[]): void { this.candidates = candidates }
  pick (_now: number, _key: string | null, mayTake?: (state: PeerView) => boolean): PeerView | undefined {
    return this.candidates.toReversed().find(({ state }) => mayTake?.(state) !== false)?.state
  }

  opened (): void { this.opens++ }
  closed (): void { this.closes++ }
}

t.test('a balancer of one\'s own', async t => {
  const [first, last] = await startPeers(t, 2) as [TestPeer, TestPeer]
  const balancer = new Last()
  const gateway = await startGateway(t, {
    peers: { shop: { [first.id]: {}, [last.id]: {} }, other: { [first.id]: {} } },
    balancer,
    routes: [{ prefix: '/shop', service: 'shop' }, { prefix: '/other', service: 'other' }]
  })
  for (let i = 0; i < 5; i++) {
    t.equal((await gateway.send('/shop/')).headers['x-peer'], last.id)
    t.equal((await gateway.send('/other/')).headers['x-peer'], first.id, 'one object may serve two services')
  }
  await last.kill()
  t.equal((await gateway.send('/shop/')).headers['x-peer'], first.id, 'who was tried is not asked for again')
  t.same([balancer.opens, balancer.closes], [12, 12])
  t.equal(shop(gateway)?.balancer, 'last')
})

t.test('what one\'s own balancer does wrong reaches no client, and is shown and logged once', async t => {
  const peers = await startPeers(t, 2)
  const lines: string[] = []
  const logger = { level: 'warn', stream: new Writable({ write: (chunk, _encoding, done) => { lines.push(String(chunk)); done() } }) }
  const gateway = await startGateway(t, {
    peers: { shop: Object.fromEntries(peers.map(({ id }) => [id, {}])) },
    balancer: { rebuild () {}, pick () { throw new Error('out of ideas') } },
    routes: [{ prefix: '/', service: 'shop' }]
  }, undefined, { logger })
  const answers = await gateway.sendMany(40, '/')
  t.ok(answers.every(({ status }) => status === 200))
  t.same(peers.map(({ hits }) => hits), [20, 20])
  t.match(shop(gateway), { balancer: 'own', state: 'degraded', reason: 'its own balancer fails, round robin chooses: out of ideas' })
  await until(() => lines.some(line => line.includes('out of ideas')))
  await gateway.sendMany(40, '/')
  t.equal(lines.filter(line => line.includes('out of ideas')).length, 1)
})

t.test('what is no balancer is refused', async t => {
  const { default: Fastify } = await import('fastify')
  const app = Fastify()
  t.teardown(() => app.close())
  await t.rejects(async () => await app.register(upstreamEtcd, { peers: {}, balancer: { pick () {} } as unknown as OwnBalancer }),
    { code: 'FST_UPSTREAM_BAD_OPTION', message: /"balancer" must be .* or an object with the functions rebuild and pick/ })
})
