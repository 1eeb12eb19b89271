import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { connect } from 'node:net'
import { once } from 'node:events'
import replyFrom from '@fastify/reply-from'
import Fastify from 'fastify'
import t from 'tap'
import upstreamEtcd from '../../lib/index.js'
import { startGateway, type TestGateway } from '../fixtures/gateway.js'
import { refusedPort, startPeer, type TestPeer } from '../fixtures/peer.js'
import { until } from '../fixtures/wait.js'

const routes = [{ prefix: '/shop', service: 'shop' }]
const of = (...peers: Array<{ id: string } | string>) => ({ shop: Object.fromEntries(peers.map(peer => [typeof peer === 'string' ? peer : peer.id, {}])) })

/** Answers with what it was sent. */
async function startEcho (t: Parameters<typeof startPeer>[0]): Promise<TestPeer> {
  return await startPeer(t, {
    handler: (request, response) => {
      const chunks: Buffer[] = []
      request.on('data', chunk => chunks.push(chunk))
      request.on('end', () => {
        response.setHeader('content-type', 'application/json')
        response.setHeader('keep-alive', 'timeout=99')
        response.setHeader('set-cookie', ['a=1', 'b=2'])
        response.end(JSON.stringify({ method: request.method, url: request.url, headers: request.headers, body: Buffer.concat(chunks).toString() }))
      })
    }
  })
}

/** Bytes as no client library would send them, and all that comes back until the connection closes. */
async function raw (gateway: TestGateway, head: string): Promise<string> {
  const client = connect(Number(gateway.url.split(':')[2]), '127.0.0.1')
  client.write(`${head}\r\n\r\n`)
  let answer = ''
  for await (const chunk of client) answer += String(chunk)
  return answer
}

t.test('paths: the prefix comes off, the rest stays byte for byte', async t => {
  const echo = await startEcho(t)
  const gateway = await startGateway(t, {
    peers: of(echo),
    routes: [...routes, { prefix: '/old/api', service: 'shop', rewritePrefix: '/v2' }, { prefix: '/slash/', service: 'shop', rewritePrefix: '/x/' }]
  })
  const url = async (path: string): Promise<unknown> => JSON.parse((await gateway.send(path)).body).url
  const table = [
    ['/shop', '/'], ['/shop/', '/'], ['/shop?q=1', '/?q=1'], ['/shop/a/b', '/a/b'], ['/shop/a%20b%2Fc?x=%41&y', '/a%20b%2Fc?x=%41&y'],
    ['/shop/a+b/%E2%82%AC', '/a+b/%E2%82%AC'], ['/old/api/items?p=2', '/v2/items?p=2'], ['/old/api', '/v2'], ['/slash/z', '/x/z'],
    ['/sh%6Fp/z', '/z']
  ] as const
  for (const [path, expected] of table) t.equal(await url(path), expected, path)
  t.equal((await gateway.send('/shopping')).status, 404, 'a prefix ends at a slash')
  for (const path of ['/shop/..%2fetc', '/shop/%2e%2e/etc', '/shop/../etc', '/shop/%', '/shop/\\evil']) {
    t.match(await raw(gateway, `GET ${path} HTTP/1.1\r\nhost: x\r\nconnection: close`), /^HTTP\/1\.1 400 /, path)
  }
  t.equal(echo.requests.some(({ url }) => url.includes('etc') || url.includes('evil')), false)
})

t.test('bodies and headers', async t => {
  const echo = await startEcho(t)
  const gateway = await startGateway(t, { peers: of(echo), routes })
  for (const method of ['POST', 'PUT', 'PATCH', 'DELETE'] as const) {
    const { status, body } = await gateway.send('/shop/x', { method, body: '{"broken', headers: { 'content-type': 'application/json' } })
    t.match({ status, ...JSON.parse(body) }, { status: 200, method, body: '{"broken' }, `${method}: a body is not looked at`)
  }
  const stream = async function * () { for (let i = 0; i < 64; i++) yield Buffer.alloc(16_384, 'x') }
  const large = await gateway.send('/shop/x', { method: 'POST', body: stream() })
  t.equal(JSON.parse(large.body).body.length, 1024 * 1024, 'a streamed megabyte')
  t.equal((await gateway.send('/shop/x', { method: 'HEAD' })).body, '')

  const answer = await raw(gateway, 'GET /shop/x HTTP/1.1\r\nhost: raw\r\nte: trailers\r\nconnection: close, x-mine\r\nx-mine: 1\r\nx-other: 2\r\nproxy-connection: keep-alive')
  t.notMatch(answer, /keep-alive: timeout=99/i, 'a peer does not speak of our connection')
  const seen = JSON.parse(/\{.*\}/.exec(answer)?.[0] ?? '{}').headers
  const { headers } = await gateway.send('/shop/x')
  t.same(headers['set-cookie'], ['a=1', 'b=2'])
  t.match(seen, { host: 'raw', 'x-other': '2', 'x-forwarded-for': '127.0.0.1', 'x-forwarded-proto': 'http', 'x-forwarded-host': 'raw' })
  for (const name of ['te', 'x-mine', 'proxy-connection']) t.notOk(name in seen, name)
})

t.test('the Host header and the forwarded headers, as the options say', async t => {
  const echo = await startEcho(t)
  const seen = async (options: object, server: object, headers: Record<string, string>) => {
    const gateway = await startGateway(t, { peers: of(echo), routes, ...options }, () => {}, server)
    return JSON.parse((await gateway.send('/shop', { headers })).body).headers
  }
  const claims = { 'x-forwarded-for': '1.2.3.4', 'x-forwarded-proto': 'https', 'x-forwarded-host': 'shop.example' }
  t.match(await seen({ host: 'peer' }, {}, {}), { host: echo.id })
  t.match(await seen({ host: 'literal.example:8080' }, {}, {}), { host: 'literal.example:8080' })
  t.match(await seen({}, {}, { host: 'asked.example' }), { host: 'asked.example', 'x-forwarded-host': 'asked.example' })
  t.match(await seen({}, {}, claims), { 'x-forwarded-for': '127.0.0.1', 'x-forwarded-proto': 'http' }, 'who is not trusted is replaced')
  t.match(await seen({}, { trustProxy: true }, claims), { 'x-forwarded-for': '1.2.3.4, 127.0.0.1', 'x-forwarded-proto': 'https', 'x-forwarded-host': 'shop.example' })
  t.match(await seen({}, { trustProxy: '10.0.0.1' }, claims), { 'x-forwarded-for': '127.0.0.1', 'x-forwarded-proto': 'http' })
  t.same(Object.keys(await seen({ forwarded: false }, {}, {})).filter(name => name.startsWith('x-forwarded')), [])
})

t.test('reply.forward: in any handler, with its options', async t => {
  const echo = await startEcho(t)
  const wrong: Array<[object, RegExp]> = [
    [{ onResponse: 5 }, /"onResponse" must be a function, got 5/],
    [{ path: 5 }, /"path"/],
    [{ path: '/a\r\nb' }, /"path".*control/],
    [{ headers: 5 }, /"headers"/],
    [{ query: 5 }, /"query"/],
    [{ pth: '/x' }, /unknown option "pth" of reply.forward, known: path/]
  ]
  const gateway = await startGateway(t, { peers: of(echo) }, app => {
    for (const [i, [options]] of wrong.entries()) app.get(`/wrong/${i}`, (_request, reply) => reply.forward('shop', options))
    app.post('/parsed', (_request, reply) => reply.forward('shop'))
    app.get('/options', (_request, reply) => reply.forward('shop', { path: '/else', query: { a: '1', b: ['2', '3'] }, headers: { 'x-added': 'yes', accept: undefined } }))
    app.get('/text', (_request, reply) => reply.forward('shop', { path: '/else', query: '?raw=%20' }))
    app.get('/own', (_request, reply) => reply.forward('shop', { onResponse: (_request, reply, response) => { reply.code(202).send({ was: (response as unknown as { statusCode: number }).statusCode }) } }))
    app.get('/bad', (_request, reply) => reply.forward('shop', { path: 'relative' }))
    app.get('/late', (_request, reply) => reply.forward('shop', { timeout: -1 }))
    app.get('/none', (_request, reply) => reply.forward('nobody'))
  })
  const json = async (path: string) => JSON.parse((await gateway.send(path)).body)
  const parsed = await gateway.send('/parsed?x=1', { method: 'POST', body: '{"a": 1}', headers: { 'content-type': 'application/json' } })
  t.match(JSON.parse(parsed.body), { method: 'POST', url: '/parsed?x=1', body: '{"a":1}' })
  const options = await json('/options?mine=1')
  t.match(options, { url: '/else?a=1&b=2&b=3', headers: { 'x-added': 'yes' } })
  t.notOk('accept' in options.headers)
  t.match(await json('/text'), { url: '/else?raw=%20' })
  t.match(await gateway.send('/own'), { status: 202, body: '{"was":200}' })
  t.match(await json('/bad'), { code: 'FST_UPSTREAM_BAD_OPTION', message: /option "path" must be a string that begins with "\/"/ })
  t.match(await json('/late'), { code: 'FST_UPSTREAM_BAD_OPTION', message: /"timeout"/ })
  for (const [i, [, message]] of wrong.entries()) t.match(await json(`/wrong/${i}`), { code: 'FST_UPSTREAM_BAD_OPTION', message })
  t.match(await json('/none'), { statusCode: 404, code: 'FST_UPSTREAM_UNKNOWN_SERVICE' })
})

t.test('request.upstream tells what was tried', async t => {
  const echo = await startEcho(t)
  const refused = `127.0.0.1:${await refusedPort()}`
  const told: unknown[] = []
  const gateway = await startGateway(t, { peers: of(refused, echo), routes, outlier: false }, app => {
    app.addHook('onResponse', async request => { told.push(request.upstream) })
    app.get('/own', async () => 'own')
  })
  await gateway.sendMany(2, '/shop')
  await gateway.send('/own')
  await until(() => told.length === 3, { what: 'three requests' })
  const [longer] = told.filter(upstream => (upstream as { attempts: unknown[] } | null)?.attempts.length === 2)
  t.match(longer, { service: 'shop', peer: echo.id, attempts: [{ peer: refused, error: 'connect', ms: Number }, { peer: echo.id, status: 200, ms: Number }] })
  t.equal(told[2], null)
})

t.test('errors: 502, 503, 504, never 500, and no address', async t => {
  const hang = await startPeer(t, { handler: () => {} })
  const reset = await startPeer(t, { handler: request => { request.socket.resetAndDestroy() } })
  const garbage = createServer()
  garbage.on('connection', socket => { socket.end('HTTP/1.1 banana\r\n\r\n') })
  garbage.listen(0, '127.0.0.1')
  await once(garbage, 'listening')
  t.teardown(() => garbage.close())
  const { port } = garbage.address() as { port: number }
  const table = [
    [hang.id, { headers: 50 }, 504, 'FST_UPSTREAM_TIMEOUT'],
    [hang.id, { total: 50 }, 504, 'FST_UPSTREAM_TIMEOUT'],
    [reset.id, {}, 502, 'FST_UPSTREAM_RESET'],
    [`127.0.0.1:${port}`, {}, 502, 'FST_UPSTREAM_RESET'],
    [`127.0.0.1:${await refusedPort()}`, {}, 502, 'FST_UPSTREAM_CONNECT'],
    // Discard-only (RFC 6666) or unroutable: no connection within the time.
    ['192.0.2.1:81', { connect: 100, total: 5000 }, 502, 'FST_UPSTREAM_CONNECT']
  ] as const
  for (const [id, timeouts, statusCode, code] of table) {
    const gateway = await startGateway(t, { peers: of(id), routes, timeouts })
    const { status, body } = await gateway.send('/shop')
    t.equal(status, statusCode, code)
    t.match(JSON.parse(body), { statusCode, code, error: String, message: /"shop"/ })
    t.notMatch(body, /127\.0\.0\.1|192\.0\.2\.1/)
    t.match(gateway.app.upstreams.status().services[0], { inflight: 0 })
  }
})

t.test('a peer by TLS must have a certificate that is trusted', async t => {
  const pem = (name: string) => readFileSync(new URL(`../fixtures/tls/${name}`, import.meta.url))
  const server = createTlsServer({ cert: pem('server.pem'), key: pem('server.key') }, (_request, response) => { response.end() })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  const { port } = server.address() as { port: number }
  const gateway = await startGateway(t, { peers: { shop: { [`127.0.0.1:${port}`]: { scheme: 'https', checkurl: '/up' } } }, routes, check: { interval: 30, fall: 1 }, panic: 0 })
  await until(() => gateway.app.upstreams.status().services[0]?.peers[0]?.state === 'down', { what: 'the failed check' })
  t.match(gateway.app.upstreams.status().services[0]?.peers[0]?.reason, /GET \/up: unable to (?:verify|get local)/)
  const blind = await startGateway(t, { peers: { shop: { [`127.0.0.1:${port}`]: { scheme: 'https' } } }, routes })
  t.match(JSON.parse((await blind.send('/shop')).body), { statusCode: 502, code: 'FST_UPSTREAM_CONNECT' })
})

t.test('no peer, everyone at its bound, shed', async t => {
  const slow = await startPeer(t, { delay: 300 })
  const gateway = await startGateway(t, {
    peers: { shop: { [slow.id]: { max_inflight: 1 } }, out: { '127.0.0.1:1': { status: 'down' } } },
    routes: [...routes, { prefix: '/out', service: 'out' }, { prefix: '/empty', service: 'empty' }]
  })
  const [first, second] = await Promise.all([gateway.send('/shop'), gateway.send('/shop')])
  t.same([first.status, second.status].sort(), [200, 503])
  t.match([first, second].find(({ status }) => status === 503), { headers: { 'retry-after': '1' }, body: /FST_UPSTREAM_QUEUE_FULL/ })
  for (const path of ['/out', '/empty']) t.match(await gateway.send(path), { status: 503, headers: { 'retry-after': '1' }, body: /FST_UPSTREAM_NO_PEER/ })
  t.match(gateway.app.upstreams.status().services, [{ name: 'empty', state: 'empty' }, { name: 'out', state: 'empty', reason: /on purpose/ }, { name: 'shop' }])

  slow.setDelay(0)
  gateway.app.upstreams.shed('shop', 0.3)
  const answers = await gateway.sendMany(20, '/shop')
  t.equal(answers.filter(({ status }) => status === 503).length, 6, '30 % of 20')
  t.match(answers.find(({ status }) => status === 503), { headers: { 'retry-after': '1' }, body: /FST_UPSTREAM_SHED/ })
  gateway.app.upstreams.shed('shop', 0)
  t.same(new Set((await gateway.sendMany(10, '/shop')).map(({ status }) => status)), new Set([200]))
})

t.test('one deadline covers all attempts', async t => {
  const hang = await startPeer(t, { handler: () => {} })
  const refused = [`127.0.0.1:${await refusedPort()}`, `127.0.0.1:${await refusedPort()}`]
  const gateway = await startGateway(t, { peers: of(...refused, hang), routes, timeouts: { total: 150 }, outlier: false })
  const started = performance.now()
  const answers = await Promise.all(Array.from({ length: 6 }, async () => await gateway.send('/shop')))
  t.same(answers.map(({ status }) => status), [504, 504, 504, 504, 504, 504])
  t.ok(performance.now() - started < 5000, 'not the 30 s of one attempt')
})

t.test('a client that leaves ends the attempt at once', async t => {
  let left = 0
  const hang = await startPeer(t, { handler: (request, response) => { response.once('close', () => { left++ }); request.resume() } })
  const gateway = await startGateway(t, { peers: of(hang), routes })
  const clients = Array.from({ length: 20 }, () => {
    const socket = connect(Number(gateway.url.split(':')[2]), '127.0.0.1')
    socket.write('GET /shop HTTP/1.1\r\nhost: x\r\n\r\n')
    return socket
  })
  await until(() => hang.hits === 20, { what: 'twenty requests' })
  for (const client of clients) client.destroy()
  await until(() => left === 20, { what: 'the end of them at the peer', timeout: 1000 })
  const [peer] = gateway.app.upstreams.status().services[0]?.peers ?? []
  t.match(peer, { inflight: 0, errors: { aborted: 20, reset: 0 }, state: 'healthy' })
})

t.test('a response cut short resets the client', async t => {
  const cut = await startPeer(t, {
    handler: (request, response) => {
      response.writeHead(200, { 'content-length': '1000' })
      response.write('half', () => request.socket.destroy())
    }
  })
  const gateway = await startGateway(t, { peers: of(cut), routes })
  await t.rejects(gateway.send('/shop'), 'never looks complete')
  await until(() => gateway.app.upstreams.status().services[0]?.peers[0]?.errors.reset === 1, { what: 'the reset that is counted' })
})

t.test('a body that stops coming is timed out; one that flows slowly is not', async t => {
  const drip = await startPeer(t, {
    handler: (request, response) => {
      response.writeHead(200)
      let left = request.url === '/stall' ? 1 : 8
      const timer = setInterval(() => {
        if (left-- > 0) response.write('x')
        else if (request.url !== '/stall') response.end()
      }, 60)
      response.once('close', () => clearInterval(timer))
    }
  })
  const gateway = await startGateway(t, { peers: of(drip), routes, timeouts: { body: 300, total: 200 } })
  t.match(await gateway.send('/shop/drip'), { status: 200, body: 'xxxxxxxx' })
  await t.rejects(gateway.send('/shop/stall'))
  await until(() => gateway.app.upstreams.status().services[0]?.peers[0]?.errors.timeout === 1, { what: 'the time-out that is counted' })
})

t.test('routes: methods, hooks, constraints, a service by request', async t => {
  const echo = await startEcho(t)
  const gateway: TestGateway = await startGateway(t, {
    peers: of(echo),
    routes: [
      { prefix: '/only', service: 'shop', methods: ['POST'] },
      { prefix: '/guarded', service: 'shop', onRequest: (request, reply, done) => { if (request.headers['x-key'] === 'k') done(); else reply.code(401).send() } },
      { prefix: '/byhost', service: request => request.host.split('.')[0] ?? '' },
      { prefix: '/v', service: 'shop', rewritePrefix: '/one', constraints: { host: 'one.example' } },
      { prefix: '/v', service: 'shop', rewritePrefix: '/two', constraints: { host: 'two.example' } }
    ]
  })
  t.equal((await gateway.send('/only')).status, 404)
  t.equal((await gateway.send('/only', { method: 'POST' })).status, 200)
  t.equal((await gateway.send('/guarded')).status, 401)
  t.equal((await gateway.send('/guarded', { headers: { 'x-key': 'k' } })).status, 200)
  t.equal((await gateway.send('/byhost', { headers: { host: 'shop.example' } })).status, 200)
  t.equal((await gateway.send('/byhost', { headers: { host: 'toString.example' } })).status, 404)
  t.equal(JSON.parse((await gateway.send('/v/x', { headers: { host: 'two.example' } })).body).url, '/two/x')
})

t.test('a user\'s own reply.from and own errors stay what they are', async t => {
  const echo = await startEcho(t)
  const app = Fastify()
  t.teardown(async () => await app.close())
  await app.register(replyFrom, { base: echo.url })
  await app.register(upstreamEtcd, { peers: of(echo) })
  app.get('/theirs', (_request, reply) => reply.from('/theirs'))
  app.get('/ours', (_request, reply) => reply.forward('shop', { path: '/ours' }))
  t.equal((await app.inject('/theirs')).json().url, '/theirs')
  t.equal((await app.inject('/ours')).json().url, '/ours')
})

t.test('an answer that breaks while hooks still work on its headers', async t => {
  let seen = 0
  const half = await startPeer(t, {
    handler: (request, response) => {
      seen++
      response.writeHead(200, { 'content-length': '1000' })
      response.write('half', () => { if (request.url === '/reset') setImmediate(() => request.socket.resetAndDestroy()) })
    }
  })
  let release: () => void = () => {}
  const held = new Promise<void>(resolve => { release = resolve })
  const gateway = await startGateway(t, { peers: of(half), routes, outlier: false }, app => {
    app.addHook('onSend', async (_request, _reply, payload) => { await held; return payload })
  })
  const errors = () => gateway.app.upstreams.status().services[0]?.peers[0]?.errors
  const reset = gateway.send('/shop/reset').catch(() => 'reset')
  await until(() => errors()?.reset === 1, { what: 'the reset' })
  const leave = new AbortController()
  const left = fetch(`${gateway.url}/shop/left`, { signal: leave.signal }).catch(() => 'left')
  await until(() => seen === 2, { what: 'the second request' })
  leave.abort()
  t.equal(await left, 'left')
  await until(() => errors()?.aborted === 1, { what: 'the client that left' })
  release()
  t.not(await reset, undefined, 'and the process is alive')
  t.equal(gateway.app.upstreams.status().services[0]?.inflight, 0)
})

t.test('an onResponse that throws, and a status that does not exist', async t => {
  const odd = createServer()
  odd.on('connection', socket => { socket.once('data', () => { socket.write(`HTTP/1.1 700 Odd\r\ncontent-length: 100000\r\n\r\n${'x'.repeat(50_000)}`) }) })
  odd.listen(0, '127.0.0.1')
  await once(odd, 'listening')
  t.teardown(() => { odd.close(); odd.closeAllConnections() })
  const echo = await startEcho(t)
  const gateway = await startGateway(t, { peers: { ...of(echo), odd: { [`127.0.0.1:${(odd.address() as { port: number }).port}`]: { max_inflight: 1 } } }, routes: [{ prefix: '/odd', service: 'odd' }] }, app => {
    app.get('/throws', (_request, reply) => reply.forward('shop', { onResponse: () => { throw new Error('mine') } }))
    app.get('/rejects', (_request, reply) => reply.forward('shop', { onResponse: async () => { throw new Error('mine') } }))
    app.get('/late', (_request, reply) => reply.forward('shop', {
      onResponse: async (_request, reply, { stream }) => {
        reply.send(stream)
        await new Promise(resolve => reply.raw.once('close', resolve))
        throw new Error('late')
      }
    }))
  })
  t.match(await gateway.send('/throws'), { status: 500, body: /mine/ })
  t.match(await gateway.send('/rejects'), { status: 500, body: /mine/ })
  t.match(await gateway.send('/late'), { status: 200, body: /"method":"GET"/ })
  await until(() => gateway.app.upstreams.status().services.every(({ inflight }) => inflight === 0), { what: 'the end of the attempt' })
  for (let i = 0; i < 3; i++) t.match(await gateway.send('/odd'), { status: 502, body: /FST_UPSTREAM_RESET/ })
  t.match(gateway.app.upstreams.status().services.find(({ name }) => name === 'odd')?.peers[0], { inflight: 0, errors: { reset: 3 } })
})

t.test('several slashes that the router takes for one count as one', async t => {
  const echo = await startEcho(t)
  const gateway = await startGateway(t, { peers: of(echo), routes: [{ prefix: '/shop/api', service: 'shop' }] }, undefined, { routerOptions: { ignoreDuplicateSlashes: true } })
  for (const [asked, at] of [['/shop/api/x', '/x'], ['//shop///api/x', '/x'], ['/shop/api//x', '//x']] as const) {
    t.equal(JSON.parse((await gateway.send(asked)).body).url, at, asked)
  }
})

t.test('registered under a prefix, asked by a whole URL, and no way around rewritePrefix', async t => {
  const echo = await startEcho(t)
  const app = Fastify({ forceCloseConnections: true })
  t.teardown(async () => await app.close())
  await app.register(async child => {
    await child.register(upstreamEtcd, { peers: of(echo), routes: [{ prefix: '/shop', service: 'shop', rewritePrefix: '/v2/public' }] })
  }, { prefix: '/api' })
  const url = await app.listen({ port: 0, host: '127.0.0.1' })
  const ask = async (target: string) => await raw({ url } as TestGateway, `GET ${target} HTTP/1.1\r\nhost: x\r\nconnection: close`)
  t.match(await ask('/api/shop/hello'), /"url":"\/v2\/public\/hello"/)
  t.match(await ask('http://x/api/shop/hello?q=1'), /"url":"\/v2\/public\/hello\?q=1"/)
  for (const target of ['/api/shop/x\\..\\..\\..\\admin', '/api/shop/x\\admin']) t.match(await ask(target), /^HTTP\/1\.1 400 /, target)
  t.equal(echo.hits, 2)
})

t.test('parsed bodies of every kind, a service that is none, headers of strangers', async t => {
  const echo = await startEcho(t)
  const gateway = await startGateway(t, { peers: of(echo), routes: [{ prefix: '/header', service: request => request.headers['x-service'] as string }] }, app => {
    app.addContentTypeParser('application/vnd.api+json', { parseAs: 'string' }, (_request, text, done) => done(null, JSON.parse(String(text))))
    app.addContentTypeParser('application/odd', { parseAs: 'string' }, (_request, text, done) => done(null, { text }))
    app.post('/body', (_request, reply) => reply.forward('shop'))
  })
  const post = async (body: string, type: string) => await gateway.send('/body', { method: 'POST', body, headers: { 'content-type': type } })
  for (const body of ['null', 'false', '0', '""', '[1,{"a":null}]']) {
    t.match(JSON.parse((await post(body, 'application/json')).body), { body, headers: { 'content-type': 'application/json', 'content-length': String(body.length) } })
  }
  t.match(JSON.parse((await post('{"data":1}', 'application/vnd.api+json; charset=utf-8')).body), { body: '{"data":1}', headers: { 'content-type': 'application/vnd.api+json; charset=utf-8' } })
  for (const type of ['text/plain', 'text/plain; charset=utf-8']) {
    t.match(JSON.parse((await post('täxt', type)).body), { body: 'täxt', headers: { 'content-type': type, 'content-length': '5' } })
  }
  t.match(await post('x', 'application/odd'), { status: 500, body: /a parsed body of type .{1,4}application\/odd.{1,4} cannot be forwarded/ })
  t.match(await gateway.send('/header'), { status: 404, body: /FST_UPSTREAM_UNKNOWN_SERVICE/ })
  const { headers } = JSON.parse((await gateway.send('/header', { headers: { 'x-service': 'shop', 'x-forwarded-port': '99', 'x-forwarded-prefix': '/evil' } })).body)
  t.same(Object.keys(headers).filter(name => name.startsWith('x-forwarded')).sort(), ['x-forwarded-for', 'x-forwarded-host', 'x-forwarded-proto'])
})
