import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import httpProxy from '@fastify/http-proxy'
import Fastify from 'fastify'
import t from 'tap'
import { interceptors, request, WebSocket, type Dispatcher } from 'undici'
import { WebSocketServer } from 'ws'
import upstreamEtcd from '../../lib/index.js'
import { startGateway } from '../fixtures/gateway.js'
import { refusedPort, startPeer, type TestPeer } from '../fixtures/peer.js'
import { until } from '../fixtures/wait.js'

/** The second in which requests end is over: a report reaches to the last full one. */
async function secondOver (): Promise<void> {
  const second = Math.floor(Date.now() / 1000)
  await until(() => Math.floor(Date.now() / 1000) > second, { what: 'the next second' })
}

const of = (...ids: string[]): Record<string, object> => Object.fromEntries(ids.map(id => [id, {}]))

t.test('a route that asks a service: proxied and own requests are one count, equal to the peers\'', async t => {
  const peers: TestPeer[] = [await startPeer(t), await startPeer(t, { status: 404 })]
  const { app, send } = await startGateway(t, {
    peers: { shop: of(...peers.map(({ id }) => id), `127.0.0.1:${await refusedPort()}`) },
    routes: [{ prefix: '/shop', service: 'shop' }],
    outlier: false
  }, app => {
    app.get('/own', async () => {
      const { statusCode, body } = await request(app.upstreams.origin('shop'), { dispatcher: app.upstreams.dispatcher })
      return { status: statusCode, text: await body.text() }
    })
  })
  const answers = await Promise.all(Array.from({ length: 60 }, (_, i) => send(i % 2 === 0 ? '/own' : '/shop')))
  t.ok(answers.every(({ status }) => status === 200 || status === 404), 'the one that is dead costs nobody a request')
  await secondOver()
  t.equal(peers.reduce((sum, { hits }) => sum + hits, 0), 60)
  const { statistics } = app.upstreams.report('shop')
  for (const { id, hits, counts } of peers) {
    t.same(statistics.find(({ peer }) => peer === id)?.stat, [...counts].map(([code, count]) => ({ code, count })), `${hits} at ${id}`)
  }
  t.ok(Math.abs(app.upstreams.tps(10) * 10 - 60) < 1e-6, 'client requests, not attempts')
})

t.test('a peer is killed among requests, and none of them fails', async t => {
  const peers: TestPeer[] = [await startPeer(t, { delay: 5 }), await startPeer(t, { delay: 5 }), await startPeer(t, { delay: 5 })]
  const { app } = await startGateway(t, { peers: { shop: of(...peers.map(({ id }) => id)) } })
  const statuses = new Map<number, number>()
  const lanes = Array.from({ length: 8 }, async () => {
    for (let i = 0; i < 40; i++) {
      const { statusCode, body } = await request(app.upstreams.origin('shop'), { dispatcher: app.upstreams.dispatcher })
      await body.dump()
      statuses.set(statusCode, (statuses.get(statusCode) ?? 0) + 1)
    }
  })
  await until(() => (peers[0]?.hits ?? 0) > 20, { what: 'the middle' })
  await peers[0]?.kill()
  await Promise.all(lanes)
  t.same([...statuses], [[200, 320]])
})

t.test('@fastify/http-proxy', async t => {
  const seen: string[] = []
  const echo = await startPeer(t, {
    handler: (request, response) => {
      const chunks: Buffer[] = []
      request.on('data', chunk => chunks.push(chunk))
      request.on('end', () => {
        seen.push(String(request.headers.host))
        if (request.url?.startsWith('/api/503')) response.writeHead(503, { 'retry-after': '1' }).end('unable')
        else response.end(`${request.method} ${request.url} ${Buffer.concat(chunks).length}`)
      })
    }
  })
  const gateway = await startGateway(t, { peers: { 'team/Orders': of(echo.id, `127.0.0.1:${await refusedPort()}`), gone: {} }, services: { gone: {} } }, app => {
    const { dispatcher } = app.upstreams
    const replyOptions = {
      // A 503 is the service's answer: it was tried on another peer, if there is one.
      retryDelay: () => null,
      onError: (reply: { send: (error: unknown) => unknown }, { error }: { error: Error }) => { reply.send(error.cause ?? error) }
    }
    for (const [prefix, service] of [['/orders', 'team/Orders'], ['/gone', 'gone'], ['/unknown', 'unknown']] as const) {
      app.register(httpProxy, { prefix, upstream: app.upstreams.origin(service), rewritePrefix: '/api', undici: dispatcher, destroyAgent: true, replyOptions })
    }
  })
  for (let i = 0; i < 4; i++) t.match(await gateway.send('/orders/x?y=z'), { status: 200, body: 'GET /api/x?y=z 0' })
  for (let i = 0; i < 4; i++) t.match(await gateway.send('/orders/x', { method: 'POST', body: Buffer.alloc(100_000), headers: { 'content-type': 'application/octet-stream' } }), { status: 200, body: 'POST /api/x 100000' })
  t.same(new Set(seen), new Set([echo.id]))
  t.match(await gateway.send('/orders/503'), { status: 503, body: 'unable' })
  t.equal(echo.hits, 9)
  t.match(await gateway.send('/gone/x'), { status: 503, headers: { 'retry-after': '1' }, body: /FST_UPSTREAM_NO_PEER/ })
  t.match(await gateway.send('/unknown/x'), { status: 404, body: /FST_UPSTREAM_UNKNOWN_SERVICE/ })
  const { services } = gateway.app.upstreams.status()
  t.match(services.find(({ name }) => name === 'team/Orders'), { inflight: 0 })
  // Its onClose destroys the dispatcher it was given; that must not be in the way of ours.
  await gateway.app.close()
})

t.test('interceptors of undici\'s', async t => {
  const peer = await startPeer(t, {
    handler: (request, response) => {
      if (request.url === '/from') response.writeHead(302, { location: '/to' }).end('moved')
      else if (request.url === '/out') response.writeHead(302, { location: 'http://example.com/' }).end()
      else if (request.url === '/429' && peer.hits % 3 !== 0) response.writeHead(429).end('later')
      else response.end(`at ${request.url}`)
    }
  })
  const app = Fastify()
  t.teardown(async () => await app.close())
  await app.register(upstreamEtcd, { peers: { shop: of(peer.id) } })
  await app.ready()
  const origin = app.upstreams.origin('shop')
  const ask = async (dispatcher: Dispatcher, path: string): Promise<string> => {
    const { statusCode, body } = await request(origin + path, { dispatcher })
    return `${statusCode} ${await body.text()}`
  }
  const redirects = app.upstreams.dispatcher.compose(interceptors.redirect({ maxRedirections: 3 }))
  t.equal(await ask(app.upstreams.dispatcher, '/from'), '302 moved')
  t.equal(await ask(redirects, '/from'), '200 at /to')
  t.equal(await (await fetch(`${origin}/from`, { dispatcher: app.upstreams.dispatcher } as unknown as RequestInit)).text(), 'at /to', 'fetch has its own')
  await t.rejects(ask(redirects, '/out'), { code: 'FST_UPSTREAM_BAD_OPTION' }, 'never to a foreign host')
  await redirects.close()
  await redirects.destroy()
  const hits = peer.hits
  const retries = app.upstreams.dispatcher.compose(interceptors.retry({ minTimeout: 1, maxRetries: 3, statusCodes: [429] }))
  t.equal(await ask(retries, '/429'), '200 at /429')
  t.ok(peer.hits > hits)
  t.equal(await ask(app.upstreams.dispatcher.compose(interceptors.dump(), interceptors.responseError()), '/'), '200 ')
})

/** A peer that upgrades to a protocol which sends everything back; 403 for whoever asks for /no. */
async function startUpgrading (t: Parameters<typeof startPeer>[0]): Promise<string> {
  const server = createServer()
  const sockets = new WebSocketServer({ noServer: true })
  const open = new Set<Duplex>()
  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    open.add(socket)
    if (request.url === '/no') socket.end('HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno')
    else if (request.headers.upgrade === 'echo') {
      socket.write('HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\nfirst')
      socket.pipe(socket)
    } else sockets.handleUpgrade(request, socket, head, client => client.on('message', message => client.send(`${message}!`)))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    for (const socket of open) socket.destroy()
    server.close()
  })
  return `127.0.0.1:${(server.address() as { port: number }).port}`
}

t.test('upgrades: balanced, failed over, in flight until they close', async t => {
  const app = Fastify()
  t.teardown(async () => await app.close())
  await app.register(upstreamEtcd, { peers: { echo: of(await startUpgrading(t), `127.0.0.1:${await refusedPort()}`) } })
  await app.ready()
  const { dispatcher } = app.upstreams
  const origin = app.upstreams.origin('echo')
  const inflight = (): number | undefined => app.upstreams.status().services[0]?.inflight
  for (let i = 0; i < 2; i++) {
    const { socket, headers } = await dispatcher.upgrade({ origin, path: '/', protocol: 'echo' } as Dispatcher.UpgradeOptions)
    t.equal(headers.upgrade, 'echo')
    t.equal(inflight(), 1)
    socket.write(' second')
    let text = ''
    socket.on('data', chunk => { text += chunk })
    await until(() => text === 'first second', { what: 'both parts' })
    socket.end()
    await until(() => inflight() === 0, { what: 'the end' })
  }
  const client = new WebSocket(origin.replace('http:', 'ws:'), { dispatcher })
  t.teardown(() => client.close())
  await new Promise(resolve => client.addEventListener('open', resolve, { once: true }))
  t.equal(inflight(), 1)
  const told = new Promise<string>(resolve => client.addEventListener('message', ({ data }) => resolve(String(data)), { once: true }))
  client.send('hello')
  t.equal(await told, 'hello!')
  client.close()
  await until(() => inflight() === 0, { what: 'the end' })

  await t.rejects(dispatcher.upgrade({ origin, path: '/no', protocol: 'echo' } as Dispatcher.UpgradeOptions), { code: 'UND_ERR_SOCKET' }, 'undici says "bad upgrade"')
  await t.rejects(dispatcher.upgrade({ origin: app.upstreams.origin('none'), path: '/', protocol: 'echo' } as Dispatcher.UpgradeOptions), { code: 'FST_UPSTREAM_UNKNOWN_SERVICE' })
  // Handlers that cannot take what they ask for.
  for (const handler of [{ onRequestStart () {} }, { onConnect () {} }, { onRequestStart () {}, onRequestUpgrade () { throw new Error('mine') } }]) {
    const error = await new Promise<Error>(resolve => {
      const tell = { onResponseError: (_controller: unknown, error: Error) => resolve(error), onError: resolve }
      dispatcher.dispatch({ origin, path: '/', method: 'GET', upgrade: 'echo' }, { ...handler, ...tell })
    })
    t.match(error.message, /invalid on(RequestUpgrade|Upgrade) method|mine/)
    await until(() => inflight() === 0, { what: 'the end' })
  }
})

t.test('origin', async t => {
  const app = Fastify()
  t.teardown(async () => await app.close())
  const odd = await startPeer(t)
  const names = ['team/a', 'Größe', 'a..b', '-', 'xn--a', '100%', 'a b', '订单']
  await app.register(upstreamEtcd, { peers: Object.fromEntries(names.map(name => [name, of(odd.id)])), services: { 'by/route': {} } })
  await app.ready()
  for (const name of names) {
    const answer = await fetch(`${app.upstreams.origin(name)}/x`, { dispatcher: app.upstreams.dispatcher } as unknown as RequestInit)
    t.equal(answer.status, 200, name)
  }
  t.equal(app.upstreams.origin('my_test_service'), 'http://my_test_service.upstream')
  t.throws(() => app.upstreams.origin(1 as never), { code: 'FST_UPSTREAM_BAD_OPTION' })
  const ask = (name: string) => request(app.upstreams.origin(name), { dispatcher: app.upstreams.dispatcher })
  await t.rejects(ask('by/route'), { code: 'FST_UPSTREAM_NO_PEER' })
  await t.rejects(ask('team'), { code: 'FST_UPSTREAM_UNKNOWN_SERVICE' })
  await app.close()
  await t.rejects(ask('team/a'), { code: 'FST_UPSTREAM_NO_PEER' }, 'the gateway is closed')
})

t.test('before the registry was read', async t => {
  const app = Fastify()
  t.teardown(async () => await app.close())
  await app.register(upstreamEtcd, { etcd: `http://127.0.0.1:${await refusedPort()}`, start: { wait: 1 } })
  await app.ready()
  await t.rejects(request(app.upstreams.origin('any'), { dispatcher: app.upstreams.dispatcher }), { code: 'FST_UPSTREAM_NOT_READY' })
})
