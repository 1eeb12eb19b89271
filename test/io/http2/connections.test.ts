import { once } from 'node:events'
import { constants, type Http2ServerRequest, type Http2Session } from 'node:http2'
import { createServer } from 'node:https'
import { createServer as createTlsServer } from 'node:tls'
import t from 'tap'
import { startGateway } from '../../fixtures/gateway.js'
import { startH2 } from '../../fixtures/h2.js'
import { http2To, stream } from '../../fixtures/h2-carrier.js'
import { pem } from '../../fixtures/pem.js'
import { freePort } from '../../fixtures/port.js'
import { startTcpProxy } from '../../fixtures/tcp-proxy.js'
import { until } from '../../fixtures/wait.js'

t.test('a connection that breaks after its peer has taken leave of it is no end of an answer', async t => {
  const { id, sessions } = await startH2(t, (_request, response) => { response.write('part') })
  const proxy = await startTcpProxy(t, Number(id.split(':')[1]))
  const { ask } = http2To(t, `127.0.0.1:${proxy.port}`)
  const asked = ask()
  await until(() => asked.chunks.length > 0, { what: 'the beginning' })
  for (const session of sessions) session.goaway()
  const next = ask()
  await until(() => next.chunks.length > 0 && sessions.size === 2, { what: 'the next one on another connection' })
  proxy.cut()
  await t.rejects(asked.answered)
  await t.rejects(next.answered)
})

t.test('as many at once as the peer allows; the others wait, or take another connection', async t => {
  const held: Array<() => void> = []
  const { id, seen } = await startH2(t, (_request, response) => { held.push(() => response.end('ok')) }, { maxConcurrentStreams: 5 })
  const { ask } = http2To(t, id, 2)
  const first = ask()
  await until(() => held.length === 1, { what: 'the first' })
  const asked = [first, ...Array.from({ length: 20 }, () => ask())]
  await until(() => held.length === 10, { what: 'ten requests' })
  t.equal(seen.sessions, 2)
  const left = asked.at(-1)
  if (left !== undefined) left.isOver = true
  for (let i = 0; i < 20; i++) {
    await until(() => held.length > 0, { what: 'another' })
    held.shift()?.()
  }
  t.equal((await Promise.all(asked.slice(0, -1).map(async one => (await one.answered).body))).join(''), 'ok'.repeat(20))
  t.equal(seen.requests, 20, 'who has left is not sent')
})

t.test('a connection that its peer takes leave of ends with its requests', async t => {
  const held: Array<() => void> = []
  const { id, seen, sessions } = await startH2(t, ({ url }, response) => {
    if (url === '/old') held.push(() => response.end('old'))
    else response.end('new')
  })
  const { ask } = http2To(t, id)
  const old = ask({ path: '/old' })
  await until(() => held.length === 1, { what: 'the request' })
  for (const session of sessions) session.goaway()
  const others = Array.from({ length: 5 }, () => ask())
  for (const { answered } of others) t.match(await answered, { body: 'new' }, 'what was refused is sent again')
  await until(async () => (await ask().answered).body === 'new' && seen.sessions === 2, { what: 'a new connection' })
  held[0]?.()
  t.match(await old.answered, { body: 'old' })
})

const requests = new WeakMap<Http2Session, number>()

/** Takes leave of each connection with its seventh request, as nginx does after `keepalive_requests`. Whether it takes this one. */
function isTaken ({ stream: { session, id } }: Http2ServerRequest): boolean {
  if (session === undefined) return false
  const nth = (requests.get(session) ?? 0) + 1
  requests.set(session, nth)
  if (nth === 7) session.goaway(0, id)
  return nth <= 7
}

t.test('connections that end after seven requests lose none of them', async t => {
  let taken = 0
  const { id } = await startH2(t, (request, response) => {
    if (!isTaken(request)) return
    taken++
    let body = ''
    request.on('data', chunk => { body += String(chunk) }).on('end', () => setImmediate(() => response.end(`${request.url} ${body}`)))
  })
  const { carrier, ask } = http2To(t, id)
  let left = 400
  // In the order in which they were begun.
  const takenBack: number[] = []
  await Promise.all(Array.from({ length: 40 }, async () => {
    while (left > 0) {
      const path = `/${left--}`
      const at = takenBack.push(0) - 1
      const body = [null, Buffer.from('ab'), stream('a', 'b')][left % 3] ?? null
      const asked = ask({ path, method: 'POST', body }, () => stream('a', 'b'))
      t.match(await asked.answered, { status: 200, body: `${path} ${body === null ? '' : 'ab'}` })
      takenBack[at] = asked.takenBack
    }
  }))
  t.equal(taken, 400, 'none was taken twice')
  const sum = (counts: number[]): number => counts.reduce((a, b) => a + b, 0)
  t.ok(sum(takenBack.slice(0, 40)) > 30, `${sum(takenBack)} were refused`)
  t.equal(sum(takenBack.slice(200)), 0, 'until it was known how many a connection takes')
  await carrier.close()
})

t.test('nor do uploads through the gateway, as long as they are in hand', async t => {
  let taken = 0
  const { id } = await startH2(t, (request, response) => {
    if (!isTaken(request)) return
    taken++
    let length = 0
    request.on('data', chunk => { length += chunk.length }).on('end', () => response.end(String(length)))
  })
  const { send, app } = await startGateway(t, { peers: { shop: { [id]: { scheme: 'https' } } }, routes: [{ prefix: '/', service: 'shop' }], tls: { ca: pem('ca.pem') }, pool: { allowH2: true }, outlier: false })
  const body = async function * () { for (let i = 0; i < 10; i++) yield Buffer.alloc(1000) }
  const answers = await Promise.all(Array.from({ length: 100 }, async () => await send('/', { method: 'POST', body: body() })))
  t.same(new Set(answers.map(({ status, body }) => `${status} ${body}`)), new Set(['200 10000']))
  t.equal(taken, 100)
  t.match(app.upstreams.status().services[0]?.peers[0], { inflight: 0, responses: { '2xx': 100 }, errors: { connect: 0, reset: 0, aborted: 0 } })
})

t.test('what a peer refuses goes to another one, whatever its method', async t => {
  const refusing = await startH2(t, (_request, response) => { response.stream.close(constants.NGHTTP2_REFUSED_STREAM) })
  const { id } = await startH2(t, (request, response) => { request.resume().on('end', () => response.end('taken')) })
  const { send, app } = await startGateway(t, { peers: { shop: { [refusing.id]: { scheme: 'https', weight: 100 }, [id]: { scheme: 'https' } } }, routes: [{ prefix: '/', service: 'shop' }], tls: { ca: pem('ca.pem') }, pool: { allowH2: true }, outlier: false })
  const streamed = async function * () { yield Buffer.from('streamed') }
  for (const body of ['whole', 'whole', streamed(), streamed()]) t.match(await send('/', { method: 'POST', body }), { status: 200, body: 'taken' })
  const { connect = 0, reset } = app.upstreams.status().services[0]?.peers.find(peer => peer.id === refusing.id)?.errors ?? {}
  t.ok(connect >= 3, `of four requests ${connect} came to it first`)
  t.equal(refusing.seen.requests, 2 * connect, 'each was sent to it once more')
  t.equal(reset, 0)
  const { ask } = http2To(t, refusing.id)
  const lost = ask({ method: 'POST', body: stream('a') })
  await t.rejects(lost.answered, /REFUSED_STREAM/)
  t.ok(lost.flow, 'what is not in hand any more was sent')
})

t.test('an idle connection is closed, and so are all when the carrier is', async t => {
  const { id, sessions } = await startH2(t, (_request, response) => { setImmediate(() => response.end('ok')) })
  const { ask } = http2To(t, id, 8, 50)
  await ask().answered
  await until(() => sessions.size === 0, { what: 'the end of the connection' })
  const { carrier, ask: askAgain } = http2To(t, id)
  const asked = [askAgain(), askAgain()]
  const closed = carrier.close()
  t.equal(carrier.close(), closed)
  for (const { answered } of asked) t.match(await answered, { body: 'ok' })
  await closed
  await until(() => sessions.size === 0, { what: 'the end of the connection' })
  const { carrier: unused } = http2To(t, id)
  await unused.close()
})

t.test('destroyed, it ends what is under way and who waits', async t => {
  const { id, seen, sessions } = await startH2(t, () => {}, { maxConcurrentStreams: 1 })
  const { carrier, ask } = http2To(t, id, 1)
  const asked = [ask(), ask(), ask()]
  await until(() => seen.requests === 1, { what: 'a request at the peer' })
  const closed = carrier.close()
  carrier.destroy()
  for (const { answered } of asked) await t.rejects(answered)
  await closed
  await until(() => sessions.size === 0, { what: 'the end of the connection' })
})

t.test('what was begun on a connection that is gone before it was written goes over another one', async t => {
  const { id, seen } = await startH2(t, (request, response) => { request.resume().on('end', () => response.end('ok')) })
  const { ask, sockets } = http2To(t, id)
  await ask().answered
  const begun = [ask({ method: 'POST', body: Buffer.from('a') }), ask({ method: 'POST', body: stream('a') }, () => stream('a')), ask()]
  sockets[0]?.destroy()
  for (const { answered } of begun) t.match(await answered, { body: 'ok' })
  t.equal(seen.requests, 4)
  t.equal(sockets.length, 2)
})

t.test('where nobody listens each one hears of it, and the next one tries anew', async t => {
  const port = await freePort()
  const { ask } = http2To(t, `127.0.0.1:${port}`)
  for (const { answered } of [ask(), ask(), ask()]) await t.rejects(answered, { code: 'ECONNREFUSED' })
  await startH2(t, (_request, response) => { response.end('ok') }, {}, port)
  t.match(await ask().answered, { body: 'ok' })
})

t.test('a peer that speaks HTTP/1.1 alone, and then HTTP/2', async t => {
  const server = createServer({ cert: pem('server.pem'), key: pem('server.key') }, (request, response) => { request.resume().on('end', () => response.end(request.httpVersion)) })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => { server.close(); server.closeAllConnections() })
  const { port } = server.address() as { port: number }
  const { ask, opened } = http2To(t, `127.0.0.1:${port}`)
  const bodies = await Promise.all([ask(), ask({ method: 'POST', body: stream('a', 'b') }), ask()].map(async one => (await one.answered).body))
  t.same(bodies, ['1.1', '1.1', '1.1'])
  for (let i = 0; i < 5; i++) t.match(await ask().answered, { body: '1.1' })
  t.ok(opened() <= 3, `${opened()} connections`)
  server.closeAllConnections()
  await new Promise(resolve => server.close(resolve))
  await startH2(t, (request, response) => { response.end(request.httpVersion) }, {}, port)
  // Who has taken it for the same finds out, and fails as with any connection that is none.
  await until(async () => (await ask().answered.catch(() => null))?.body === '2.0', { what: 'an answer by HTTP/2' })
})

t.test('a peer that agrees to HTTP/2 and then says nothing', async t => {
  const server = createTlsServer({ cert: pem('server.pem'), key: pem('server.key'), ALPNProtocols: ['h2'] }, socket => { socket.on('error', () => {}).resume() })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => { server.close() })
  const { ask } = http2To(t, `127.0.0.1:${(server.address() as { port: number }).port}`)
  const asked = [ask(), ask()]
  for (const one of asked) {
    await t.rejects(one.answered, /has not begun HTTP\/2/)
    t.equal(one.flow, null, 'nothing was sent')
  }
})

t.test('a carrier closes although its peer is dead', async t => {
  const { id } = await startH2(t, (_request, response) => { response.end('ok') })
  const proxy = await startTcpProxy(t, Number(id.split(':')[1]))
  const { carrier, ask } = http2To(t, `127.0.0.1:${proxy.port}`)
  await ask().answered
  proxy.stall()
  await carrier.close()
  t.pass('within the bound of this test')
})

t.test('a path that has gone dead is noticed by those who give up on it', async t => {
  const { id } = await startH2(t, (_request, response) => { response.end('ok') })
  const proxy = await startTcpProxy(t, Number(id.split(':')[1]))
  const { ask, opened } = http2To(t, `127.0.0.1:${proxy.port}`)
  await ask().answered
  proxy.stall()
  const stuck = ask()
  await until(() => stuck.flow, { what: 'the request to be sent' })
  const other = ask()
  stuck.flow?.abort(new Error('too late'))
  await t.rejects(other.answered, 'the others are told')
  proxy.flow()
  t.match(await ask().answered, { body: 'ok' })
  t.equal(opened(), 2)
})
