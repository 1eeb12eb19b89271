import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import type { Server } from 'node:http'
import { createSecureServer } from 'node:http2'
import { performance } from 'node:perf_hooks'
import t from 'tap'
import { WebSocketServer } from 'ws'
import { startGateway, type TestGateway } from '../fixtures/gateway.js'
import { refusedPort, startPeer } from '../fixtures/peer.js'
import { freePort } from '../fixtures/port.js'
import { portOf } from '../fixtures/raw.js'
import { agreed, asking, openWs, RawClient, refusal, startUpgradePeer, startWsPeer, WsClient, type UpgradePeer } from '../fixtures/upgrades.js'
import { until } from '../fixtures/wait.js'

const routes = [{ prefix: '/shop', service: 'shop', websocket: true }]
const of = (...peers: Array<{ id: string } | string>) => ({ shop: Object.fromEntries(peers.map(peer => [typeof peer === 'string' ? peer : peer.id, {}])) })
const inflight = ({ app }: TestGateway): number | undefined => app.upstreams.status().services[0]?.inflight
const over = (gateway: TestGateway) => until(() => inflight(gateway) === 0, { what: 'end of all that was in flight' })

t.test('a WebSocket goes through as it is', async t => {
  const peer = await startWsPeer(t)
  const gateway = await startGateway(t, { peers: of(peer), routes })
  const client = await openWs(t, `${gateway.url}/shop/a%20b?room=1`, ['chat', 'other'], { perMessageDeflate: true, headers: { 'x-request-id': 'abc', cookie: 'a=1' } })
  t.equal(await client.text(), `${peer.id}/a%20b?room=1`)
  t.equal(client.ws.protocol, 'chat')
  t.match(client.ws.extensions, /permessage-deflate/)
  t.match(peer.asked[0]?.headers, {
    host: gateway.url.slice(7), 'x-forwarded-for': '127.0.0.1', 'x-forwarded-proto': 'http', 'x-request-id': 'abc', cookie: 'a=1', connection: 'upgrade', upgrade: 'websocket'
  })
  t.equal(inflight(gateway), 1)

  client.ws.send('text')
  t.match(await client.next(), { data: Buffer.from('text'), isBinary: false })
  for (const size of [0, 1, 125, 126, 65_535, 65_536, 20 * 2 ** 20]) {
    const data = randomBytes(size)
    client.ws.send(data)
    const { data: back, isBinary } = await client.next()
    t.ok(isBinary && back.equals(data), `${size} bytes`)
  }
  client.ws.send('frag', { fin: false })
  client.ws.ping('in between')
  client.ws.send('mented', { fin: true })
  t.match(String((await once(client.ws, 'pong'))[0]), 'in between')
  t.equal(await client.text(), 'fragmented')

  client.ws.close(4321, 'enough')
  t.equal(await client.closed, 4321)
  await over(gateway)
  await until(() => peer.codes.length > 0)
  t.same(peer.codes, [4321])
})

t.test('counted once, as 101, until the connection closes', async t => {
  const peer = await startWsPeer(t)
  const seen: Array<[number, unknown]> = []
  const gateway = await startGateway(t, {
    peers: of(peer),
    timeouts: { headers: 100, body: 50, total: 100 },
    routes: [{ ...routes[0], prefix: '/shop', service: 'shop', onResponse: async (request, reply) => { seen.push([reply.statusCode, request.upstream]) } }]
  })
  const started = performance.now()
  const client = await openWs(t, `${gateway.url}/shop`)
  await client.next()
  // Longer than every time-out there is.
  await until(() => performance.now() - started > 300)
  client.ws.send('still there')
  t.equal(await client.text(), 'still there')
  client.ws.close()
  await client.closed
  await over(gateway)
  t.match(seen, [[101, { service: 'shop', peer: peer.id, attempts: [{ peer: peer.id, status: 101 }] }]], 'onResponse ran when it was answered')
  await until(() => gateway.app.upstreams.status().services[0]?.peers[0]?.responses['1xx'] === 1)
  const { statistics } = await until(() => {
    const report = gateway.app.upstreams.report('shop', { seconds: 5 })
    return report.statistics[0]?.stat.length === 1 && report
  })
  t.match(statistics, [{ peer: peer.id, stat: [{ code: '101', count: 1 }] }])
  t.ok(Number(statistics[0]?.rtsum) >= 0.2, `${statistics[0]?.rtsum} s`)
  t.equal(Math.round(gateway.app.upstreams.tps(5) * 5), 1)
})

t.test('balanced; a peer that refuses costs nobody anything', async t => {
  const peers = await Promise.all([startWsPeer(t), startWsPeer(t), startWsPeer(t)])
  const gateway = await startGateway(t, { peers: of(...peers), routes })
  const clients = []
  for (let i = 0; i < 30; i++) clients.push(await openWs(t, `${gateway.url}/shop`))
  t.same(peers.map(peer => peer.open.size), [10, 10, 10])
  t.same(gateway.app.upstreams.status().services[0]?.peers.map(({ inflight }) => inflight), [10, 10, 10])
  for (const { ws } of clients) ws.close()
  await over(gateway)

  await peers[1]?.kill()
  for (let i = 0; i < 12; i++) (await openWs(t, `${gateway.url}/shop`)).ws.close()
  await over(gateway)
  t.equal((peers[0]?.asked.length ?? 0) + (peers[2]?.asked.length ?? 0), 20 + 12)
})

t.test('nobody there: the answers that requests get', async t => {
  const refusing = await startGateway(t, { peers: of(`127.0.0.1:${await refusedPort()}`, `127.0.0.1:${await refusedPort()}`), routes })
  const { status, headers, body } = await refusal(`${refusing.url}/shop`)
  t.match({ status, headers }, { status: 502, headers: { connection: 'close', 'content-type': /json/ } })
  t.match(JSON.parse(body), { statusCode: 502, code: 'FST_UPSTREAM_CONNECT', error: 'Bad Gateway' })
  t.notMatch(body, '127.0.0.1')
  const empty = await startGateway(t, { peers: { shop: {} }, routes })
  const none = await refusal(`${empty.url}/shop`)
  t.match(none, { status: 503, headers: { 'retry-after': '1' } })
  t.match(JSON.parse(none.body), { code: 'FST_UPSTREAM_NO_PEER' })
})

t.test('hooks run, and may refuse', async t => {
  const peer = await startWsPeer(t)
  const gateway = await startGateway(t, {
    peers: of(peer),
    routes: [{
      prefix: '/shop',
      service: 'shop',
      websocket: true,
      onRequest: async (request, reply) => {
        if (request.headers.authorization !== 'me') throw Object.assign(new Error('who are you?'), { statusCode: 401 })
        reply.header('x-hook', 'was here')
      }
    }]
  })
  const refused = await refusal(`${gateway.url}/shop/x`)
  t.match(refused, { status: 401, headers: { connection: 'close' } })
  t.match(JSON.parse(refused.body), { message: 'who are you?' })
  t.equal(peer.asked.length, 0, 'no peer heard of it')
  const client = new WsClient(`${gateway.url}/shop/x`, [], { headers: { authorization: 'me' } })
  const [{ headers }] = await once(client.ws, 'upgrade')
  t.match(headers, { 'x-hook': 'was here', connection: 'Upgrade', upgrade: 'websocket' })
  client.ws.terminate()
  await over(gateway)
})

t.test('a 101 that cannot be sent ends on both sides', async t => {
  const peer = await startWsPeer(t)
  const gateway = await startGateway(t, {
    peers: of(peer),
    routes: [{ prefix: '/shop', service: 'shop', websocket: true, onRequest: async (_request, reply) => { reply.header('x-bad', 'a\nb') } }]
  })
  const client = new RawClient(t, portOf(gateway.url))
  client.socket.write(asking('/shop', 'websocket', 'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n'))
  await until(() => client.hasEnded)
  t.match(client.got, /^HTTP\/1\.1 50\d /)
  await over(gateway)
  await until(() => peer.open.size === 0)
  t.same(peer.codes, [1006])
})

t.test('an answer other than 101 is an answer', async t => {
  const large = randomBytes(4 * 2 ** 20).toString('latin1')
  const peer = await startUpgradePeer(t, (request, socket) => {
    const answers: Record<string, string> = {
      '/missing': 'HTTP/1.1 404 Not Found\r\ncontent-type: text/plain\r\ncontent-length: 4\r\n\r\nnone',
      '/moved': 'HTTP/1.1 302 Found\r\nlocation: /else\r\ncontent-length: 0\r\n\r\n',
      '/large': `HTTP/1.1 400 Bad Request\r\ntransfer-encoding: chunked\r\n\r\n400000\r\n${large}\r\n0\r\n\r\n`,
      '/busy': 'HTTP/1.1 503 Service Unavailable\r\ncontent-length: 4\r\n\r\nbusy'
    }
    socket.on('error', () => {})
    socket.end(answers[request.url ?? ''] ?? '', 'latin1')
  })
  const gateway = await startGateway(t, { peers: of(peer), routes })
  t.match(await refusal(`${gateway.url}/shop/missing`), { status: 404, body: 'none', headers: { connection: 'close', 'content-type': 'text/plain' } })
  t.match(await refusal(`${gateway.url}/shop/moved`), { status: 302, headers: { location: '/else' } })
  t.match(await refusal(`${gateway.url}/shop/busy`), { status: 503, body: 'busy' })
  const client = new RawClient(t, portOf(gateway.url))
  client.socket.pause()
  client.socket.write(asking('/shop/large', 'websocket'))
  await until(() => peer.asked.length === 4)
  client.socket.resume()
  await until(() => client.isClosed || client.hasEnded)
  t.match(client.got, /^HTTP\/1\.1 400 Bad Request\r\n/)
  t.ok(client.got.length > 4 * 2 ** 20, 'the whole of a large body')
  t.ok(client.got.endsWith('0\r\n\r\n'), 'to its end')
  await over(gateway)

  const good = await startWsPeer(t)
  const two = await startGateway(t, { peers: of(peer, good), routes })
  for (let i = 0; i < 4; i++) (await openWs(t, `${two.url}/shop/busy`)).ws.close()
  t.equal(good.asked.length, 4, 'an upgrade that was answered 503 is repeated at another peer')
  t.match(await refusal(`${gateway.url}/shop/..%2fetc`), { status: 400 }, 'a path that leads elsewhere')
})

t.test('time-outs until the answer', async t => {
  const silent = await startUpgradePeer(t, (_request, socket) => { socket.on('error', () => {}).on('end', () => socket.end()).resume() })
  const gateway = await startGateway(t, { peers: of(silent), routes, timeouts: { headers: 60 } })
  t.match(await refusal(`${gateway.url}/shop`), { status: 504, body: /FST_UPSTREAM_TIMEOUT/ })
  await until(() => silent.open.size === 0)

  const other = await startGateway(t, { peers: of(silent), routes })
  const leaving = ['end', 'destroy', 'resetAndDestroy'] as const
  for (const leave of leaving) {
    const asked = silent.asked.length
    const client = new RawClient(t, portOf(other.url))
    client.socket.write(asking('/shop', 'websocket'))
    await until(() => silent.asked.length > asked)
    t.equal(inflight(other), 1)
    client.socket[leave]()
    await over(other)
    await until(() => silent.open.size === 0, { what: `end of the attempt after ${leave}` })
  }
  t.match(other.app.upstreams.status().services[0]?.peers[0]?.errors, { aborted: leaving.length, reset: 0, timeout: 0, connect: 0 })
})

t.test('other protocols: early bytes, half-closed ends', async t => {
  const peer = await startUpgradePeer(t, (_request, socket, head) => {
    let got = String(head)
    socket.on('error', () => {})
    socket.write(`${agreed('foo', 'X-Foo: 1\r\n')}first `)
    socket.on('data', chunk => { got += String(chunk) })
    socket.on('end', () => socket.end(got.toUpperCase()))
  })
  const gateway = await startGateway(t, { peers: of(peer), routes })
  const client = new RawClient(t, portOf(gateway.url))
  client.socket.write(`${asking('/shop', 'foo')}early `)
  await until(() => client.tail === 'first ', { what: 'bytes that came with the 101' })
  t.match(client.got, /^HTTP\/1\.1 101 Switching Protocols\r\n[^]*x-foo: 1\r\n/i)
  t.equal(inflight(gateway), 1)
  client.socket.end('late')
  await until(() => client.isClosed)
  t.equal(client.tail, 'first EARLY LATE')
  await over(gateway)
  t.match(peer.asked[0]?.headers, { upgrade: 'foo' })

  const several = new RawClient(t, portOf(gateway.url))
  several.socket.write(asking('/shop', 'h2c, foo/2,bar'))
  await until(() => several.tail !== '')
  t.match(peer.asked[1]?.headers, { upgrade: 'foo/2, bar' }, 'HTTP itself is not among what a peer may agree to')
})

t.test('to peers by TLS, also where requests go by HTTP/2', async t => {
  const tls = (name: string): Buffer => readFileSync(new URL(`../fixtures/tls/${name}`, import.meta.url))
  const wss = new WebSocketServer({ noServer: true })
  const server = createSecureServer({ key: tls('server.key'), cert: tls('server.pem'), allowHTTP1: true }, (request, response) => response.end(request.httpVersion))
  // The types of an HTTP/2 server do not know what it emits for HTTP/1.
  const upgrades = server as unknown as Server
  upgrades.on('upgrade', (request, socket, head) => wss.handleUpgrade(request, socket, head, ws => { ws.send(`upgraded by ${request.httpVersion}`) }))
  const port = await freePort()
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => { server.close() })
  for (const allowH2 of [true, false]) {
    const gateway = await startGateway(t, {
      peers: { shop: { [`127.0.0.1:${port}`]: { scheme: 'https' } } }, routes, pool: { allowH2 }, tls: { ca: tls('ca.pem'), serverName: 'etcd.test' }
    })
    t.equal((await gateway.send('/shop')).body, allowH2 ? '2.0' : '1.1')
    const client = await openWs(t, `${gateway.url}/shop`)
    t.equal(await client.text(), 'upgraded by 1.1')
    client.ws.terminate()
    await over(gateway)
    await gateway.app.close()

    const distrustful = await startGateway(t, {
      peers: { shop: { [`127.0.0.1:${port}`]: { scheme: 'https' } } }, routes, pool: { allowH2 }, tls: { ca: tls('ca.pem'), serverName: 'else.test' }
    })
    t.match(await refusal(`${distrustful.url}/shop`), { status: 502, body: /FST_UPSTREAM_CONNECT/ })
    t.equal((await distrustful.send('/shop')).status, 502)
  }
})

t.test('who is killed takes the other end along', async t => {
  const peers: UpgradePeer[] = [await startWsPeer(t), await startWsPeer(t)]
  const gateway = await startGateway(t, { peers: of(...peers), routes })
  const killed = await openWs(t, `${gateway.url}/shop`)
  await until(() => inflight(gateway) === 1)
  killed.ws.terminate()
  await over(gateway)
  await until(() => peers.every(({ open }) => open.size === 0))

  const clients = [await openWs(t, `${gateway.url}/shop`), await openWs(t, `${gateway.url}/shop`)]
  await Promise.all(peers.map(peer => peer.kill()))
  t.same(await Promise.all(clients.map(({ closed }) => closed)), [1006, 1006])
  await over(gateway)
  t.match(gateway.app.upstreams.status().services[0]?.peers.map(({ errors }) => errors.reset), [0, 0])
})

t.test('200 connections leave nothing', async t => {
  const peer = await startWsPeer(t)
  const gateway = await startGateway(t, { peers: of(peer), routes })
  const warned: string[] = []
  const warn = (warning: Error): void => { warned.push(String(warning)) }
  process.on('warning', warn)
  t.teardown(() => process.off('warning', warn))
  const listeners = (): number[] => gateway.app.server.eventNames().map(name => gateway.app.server.listenerCount(name))
  const before = listeners()
  const clients = await Promise.all(Array.from({ length: 200 }, () => openWs(t, `${gateway.url}/shop`)))
  t.equal(inflight(gateway), 200)
  for (const [i, { ws }] of clients.entries()) {
    if (i % 2 === 0) ws.close()
    else ws.terminate()
  }
  await Promise.all(clients.map(({ closed }) => closed))
  await over(gateway)
  await until(() => peer.open.size === 0)
  t.equal(await new Promise(resolve => gateway.app.server.getConnections((_error, count) => resolve(count))), 0)
  t.same(listeners(), before)
  t.same(warned, [])
})

t.test('without websocket: true it is a plain request', async t => {
  const peer = await startPeer(t)
  const gateway = await startGateway(t, { peers: of(peer), routes: [{ prefix: '/plain', service: 'shop' }, ...routes] })
  t.match(await refusal(`${gateway.url}/plain/x`), { status: 200, body: peer.id })
  t.notOk(peer.requests[0]?.headers.upgrade)
})
