import { once } from 'node:events'
import { connect } from 'node:http2'
import { createConnection } from 'node:net'
import { text } from 'node:stream/consumers'
import t from 'tap'
import Fastify, { type FastifyInstance } from 'fastify'
import upstreamEtcd, { type UpstreamEtcdOptions } from '../../lib/index.js'
import { startGateway } from '../fixtures/gateway.js'
import { pem } from '../fixtures/pem.js'
import { startPeer } from '../fixtures/peer.js'
import { until } from '../fixtures/wait.js'

async function injectable (t: Pick<typeof import('tap').t, 'teardown'>, options: Partial<UpstreamEtcdOptions>): Promise<FastifyInstance> {
  const app = Fastify()
  t.teardown(async () => await app.close())
  await app.register(upstreamEtcd, { peers: { shop: { '127.0.0.1:1': { weight: 2, params: { zone: 'a' } }, '[::1]:2': {} } }, ...options })
  return app
}

/** What is answered to these very bytes; the app listens from the first ones on. */
async function sent (t: Pick<typeof import('tap').t, 'teardown'>, app: FastifyInstance, head: string): Promise<string> {
  if (!app.server.listening) await app.listen({ host: '127.0.0.1', port: 0 })
  const address = app.server.address()
  const socket = createConnection(typeof address === 'object' && address !== null ? address.port : 0, '127.0.0.1')
  t.teardown(() => socket.destroy())
  socket.end(`${head}\r\nConnection: close\r\n\r\n`)
  return await text(socket)
}

t.test('the JSON has the whole shape', async t => {
  const peer = await startPeer(t)
  const gateway = await startGateway(t, {
    peers: { shop: { [peer.id]: { weight: 3, slow_start: 30, start_at: 1_700_000_000, params: { rack: 7 } } } },
    routes: [{ prefix: '/shop', service: 'shop' }],
    check: { path: '/up', interval: 50 }
  })
  await gateway.sendMany(4, '/shop')
  await until(() => gateway.app.upstreams.status().services[0]?.peers[0]?.check?.ok, { what: 'a check' })
  const { status, headers, body } = await gateway.send('/_upstreams')
  t.equal(status, 200)
  t.match(headers, { 'content-type': /application\/json/, 'cache-control': 'private, no-cache' })
  const time = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/
  const latencyMs = { p50: Number, p90: Number, p99: Number }
  t.match(JSON.parse(body), {
    schema: 1,
    now: time,
    ready: true,
    node: { id: String, pid: process.pid, startedAt: time, version: /^\d+\.\d+\.\d+$/ },
    registry: { kind: 'static', state: 'static', keyPrefix: '/services/', revision: null, lastVerifiedAt: time, stalenessMs: null, reconnects: 0, resyncs: { compacted: 0, replaced: 0, missed: 0, comparison: 0 }, invalidKeys: [], lastError: null },
    totals: { services: 1, peers: 1, peersEligible: 1, inflight: 0 },
    services: [{
      name: 'shop',
      state: 'healthy',
      reason: null,
      balancer: 'round-robin',
      revision: null,
      peersTotal: 1,
      peersEligible: 1,
      panic: false,
      inflight: 0,
      rps: Number,
      errorRate: 0,
      latencyMs,
      peers: [{
        id: peer.id,
        host: '127.0.0.1',
        port: peer.port,
        scheme: 'http',
        state: 'healthy',
        eligible: true,
        reason: null,
        since: time,
        until: null,
        weight: { configured: 3, effective: 3, share: 1, expectedShare: 1 },
        inflight: 0,
        rps: Number,
        errorRate: 0,
        responses: { '1xx': 0, '2xx': 4, '3xx': 0, '4xx': 0, '5xx': 0 },
        errors: { connect: 0, timeout: 0, reset: 0, aborted: 0 },
        latencyMs,
        check: { at: time, ok: true, status: 200, ms: Number, error: null, streak: Number },
        ejections: 0,
        registration: { key: `/services/shop/${peer.id}`, modRevision: '1', lease: null, startAt: '2023-11-14T22:13:20.000Z', params: { rack: 7 } }
      }]
    }]
  })
  t.match(gateway.app.upstreams.status(), { schema: 1, ready: true }, 'and app.upstreams.status() is it')

  const detail = JSON.parse((await gateway.send('/_upstreams/services/shop')).body)
  t.match(detail, { name: 'shop', settings: { panic: 0.5, check: { interval: 50, rise: 2 } }, events: [{ event: 'added', peer: peer.id, at: time }] })
  t.equal(detail.history.length, 60)
  t.match(detail.history[0], { at: time, requests: 0, errors: 0, meanMs: null })

  const text = await gateway.send('/_upstreams?text')
  t.match(text.headers['content-type'], /text\/plain/)
  const lines = text.body.split('\n')
  t.match(lines[1], 'registry static static below /services/ revision -')
  t.match(lines[3], /^shop healthy 1\/1 peers eligible/)
  t.match(lines[4], /^ {2}peer +state +weight +effective +share/)
  t.equal(lines[5]?.indexOf('healthy'), lines[4]?.indexOf('state'), 'aligned')
})

t.test('text is text, line by line and from left to right', async t => {
  const app = await injectable(t, { peers: { shop: { '127.0.0.1:1': { status: '\u202Egnp\u2028x\u2066\u200F' } }, 'a\u202Eb': { '127.0.0.1:1': {} } } })
  const { body } = await app.inject('/_upstreams?text')
  t.match(body, 'the registry says ?gnp?x??\n')
  t.match(body, '\na?b healthy')
  t.notMatch(body, /[\u2028\u2029\p{Bidi_Control}]/u)
})

t.test('report, tps and ready', async t => {
  const app = await injectable(t, { statsWindow: 10 })
  const get = async (path: string) => { const answer = await app.inject(`/_upstreams${path}`); return { status: answer.statusCode, body: answer.json() } }
  t.match(await get('/services/shop/report?seconds=5'), { status: 200, body: { name: 'shop', statistics: [{ peer: '127.0.0.1:1', rtsum: 0, stat: [], p50: null }, { peer: '[::1]:2' }] } })
  t.equal((await get('/services/shop/report?seconds=5&peer=127.0.0.1:1')).body.statistics.length, 1)
  t.match(await get('/tps?seconds=10'), { status: 200, body: { seconds: 10, tps: 0 } })
  for (const path of ['/tps?seconds=0', '/tps?seconds=x', '/tps?seconds=11', '/services/shop/report?seconds=11', '/services/shop/report?seconds=5&peer=nobody']) {
    t.match(await get(path), { status: 400, body: { code: 'FST_UPSTREAM_BAD_OPTION' } }, path)
  }
  for (const path of ['/services/nobody', '/services/nobody/report?seconds=5', '/services/__proto__']) t.match(await get(path), { status: 404, body: { code: 'FST_UPSTREAM_UNKNOWN_SERVICE' } }, path)
  t.match(await get('/ready'), { status: 200, body: { ready: true, registry: { state: 'static' }, waitingFor: [] } })
})

t.test('who may look', async t => {
  const app = await injectable(t, {})
  const code = async (on: FastifyInstance, headers: Record<string, string>, remoteAddress = '127.0.0.1', url = '/_upstreams') => (await on.inject({ url, headers, remoteAddress })).statusCode
  t.equal(await code(app, {}), 200)
  t.equal(await code(app, { host: '127.0.0.1:3000' }, '::ffff:127.0.0.1'), 200)
  t.equal(await code(app, { host: '[::1]:3000' }, '::1'), 200)
  t.equal(await code(app, {}, '10.0.0.9'), 404)
  t.equal(await code(app, { host: 'evil.example' }), 404, 'a name of elsewhere that resolves to here')
  for (const name of ['x-forwarded-for', 'forwarded', 'x-real-ip', 'via', 'x-forwarded-host', 'x-forwarded-proto', 'x-forwarded-port', 'x-client-ip', 'true-client-ip', 'cf-connecting-ip', 'proxy-client-ip', 'wl-proxy-client-ip', 'cdn-loop', 'x-original-forwarded-for', 'x-envoy-external-address', 'x-azure-clientip']) t.equal(await code(app, { [name]: '1.2.3.4' }), 404, name)
  for (const head of ['GET /_upstreams HTTP/1.1\r\nHost: localhost\r\nHost: evil.example', 'GET http://evil.example/_upstreams HTTP/1.1\r\nHost: localhost']) t.match(await sent(t, app, head), /^HTTP\/1.1 404 /, head)
  t.match(await sent(t, app, 'GET http://localhost/_upstreams HTTP/1.1\r\nHost: localhost'), /^HTTP\/1.1 200 /)
  t.equal(await code(app, { host: 'localhost:3000', origin: 'http://localhost:3000' }), 200)
  for (const origin of ['http://evil.example', 'http://localhost:3001', 'https://localhost', 'null', '']) t.equal(await code(app, { host: 'localhost:3000', origin }), 404, `a page of ${origin} reads nothing, whatever CORS the application allows`)
  const missing = (await app.inject('/nowhere')).json()
  t.same((await app.inject({ url: '/_upstreams', remoteAddress: '10.0.0.9' })).json(), { ...missing, message: 'Route GET:/_upstreams not found' }, 'as if there were nothing')

  const outside = await app.inject({ url: '/_upstreams/ready', remoteAddress: '10.0.0.9' })
  t.same([outside.statusCode, outside.json()], [200, { ready: true }], 'outsiders learn whether, not why')
  const closed = await injectable(t, { inspect: { open: [] } })
  t.equal(await code(closed, {}, '10.0.0.9', '/_upstreams/ready'), 404)
  const everyone = await injectable(t, { inspect: { access: 'all', path: '/status' } })
  t.equal(await code(everyone, { host: 'any.example' }, '10.0.0.9', '/status'), 200)
  t.match((await everyone.inject({ url: '/status/ready', remoteAddress: '10.0.0.9' })).json(), { registry: {} })
  t.equal(await code(everyone, {}, '127.0.0.1', '/_upstreams'), 404)
  const hooked = await injectable(t, { inspect: { onRequest: (request, reply, done) => { if (request.headers.authorization === 'let me') done(); else reply.code(401).send() } } })
  t.equal(await code(hooked, {}, '10.0.0.9'), 401)
  t.equal(await code(hooked, { authorization: 'let me' }, '10.0.0.9'), 200)
  t.same((await hooked.inject({ url: '/_upstreams/ready', remoteAddress: '10.0.0.9' })).json(), { ready: true })
  const off = await injectable(t, { inspect: false })
  t.equal(await code(off, {}), 404)
})

t.test('the settings, but no private key', async t => {
  const [ca, cert, key] = [pem('ca.pem'), pem('client.pem'), pem('client.key')]
  const rows: Array<[object, object]> = [
    [{}, { rejectUnauthorized: true, ca: null, cert: null, key: null, serverName: null }],
    [{ ca, cert, key }, { ca, cert, key: '[hidden]' }],
    [{ ca: `${ca}${key}`, cert: `${cert}${key}`, key }, { ca: '[hidden]', cert: '[hidden]', key: '[hidden]' }]
  ]
  for (const [tls, shown] of rows) {
    const app = await injectable(t, { tls, retry: { attempts: 1 } })
    const answer = await app.inject('/_upstreams/services/shop')
    t.match(answer.json().settings, { tls: shown, retry: { attempts: 1, bodyBytes: 65536 }, pool: { allowH2: false } })
    t.notOk(answer.body.includes(key.split('\n')[1] ?? ''))
  }
})

t.test('by HTTP/2 the name is that of :authority', async t => {
  const app = Fastify({ http2: true })
  t.teardown(async () => await app.close())
  await app.register(upstreamEtcd, { peers: {} })
  const { port } = new URL(await app.listen({ port: 0, host: '127.0.0.1' }))
  const session = connect(`http://127.0.0.1:${port}`)
  t.teardown(() => { session.destroy() })
  const statusOf = async (headers: Record<string, string>): Promise<unknown> => {
    const stream = session.request({ ':path': '/_upstreams', ...headers })
    const [answer] = await once(stream, 'response')
    stream.close()
    return answer[':status']
  }
  const here = `127.0.0.1:${port}`
  t.equal(await statusOf({}), 200)
  t.equal(await statusOf({ ':authority': 'localhost' }), 200)
  t.equal(await statusOf({ ':authority': 'evil.example' }), 404)
  t.equal(await statusOf({ ':authority': here, host: 'evil.example' }), 404)
  t.equal(await statusOf({ ':authority': 'evil.example', host: here }), 404)
  t.equal(await statusOf({ 'x-forwarded-for': '1.2.3.4' }), 404)
})
