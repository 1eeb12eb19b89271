import t from 'tap'
import Fastify from 'fastify'
import upstreamEtcd, { type UpstreamEtcdOptions } from '../../lib/index.js'
import { startGateway } from '../fixtures/gateway.js'
import { startPeer } from '../fixtures/peer.js'
import { until } from '../fixtures/wait.js'

const A = '127.0.0.1:1'
const B = '127.0.0.1:2'

async function upstreams (t: Pick<typeof import('tap').t, 'teardown'>, options: Partial<UpstreamEtcdOptions> = {}) {
  const app = Fastify()
  t.teardown(async () => await app.close())
  await app.register(upstreamEtcd, { peers: { shop: { [A]: { weight: 3, slow_start: 5, checkurl: '/up', params: { a: 1 } }, [B]: '{"weight": "1"}' } }, check: false, ...options })
  await app.ready()
  return app.upstreams
}

t.test('pick', async t => {
  const of = await upstreams(t)
  const counts = new Map<string, number>()
  for (let i = 0; i < 40; i++) {
    const pick = of.pick('shop')
    if (pick === undefined) throw new Error('nobody')
    const { peer, panic, done } = pick
    counts.set(peer.id, (counts.get(peer.id) ?? 0) + 1)
    t.equal(panic, false)
    done({ status: 200, ms: 5 })
    done({ status: 500, ms: 5 })
  }
  t.same(Object.fromEntries(counts), { [A]: 30, [B]: 10 })
  t.equal(of.pick('shop', { tried: [A] })?.peer.id, B)
  t.equal(of.pick('shop', { tried: new Set([A, B]) }), undefined)
  t.equal(of.pick('nobody'), undefined)
  t.same(of.pick('shop', { tried: [B], key: 'k' })?.peer,
    { id: A, host: '127.0.0.1', port: 1, scheme: 'http', weight: 3, status: 'up', slowStart: 5000, checkUrl: '/up', params: { a: 1 } })
  const [peer] = of.status().services[0]?.peers ?? []
  t.match(peer, { id: A, inflight: 1, responses: { '2xx': 30, '5xx': 0 } }, 'closing twice is harmless')
  const open = of.pick('shop')
  for (const outcome of [{}, { status: 99, ms: 1 }, { status: 200 }, { error: 'bored', ms: 1 }, { status: 200, ms: -1 }, { status: 200, ms: NaN }]) {
    t.throws(() => open?.done(outcome as never), { code: 'FST_UPSTREAM_BAD_OPTION' }, JSON.stringify(outcome))
  }
  open?.done({ error: 'aborted', ms: 1 })
})

t.test('show', async t => {
  const of = await upstreams(t)
  const shop = {
    version: 1,
    peers: [
      { host: '127.0.0.1', port: 1, weight: 3, status: 'up', slow_start: 5, start_at: null, check_url: '/up', params: { a: 1 } },
      { host: '127.0.0.1', port: 2, weight: 1, status: 'up', slow_start: 0, start_at: null, check_url: '/', params: {} }
    ]
  }
  t.same(of.show('shop'), shop)
  t.same(JSON.parse(JSON.stringify(of.show())), { _version: 1, shop })
  for (const ask of [() => of.show('nobody'), () => of.report('nobody'), () => of.cutdown('nobody', A, 0), () => of.recover('nobody', A), () => of.shed('nobody', 0)]) {
    t.throws(ask, { code: 'FST_UPSTREAM_UNKNOWN_SERVICE', statusCode: 404 })
  }
  await t.rejects(of.drain('nobody', A), { code: 'FST_UPSTREAM_UNKNOWN_SERVICE' })
})

t.test('cutdown, recover, and the end of both', async t => {
  const of = await upstreams(t)
  const share = () => {
    const counts: Record<string, number> = { [A]: 0, [B]: 0 }
    for (let i = 0; i < 40; i++) {
      const pick = of.pick('shop')
      counts[pick?.peer.id ?? ''] = (counts[pick?.peer.id ?? ''] ?? 0) + 1
      pick?.done({ status: 200, ms: 1 })
    }
    return [counts[A], counts[B]]
  }
  of.cutdown('shop', A, 1 / 3)
  t.same(share(), [20, 20])
  t.match(of.status().services[0]?.peers[0], { weight: { configured: 3, effective: 1 } })
  of.recover('shop', A)
  t.same(share(), [30, 10])
  of.cutdown('shop', A, 0, { for: 60 })
  t.same(share(), [0, 40])
  t.match(of.status().services[0]?.peers[0], { state: 'draining', reason: 'cut down to 0', eligible: false, until: String })
  await until(() => of.status().services[0]?.peers[0]?.eligible, { what: 'the end of the override' })
  for (const bad of [-0.1, 1.1, NaN, '0.5']) t.throws(() => of.cutdown('shop', A, bad as number), { code: 'FST_UPSTREAM_BAD_OPTION', message: /"share" must be a number from 0 to 1/ })
  t.throws(() => of.cutdown('shop', A, 0.5, { for: 0 }), { code: 'FST_UPSTREAM_BAD_OPTION', message: /"for"/ })
  t.throws(() => of.cutdown('shop', '127.0.0.1:9', 0.5), { code: 'FST_UPSTREAM_BAD_OPTION', message: /a peer of service "shop"/ })
  t.throws(() => of.shed('shop', 2), { code: 'FST_UPSTREAM_BAD_OPTION' })
})

t.test('drain resolves when nothing is in flight', async t => {
  // It answers when it is told to.
  const waiting: Array<() => void> = []
  const slow = await startPeer(t, { handler: (_request, response) => { waiting.push(() => { response.end('at last') }) } })
  const other = await startPeer(t)
  const gateway = await startGateway(t, { peers: { shop: { [slow.id]: {}, [other.id]: {} } }, routes: [{ prefix: '/shop', service: 'shop' }] })
  const { app: { upstreams: of } } = gateway
  const busy = [gateway.send('/shop'), gateway.send('/shop')]
  await until(() => slow.hits === 1, { what: 'the slow request' })
  let drained = false
  const drain = of.drain('shop', slow.id, { for: 60_000 }).then(() => { drained = true })
  await gateway.sendMany(4, '/shop')
  t.equal(slow.hits, 1, 'no new request')
  t.equal(drained, false)
  t.match(of.status().services[0]?.peers.find(({ id }) => id === slow.id), { state: 'draining', reason: 'drained by an operator', inflight: 1 })
  for (const answer of waiting) answer()
  await drain
  t.same((await Promise.all(busy)).map(({ status }) => status), [200, 200])
  of.recover('shop', slow.id)
  t.match(of.status().services[0]?.peers.find(({ id }) => id === slow.id), { eligible: true })
})

t.test('ready and whenReady', async t => {
  const of = await upstreams(t, { services: { later: {} } })
  t.equal(of.ready, true)
  await of.whenReady()
  await of.whenReady(['shop'])
  await t.rejects(of.whenReady('later', { timeout: 20 }), { code: 'FST_UPSTREAM_SYNC', message: /no eligible peer of later within 20 ms/ })
  await t.rejects(of.whenReady('later', { timeout: 0 }), { code: 'FST_UPSTREAM_BAD_OPTION' })

  const app = Fastify()
  await app.register(upstreamEtcd, { peers: { shop: { [A]: {} } }, services: { later: {} } })
  const waiting = [app.upstreams.whenReady('later'), app.upstreams.whenReady('later', { timeout: 60_000 })]
  const ended = Promise.allSettled(waiting)
  await app.close()
  t.match(await ended, [{ reason: { code: 'FST_UPSTREAM_SYNC', message: /closed/ } }, { reason: { code: 'FST_UPSTREAM_SYNC' } }], 'closing ends every wait')
})

t.test('a shorter window bounds what is asked by default', async t => {
  const of = await upstreams(t, { statsWindow: 5 })
  t.equal(of.tps(), 0)
  const { ts_start: start, ts_end: end } = of.report('shop')
  t.equal(end - start, 4)
})

t.test('a share that is refused is told', async t => {
  const of = await upstreams(t)
  of.shed('shop', 0.25)
  t.match(of.status().services[0], { state: 'healthy', reason: 'an operator has 25 % of the requests refused' })
})

t.test('wrong options refuse to register, and leave nothing', async t => {
  const table: Array<[object, RegExp]> = [
    [{}, /etcd.*peers/],
    [{ etcd: 'http://127.0.0.1:1', peers: {} }, /etcd.*peers/],
    [{ peers: {}, chekc: false }, /unknown option "chekc", did you mean "check"\?/],
    [{ peers: {}, panic: 2 }, /option "panic" must be a number from 0 to 1, got 2/],
    [{ peers: { shop: { '127.0.0.1:99999': {} } } }, /option "peers".*99999/],
    [{ peers: { shop: { '127.0.0.1:1': { weight: -1 } } } }, /option "peers".*weight/],
    [{ peers: { shop: { '127.0.0.1:1': { weight: NaN } } } }, /option "peers".*NaN/],
    [{ peers: { shop: { '127.0.0.1:1': { weight: 1n } } } }, /option "peers".*1n/],
    [{ peers: { shop: { 'no-port': {} } } }, /option "peers".*host:port.*shop\/no-port/],
    [{ peers: {}, routes: [{ prefix: 'x', service: 's' }] }, /routes/],
    [{ peers: {}, routes: [{ prefix: '/x', service: 's', methods: ['FOO'] }] }, /option "routes.methods".*"FOO"/]
  ]
  for (const [options, message] of table) {
    const app = Fastify()
    await t.rejects(async () => { await app.register(upstreamEtcd, options as UpstreamEtcdOptions) }, { code: 'FST_UPSTREAM_BAD_OPTION', message })
    await app.close()
  }
  const twice = Fastify()
  await twice.register(upstreamEtcd, { peers: {} })
  await t.rejects(async () => { await twice.register(upstreamEtcd, { peers: {} }) }, { code: 'FST_ERR_DEC_ALREADY_PRESENT' })
  await twice.close()
})
