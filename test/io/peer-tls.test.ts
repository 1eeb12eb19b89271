import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { get, type IncomingMessage } from 'node:http'
import { createServer, type ServerOptions } from 'node:https'
import type { TLSSocket } from 'node:tls'
import t from 'tap'
import type { ServiceOptions } from '../../lib/options.js'
import { startGateway } from '../fixtures/gateway.js'
import { startH2 } from '../fixtures/h2.js'
import { startLoad, summary } from '../fixtures/load.js'
import { pem } from '../fixtures/pem.js'
import { startPeerProcesses } from '../fixtures/peer-process.js'
import { until } from '../fixtures/wait.js'

type T = Parameters<typeof startGateway>[0]

const own = { cert: pem('server.pem'), key: pem('server.key') }
const ca = pem('ca.pem')
const routes = [{ prefix: '/', service: 'shop' }]

/** A peer by HTTPS that tells whom it talked to. */
async function startTls (t: T, options: ServerOptions = {}) {
  const seen = { requests: 0, connections: 0 }
  const server = createServer({ ...own, ...options }, (request, response) => {
    seen.requests++
    const socket = request.socket as TLSSocket
    response.setHeader('content-type', 'application/json')
    request.resume().on('end', () => response.end(JSON.stringify({ name: socket.servername, client: socket.getPeerCertificate().subject?.CN, host: request.headers.host })))
  })
  server.on('connection', () => { seen.connections++ })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => { server.close(); server.closeAllConnections() })
  return { port: (server.address() as { port: number }).port, seen }
}

t.test('a peer must prove who it is, by its address or by the name that is asked for', async t => {
  const { port, seen } = await startTls(t)
  const table: Array<[string, string, ServiceOptions['tls'], boolean]> = [
    ['by default nobody knows its authority', '127.0.0.1', undefined, false],
    ['its authority', '127.0.0.1', { ca }, true],
    ['another authority', '127.0.0.1', { ca: pem('other-ca.pem') }, false],
    ['a name that it has', '127.0.0.1', { ca, serverName: 'etcd.test' }, true],
    ['a name that it has not', '127.0.0.1', { ca, serverName: 'shop.test' }, false],
    ['a host that it has not', 'localhost', { ca }, false],
    ['a host that it has not, and a name that it has', 'localhost', { ca, serverName: 'etcd.test' }, true],
    ['no questions', '127.0.0.1', { rejectUnauthorized: false }, true]
  ]
  for (const [what, host, tls, good] of table) {
    const before = { ...seen }
    const gateway = await startGateway(t, { peers: { shop: { [`${host}:${port}`]: { scheme: 'https' } } }, routes, outlier: false, ...(tls !== undefined && { tls }) })
    for (const [method, headers] of [['GET', {}], ['POST', {}], ['GET', { host: 'etcd.test' }], ['GET', { host: 'evil.example' }]] as const) {
      const { status, body } = await gateway.send('/', { method, headers, ...(method === 'POST' && { body: 'secret' }) })
      t.equal(status, good ? 200 : 502, `${what}: ${method} ${JSON.stringify(headers)}`)
      if (!good) t.match(JSON.parse(body), { code: 'FST_UPSTREAM_CONNECT' })
      t.notMatch(good ? '' : body, /127\.0\.0\.1|localhost|etcd\.test|authority|certificate/)
    }
    t.equal(seen.requests - before.requests, good ? 4 : 0, 'no request reaches one that does not')
    if (good) t.equal(seen.connections - before.connections, 1, 'and one connection does for all hosts')
  }
})

t.test('a certificate of our own, and settings of one service', async t => {
  const { port } = await startTls(t, { requestCert: true, rejectUnauthorized: true, ca })
  const peers = { shop: { [`127.0.0.1:${port}`]: { scheme: 'https' } }, other: { [`127.0.0.1:${port}`]: { scheme: 'https' } } }
  const { send } = await startGateway(t, {
    peers,
    routes: [{ prefix: '/shop', service: 'shop' }, { prefix: '/other', service: 'other' }],
    tls: { ca },
    services: { shop: { tls: { cert: pem('client.pem'), key: pem('client.key') } } },
    outlier: false
  })
  t.match(JSON.parse((await send('/shop', { headers: { host: 'shop.example' } })).body), { client: 'client', host: 'shop.example' })
  t.match(await send('/other'), { status: 502 })
})

const h2 = { routes, tls: { ca }, pool: { allowH2: true }, outlier: false } as const

t.test('HTTP/2: many requests share few connections, bodies and all', async t => {
  const { id, seen } = await startH2(t, (request, response) => {
    const hash = createHash('sha1')
    request.on('data', chunk => hash.update(chunk)).on('end', () => setTimeout(() => {
      response.setHeader('content-type', 'text/plain')
      response.end(`${request.httpVersion} ${request.method} ${request.headers['x-id']} ${hash.digest('hex')}`)
    }, 20))
  })
  const { send, app } = await startGateway(t, { peers: { shop: { [id]: { scheme: 'https' } } }, ...h2 })
  const ask = async (i: number, method: 'GET' | 'POST' | 'PUT', body?: Buffer) => {
    const streamed = (async function * () { if (body !== undefined) { yield body.subarray(0, 200); yield body.subarray(200) } })()
    const answer = await send('/', { method, headers: { 'x-id': String(i) }, ...(body !== undefined && { body: i % 3 === 0 ? body : streamed }) })
    const sum = createHash('sha1').update(body ?? '').digest('hex')
    return answer.status === 200 && answer.body === `2.0 ${method} ${i} ${sum}`
  }
  t.ok(await ask(0, 'GET'))
  const gets = await Promise.all(Array.from({ length: 200 }, (_, i) => ask(i, 'GET')))
  t.notOk(gets.includes(false), 'each got its own')
  t.equal(seen.requests, 201)
  t.ok(seen.sessions <= 4, `200 requests at the same time over ${seen.sessions} connections`)
  const posts = await Promise.all(Array.from({ length: 60 }, (_, i) => ask(i, i % 2 === 0 ? 'POST' : 'PUT', Buffer.alloc(i % 10 === 1 ? 300_000 : 500, `body ${i} `))))
  t.notOk(posts.includes(false), 'bodies of both kinds come whole')
  t.ok(seen.sessions <= 4, `60 bodies at the same time over ${seen.sessions} connections`)
  t.match(app.upstreams.status().services[0], { inflight: 0 })
})

t.test('HTTP/2: one request ends without the others on its connection', async t => {
  const { id, seen } = await startH2(t, (request, response) => {
    if (request.url === '/hang') return
    if (request.url === '/stall') {
      response.write('part')
      return
    }
    if (request.url === '/reset') return response.stream.close(2)
    request.resume().on('end', () => setTimeout(() => response.end('fine'), 150))
  })
  const { send, url, app } = await startGateway(t, { peers: { shop: { [id]: { scheme: 'https' } } }, ...h2, timeouts: { headers: 400, body: 100 } })
  const told = () => app.upstreams.status().services[0]?.peers[0]
  await send('/fine')
  const fine = Array.from({ length: 20 }, async () => await send('/fine'))
  const left = Array.from({ length: 10 }, () => get(`${url}/hang`, { agent: false }).on('error', () => {}))
  await until(() => seen.open === 30, { what: '30 open requests' })
  for (const client of left) client.destroy()
  t.match(await send('/reset'), { status: 502, body: /FST_UPSTREAM_RESET/ })
  const [stalled] = await once(get(`${url}/stall`, { agent: false }), 'response') as [IncomingMessage]
  await t.rejects((async () => { for await (const chunk of stalled) t.equal(String(chunk), 'part') })(), { code: 'ECONNRESET' })
  t.match(await send('/hang'), { status: 504 })
  t.same(new Set((await Promise.all(fine)).map(({ status, body }) => `${status} ${body}`)), new Set(['200 fine']))
  await until(() => seen.open === 0 && told()?.inflight === 0, { what: 'the end of all requests', timeout: 1000 })
  t.match(told()?.errors, { aborted: 10, reset: 1, timeout: 2, connect: 0 })
  t.ok(seen.sessions <= 3, `over ${seen.sessions} connections`)
})

t.test('HTTP/2: a peer killed with -9 under load', async t => {
  const peers = await startPeerProcesses(t, 3, 'h2')
  const [dead] = peers
  const gateway = await startGateway(t, {
    peers: { shop: Object.fromEntries(peers.map(({ id }) => [id, { scheme: 'https' }])) },
    ...h2,
    outlier: {}
  })
  const load = startLoad(t, gateway.url, 300)
  await load.more(200)
  await until(() => load.results.length >= 150, { what: '150 answers' })
  await dead?.kill()
  await load.more(300)
  const results = await load.stop()
  t.comment(summary(results))
  const failed = results.filter(({ isWhole }) => !isWhole)
  t.same(failed.filter(({ method }) => method === 'GET'), [])
  t.ok(failed.length < 20, `${failed.length} POSTs were under way`)
  t.same(new Set(failed.map(({ status }) => status)), new Set(failed.length === 0 ? [] : [502]))
  t.ok(peers.every(peer => peer.read().size > 30), `the peers read ${peers.map(peer => peer.read().size).join(', ')} requests`)
})
