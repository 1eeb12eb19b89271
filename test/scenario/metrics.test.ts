import type { IncomingMessage, ServerResponse } from 'node:http'
import t from 'tap'
import { request } from 'undici'
import { parseMetrics, valueOf, valuesOf, type Family } from '../fixtures/exposition.js'
import { startGateway, type TestGateway } from '../fixtures/gateway.js'
import { refusedPort, startPeer, type TestPeer } from '../fixtures/peer.js'
import { until } from '../fixtures/wait.js'

/** Answers with the status that the path names. */
const byPath = (request: IncomingMessage, response: ServerResponse): void => {
  request.resume()
  response.writeHead(Number(/\d{3}/.exec(request.url ?? '')?.[0] ?? 200)).end()
}

const add = (numbers: Iterable<number>): number => [...numbers].reduce((a, b) => a + b, 0)

/** The metrics once `requests` of the service's clients are over: a client may have its answer before that is noted. */
async function metricsAfter ({ send }: TestGateway, requests: number, service = 'shop'): Promise<Map<string, Family>> {
  const read = async () => parseMetrics((await send('/_upstreams/metrics')).body)
  return await until(async () => {
    const families = await read()
    return valueOf(families, 'request_duration_seconds_count', { service }) === requests && families
  }, { what: `${requests} requests in the metrics` })
}

/** What a peer counted, as the metrics tell it. */
function counted ({ counts }: TestPeer): Record<string, number> {
  return Object.fromEntries([...counts].map(([code, count]) => [String(code), count]))
}

t.test('requests by peer and code, to the unit', async t => {
  const peers = [await startPeer(t, { handler: byPath }), await startPeer(t, { handler: byPath })]
  const gateway = await startGateway(t, {
    peers: { shop: Object.fromEntries(peers.map((peer, i) => [peer.id, { weight: i + 1 }])), idle: { '127.0.0.1:1': {} } },
    routes: [{ prefix: '/shop', service: 'shop' }],
    outlier: false,
    retry: false
  })
  const codes = [200, 201, 204, 301, 304, 404, 418, 429, 499, 500, 503, 599].flatMap((code, i) => Array.from({ length: 3 + i }, () => code))
  await Promise.all(codes.map(code => gateway.send(`/shop/${code}`)))
  const families = await metricsAfter(gateway, codes.length)
  for (const peer of peers) {
    t.ok(peer.hits > 0)
    t.same(valuesOf(families, 'requests_total', 'code', { service: 'shop', peer: peer.id }), counted(peer), peer.id)
    t.same(valuesOf(families, 'request_errors_total', 'reason', { peer: peer.id }), { connect: 0, timeout: 0, reset: 0, aborted: 0 })
  }
  const clients: Record<string, number> = {}
  for (const code of codes) clients[code] = (clients[code] ?? 0) + 1
  t.same(valuesOf(families, 'client_requests_total', 'code', { service: 'shop' }), clients)
  t.equal(valueOf(families, 'time_to_first_byte_seconds_count', { service: 'shop' }), codes.length)
  t.same(valuesOf(families, 'retries_total', 'reason'), { connect: 0, reset: 0, timeout: 0 })
  t.same(valuesOf(families, 'no_peer_total', 'reason'), { no_peer: 0, not_ready: 0, queue_full: 0, shed: 0 })
  t.equal(valueOf(families, 'retry_budget_exhausted_total'), 0)
  t.same(Object.keys(valuesOf(families, 'requests_total', 'service')), ['shop'], 'a service without traffic has none of these')
  t.equal(valueOf(families, 'request_duration_seconds_count', { service: 'idle' }), undefined)
  const again = await metricsAfter(gateway, codes.length)
  t.same(again.get('fastify_upstream_requests_total'), families.get('fastify_upstream_requests_total'), 'reading counts nothing')
})

t.test('durations are those of clients, first bytes those of peers', async t => {
  let answer: ServerResponse | undefined
  const peer = await startPeer(t, {
    handler: (_request, response) => {
      answer = response
      setTimeout(() => response.write('a'), 30)
    }
  })
  const gateway = await startGateway(t, { peers: { shop: { [peer.id]: {} } }, routes: [{ prefix: '/', service: 'shop' }] })
  for (let i = 0; i < 5; i++) {
    const { body } = await request(gateway.url)
    const at = performance.now()
    await until(() => performance.now() - at > 110)
    answer?.end('b')
    t.equal(await body.text(), 'ab')
  }
  const families = await metricsAfter(gateway, 5)
  t.equal(valueOf(families, 'request_duration_seconds_bucket', { le: '0.1' }), 0, 'nobody had the last byte earlier')
  t.equal(valueOf(families, 'time_to_first_byte_seconds_bucket', { le: '0.025' }), 0, 'nor the first')
  t.equal(valueOf(families, 'time_to_first_byte_seconds_count'), 5)
  const [all = NaN, first = NaN] = ['request_duration_seconds_sum', 'time_to_first_byte_seconds_sum'].map(name => valueOf(families, name))
  // A timer of the peer may be a little early by our clock.
  t.ok(first > 5 * 0.029, `5 × 30 ms are ${first} s`)
  t.ok(all - first > 5 * 0.109 && all < 60, `and 5 × 110 ms more ${all} s`)
})

t.test('retries by what went wrong, and each attempt once', async t => {
  const [good, bad] = [await startPeer(t), await startPeer(t, { status: 503 })]
  const cut = await startPeer(t, { handler: request => { request.socket.destroy() } })
  const refused = `127.0.0.1:${await refusedPort()}`
  const attempts: Array<{ peer: string, what: string }> = []
  const gateway = await startGateway(t, {
    peers: { shop: Object.fromEntries([good.id, bad.id, cut.id, refused].map(id => [id, {}])) },
    routes: [{ prefix: '/shop', service: 'shop' }],
    outlier: false,
    retry: { attempts: 3, budget: { ratio: 1, perSecond: 1000 } }
  }, app => {
    app.addHook('onResponse', async ({ upstream }) => {
      attempts.push(...upstream?.attempts.map(({ peer, status, error }) => ({ peer, what: String(error ?? status) })) ?? [])
    })
  })
  const answers = await gateway.sendMany(40, '/shop')
  t.ok(answers.every(({ status }) => status === 200))
  const families = await metricsAfter(gateway, 40)
  t.same(valuesOf(families, 'client_requests_total', 'code'), { 200: 40 })
  t.same(valuesOf(families, 'requests_total', 'code', { peer: good.id }), { 200: 40 })
  t.same(valuesOf(families, 'requests_total', 'code', { peer: bad.id }), { 503: bad.hits })
  t.equal(valueOf(families, 'request_errors_total', { peer: cut.id, reason: 'reset' }), cut.hits)
  const refusals = attempts.filter(({ peer }) => peer === refused).length
  t.ok(bad.hits > 0 && cut.hits > 0 && refusals > 0)
  t.equal(valueOf(families, 'request_errors_total', { peer: refused, reason: 'connect' }), refusals)
  t.same(valuesOf(families, 'retries_total', 'reason'), { connect: refusals, reset: cut.hits, timeout: 0, 503: bad.hits })
  const told = add(['requests_total', 'request_errors_total'].flatMap(name => families.get(`fastify_upstream_${name}`)?.samples.map(({ value }) => value) ?? []))
  t.equal(told, attempts.length, 'answered and failed are all attempts')
})

t.test('retries that the budget does not allow', async t => {
  const peers = [await startPeer(t, { status: 503 }), await startPeer(t, { status: 503 })]
  const gateway = await startGateway(t, {
    peers: { shop: Object.fromEntries(peers.map(({ id }) => [id, {}])) },
    routes: [{ prefix: '/shop', service: 'shop' }],
    outlier: false,
    retry: { attempts: 1, budget: { ratio: 0, perSecond: 0.2 } }
  })
  await gateway.sendMany(9, '/shop')
  const families = await metricsAfter(gateway, 9)
  t.equal(add(peers.map(({ hits }) => hits)), 11, 'two may be repeated')
  t.equal(valueOf(families, 'retries_total', { reason: '503' }), 2)
  t.equal(valueOf(families, 'retry_budget_exhausted_total', { service: 'shop' }), 7)
})

t.test('time-outs, and clients that leave', async t => {
  const peer = await startPeer(t, { delay: 60_000 })
  const gateway = await startGateway(t, {
    peers: { late: { [peer.id]: {} }, shop: { [peer.id]: {} } },
    routes: [{ prefix: '/late', service: 'late' }, { prefix: '/shop', service: 'shop' }],
    outlier: false,
    services: { late: { timeouts: { headers: 100 } } }
  })
  t.equal((await gateway.send('/late', { method: 'POST' })).status, 504)
  const leaving = new AbortController()
  const left = fetch(`${gateway.url}/shop`, { signal: leaving.signal })
  left.catch(() => {})
  await until(() => peer.hits === 2)
  leaving.abort()
  await t.rejects(left)
  await metricsAfter(gateway, 1, 'late')
  const families = await metricsAfter(gateway, 1)
  t.same(valuesOf(families, 'request_errors_total', 'reason', { service: 'late', peer: peer.id }), { connect: 0, timeout: 1, reset: 0, aborted: 0 })
  t.same(valuesOf(families, 'request_errors_total', 'reason', { service: 'shop', peer: peer.id }), { connect: 0, timeout: 0, reset: 0, aborted: 1 })
  t.same(valuesOf(families, 'client_requests_total', 'code'), { 499: 1, 504: 1 })
  t.same(valuesOf(families, 'requests_total', 'code'), {}, 'nobody answered')
})

t.test('requests that nobody could take, by reason', async t => {
  const peer = await startPeer(t, { delay: 60_000 })
  const gateway = await startGateway(t, {
    peers: { shop: { [peer.id]: {} } },
    routes: [{ prefix: '/shop', service: 'shop' }, { prefix: '/empty', service: 'empty' }],
    limits: { maxInflight: 1 }
  })
  const held = gateway.send('/shop')
  held.catch(() => {})
  await until(() => peer.hits === 1)
  const full = await gateway.sendMany(3, '/shop')
  gateway.app.upstreams.shed('shop', 1)
  const shed = await gateway.sendMany(4, '/shop')
  const empty = await gateway.sendMany(5, '/empty')
  const unknown = await gateway.send('/other')
  t.equal(unknown.status, 404)
  const codes = [full, shed, empty].map(answers => [...new Set(answers.map(({ body }) => JSON.parse(body).code))].join())
  t.same(codes, ['FST_UPSTREAM_QUEUE_FULL', 'FST_UPSTREAM_SHED', 'FST_UPSTREAM_NO_PEER'])
  await metricsAfter(gateway, 5, 'empty')
  const families = await metricsAfter(gateway, 7)
  t.same(valuesOf(families, 'no_peer_total', 'reason', { service: 'shop' }), { no_peer: 0, not_ready: 0, queue_full: 3, shed: 4 })
  t.same(valuesOf(families, 'no_peer_total', 'reason', { service: 'empty' }), { no_peer: 5, not_ready: 0, queue_full: 0, shed: 0 })
  t.equal(peer.hits, 1, 'no peer heard of these')
})

t.test('requests that came before the registry could be read', async t => {
  const gateway = await startGateway(t, {
    etcd: `http://127.0.0.1:${await refusedPort()}`,
    start: { wait: 0 },
    routes: [{ prefix: '/shop', service: 'shop' }]
  })
  const answers = await gateway.sendMany(3, '/shop')
  t.ok(answers.every(({ body }) => JSON.parse(body).code === 'FST_UPSTREAM_NOT_READY'))
  const families = await metricsAfter(gateway, 3)
  t.same(valuesOf(families, 'no_peer_total', 'reason', { service: 'shop' }), { no_peer: 0, not_ready: 3, queue_full: 0, shed: 0 })
})

t.test('a peer that answers with any status makes some dozens of series, and all is told', async t => {
  const peer = await startPeer(t, { handler: byPath })
  const gateway = await startGateway(t, { peers: { shop: { [peer.id]: {} } }, routes: [{ prefix: '/shop', service: 'shop' }], outlier: false, retry: false })
  const codes = Array.from({ length: 400 }, (_, i) => 200 + i)
  for (let i = 0; i < codes.length; i += 50) await Promise.all(codes.slice(i, i + 50).map(code => gateway.send(`/shop/${code}`)))
  const families = await metricsAfter(gateway, 400)
  for (const name of ['requests_total', 'client_requests_total']) {
    const told = valuesOf(families, name, 'code', { service: 'shop' })
    t.ok(Object.keys(told).length > 30 && Object.keys(told).length <= 38, `${Object.keys(told).length} series`)
    t.equal(add(Object.values(told)), peer.hits)
    t.match(told, { '3xx': 100, '4xx': 100, '5xx': 100 }, 'what has no room, by its class')
  }
})

t.test('counters outlive the window of the statistics', async t => {
  const peer = await startPeer(t)
  const gateway = await startGateway(t, { peers: { shop: { [peer.id]: {} } }, routes: [{ prefix: '/', service: 'shop' }], statsWindow: 1 })
  await gateway.sendMany(3, '/')
  const second = Math.floor(Date.now() / 1000)
  await until(() => Math.floor(Date.now() / 1000) > second + 2, { what: 'the end of the window' })
  t.same(gateway.app.upstreams.report('shop', { seconds: 1 }).statistics[0]?.stat, [], 'the window has forgotten')
  t.equal(valueOf(await metricsAfter(gateway, 3), 'requests_total', { code: '200' }), 3, 'counters have not')
})
