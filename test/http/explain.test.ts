import t from 'tap'
import { startGateway } from '../fixtures/gateway.js'
import { startPeer } from '../fixtures/peer.js'

const A = '127.0.0.1:1'
const B = '127.0.0.1:2'

t.test('every peer, why, and what the next pick goes by', async t => {
  const gateway = await startGateway(t, {
    peers: { shop: { [A]: { weight: 3, zone: 'eu' }, [B]: { zone: 'us', max_inflight: 2 }, '[::1]:3': { status: 'down', priority: 1 } } },
    services: { 'a/b': {} },
    zone: 'eu',
    check: false
  })
  const { status, headers, body } = await gateway.send('/_upstreams/services/shop/explain?key=k')
  t.match([status, headers['cache-control']], [200, 'no-store'])
  const time = /^\d{4}-\d\d-\d\dT/
  t.match(JSON.parse(body), {
    service: 'shop',
    now: time,
    balancer: 'round-robin',
    panic: false,
    key: 'k',
    next: A,
    levels: [{ priority: 0, zone: 'own', load: 1, by: 'owed' }, { priority: 0, zone: 'other', load: 0, by: 'owed' }, { priority: 1, zone: 'other', load: 0, by: 'owed' }],
    peers: [
      { id: A, state: 'unknown', eligible: true, reason: null, since: time, until: null, candidate: 'yes', weight: { configured: 3, effective: 3 }, level: { priority: 0, zone: 'own', load: 1 }, inflight: 0, maxInflight: 0, hasRoom: true, weighs: 1, place: null },
      { id: B, eligible: true, candidate: 'yes', maxInflight: 2, level: { priority: 0, zone: 'other', load: 0 }, weighs: 1 },
      { id: '[::1]:3', scheme: 'http', state: 'maintenance', eligible: false, reason: 'the registry says down', candidate: 'no', weight: { configured: 1, effective: 0 }, level: { priority: 1, zone: 'other', load: 0 }, weighs: null }
    ]
  })
  t.match(JSON.parse((await gateway.send('/_upstreams/services/a%2Fb/explain')).body), { service: 'a/b', key: null, next: null, levels: [], peers: [] })
  t.match(JSON.parse((await gateway.send('/_upstreams/services/shop/explain?key=a&key=b')).body), { statusCode: 400, message: /"key" must be one text/ })
  for (const name of ['nobody', '__proto__', '%2e%2e%2f']) t.equal((await gateway.send(`/_upstreams/services/${name}/explain`)).status, 404, name)
  t.equal((await gateway.send('/_upstreams/services/shop/explain', { headers: { host: 'evil.example' } })).status, 404)
  t.equal((await gateway.send('/_upstreams/services/shop/explain', { headers: { 'x-forwarded-for': '127.0.0.1' } })).status, 404)
})

t.test('asking between requests changes nothing, and who is next is next', async t => {
  const peers = await Promise.all([startPeer(t), startPeer(t), startPeer(t)])
  const registered = Object.fromEntries(peers.map(({ id }, i) => [id, { weight: 5 - 2 * i }]))
  const gateway = await startGateway(t, { peers: { shop: registered }, routes: [{ prefix: '/shop', service: 'shop' }], check: false })
  const foretold: unknown[] = []
  const got: unknown[] = []
  for (let i = 0; i < 18; i++) {
    for (let again = 0; again < 3; again++) await gateway.send('/_upstreams/services/shop/explain?key=x')
    foretold.push(JSON.parse((await gateway.send('/_upstreams/services/shop/explain')).body).next)
    got.push((await gateway.send('/shop')).headers['x-peer'])
  }
  t.same(got, foretold)
  t.same(peers.map(({ hits }) => hits), [10, 6, 2], 'two cycles')
  const report = gateway.app.upstreams.status().services[0]
  t.same(report?.peers.map(({ responses }) => responses['2xx']).sort(), [10, 2, 6], 'and only requests are counted')
})

t.test('without a zone there is none, and keys have an order', async t => {
  const gateway = await startGateway(t, { peers: { shop: { [A]: {}, [B]: {} } }, balancer: 'hash', check: false, limits: { maxInflight: 7 } })
  const explained = async (key: string) => JSON.parse((await gateway.send(`/_upstreams/services/shop/explain?key=${key}`)).body)
  const of = await explained('user-1')
  t.match(of, { levels: [{ priority: 0, zone: null, by: 'room' }], peers: [{ maxInflight: 7, weighs: 0.75 }, {}] })
  t.same(of.peers.map(({ place }: { place: number }) => place).sort(), [0, 1])
  const first = of.peers.find(({ place }: { place: number }) => place === 0).id
  t.equal(of.next, first)
  t.equal(gateway.app.upstreams.pick('shop', { key: 'user-1' })?.peer.id, first)
})
