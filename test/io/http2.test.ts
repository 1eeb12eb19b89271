import { once } from 'node:events'
import { request as httpRequest } from 'node:http'
import { createServer } from 'node:https'
import { Readable } from 'node:stream'
import { createServer as createTlsServer } from 'node:tls'
import t, { type Test } from 'tap'
import { FormData, request } from 'undici'
import type { Outbound } from '../../lib/io/carrier.js'
import { connector } from '../../lib/io/connector.js'
import { Multiplexed } from '../../lib/io/http2/carrier.js'
import { serviceDefaults } from '../../lib/options.js'
import { Asked } from '../fixtures/asked.js'
import { startGateway } from '../fixtures/gateway.js'
import { startH2 } from '../fixtures/h2.js'
import { pem } from '../fixtures/pem.js'
import { freePort } from '../fixtures/port.js'
import { startTcpProxy } from '../fixtures/tcp-proxy.js'
import { until } from '../fixtures/wait.js'

const tls = { ...serviceDefaults.tls, ca: pem('ca.pem') }

/** What carries requests to an address of 127.0.0.1. */
function begin (t: Test, id: string, most = 8, patience = 60_000) {
  const port = id.split(':')[1] ?? ''
  const connect = connector({ timeout: 1000, tls, allowH2: true })
  let opened = 0
  const carrier = new Multiplexed(`https://${id}`, callback => {
    opened++
    connect({ hostname: '127.0.0.1', host: id, protocol: 'https:', port }, (...told) => {
      const [error, socket] = told
      if (error !== null) callback(error, null)
      else if ('resume' in socket) callback(null, socket)
    })
  }, most, patience)
  t.teardown(() => { carrier.destroy() })
  return { carrier, opened: () => opened, ask: (request: Partial<Outbound> = {}) => new Asked(carrier, request) }
}

const stream = (...chunks: string[]): Readable => Readable.from(chunks, { objectMode: false })

t.test('messages come as they were sent', async t => {
  const { id, seen } = await startH2(t, (request, response) => {
    let body = ''
    request.on('data', chunk => { body += String(chunk) }).on('end', () => {
      const { ':method': method, ':path': path, ':authority': host, 'content-length': length = null, 'x-a': a = null } = request.headers
      response.writeHead(request.url === '/none' ? 204 : 201, { 'x-b': ['1', '2'], 'set-cookie': ['c', 'd'] })
      response.addTrailers({ 'x-sum': '3' })
      const own = Object.hasOwn(request.headers, 'constructor') ? [request.headers.constructor] : []
      response.end(JSON.stringify([method, path, host, length, a, body, ...own]))
    })
  })
  const { ask } = begin(t, id)
  const table: Array<[Partial<Outbound>, unknown[]]> = [
    [{ path: '/a?b', fields: ['host', 'h:1', 'x-a', ['1', '2']] }, ['GET', '/a?b', 'h:1', null, '1, 2', '']],
    [{ fields: ['host', 'h', 'constructor', 'x', 'x-a', '1'] }, ['GET', '/', 'h', null, '1', '', 'x']],
    [{ method: 'POST' }, ['POST', '/', 'peer.example', '0', null, '']],
    [{ method: 'PUT', body: Buffer.from('bytes') }, ['PUT', '/', 'peer.example', '5', null, 'bytes']],
    [{ method: 'POST', body: stream('a', 'b') }, ['POST', '/', 'peer.example', null, null, 'ab']],
    [{ method: 'POST', body: stream('ab', 'c'), fields: ['host', 'h', 'content-length', '3'] }, ['POST', '/', 'h', '3', null, 'abc']]
  ]
  for (const [request, expected] of table) {
    const { status, body, fields, trailers } = await ask(request).answered
    t.same(JSON.parse(body), expected)
    t.match([status, fields, trailers], [201, { 'x-b': '1, 2', 'set-cookie': ['c', 'd'] }, { 'x-sum': '3' }])
  }
  t.match(await ask({ path: '/none' }).answered, { status: 204, body: '' })
  t.match(await ask({ method: 'HEAD' }).answered, { status: 201, body: '' })
  t.equal(seen.sessions, 1)
})

t.test('what cannot be sent, or not to its end', async t => {
  const { id, seen } = await startH2(t, (request, response) => { request.resume().on('end', () => response.end('whole')) })
  const { ask } = begin(t, id)
  await t.rejects(ask({ path: 'no path' }).answered, { code: 'UND_ERR_INVALID_ARG' })
  await ask().answered
  for (const [body, length] of [[stream('too', ' long'), '3'], [stream('short'), '30']] as const) {
    await t.rejects(ask({ method: 'POST', body, fields: ['host', 'h', 'content-length', length] }).answered, { code: 'UND_ERR_REQ_CONTENT_LENGTH_MISMATCH' })
  }
  const failing = new Readable({ read () { this.destroy(new Error('mine')) } })
  await t.rejects(ask({ method: 'POST', body: failing }).answered, /mine/)
  await until(() => seen.open === 0, { what: 'the end of all streams' })
  t.equal(seen.sessions, 1)
})

t.test('an upload whose client leaves ends at the peer at once, and the others go on', async t => {
  const aborted: string[] = []
  const { id, seen } = await startH2(t, (request, response) => {
    request.on('aborted', () => aborted.push(request.url)).resume().on('end', () => response.end('whole'))
  })
  const gateway = await startGateway(t, { peers: { shop: { [id]: { scheme: 'https' } } }, routes: [{ prefix: '/', service: 'shop' }], tls: { ca: pem('ca.pem') }, pool: { allowH2: true } })
  const uploads = Array.from({ length: 20 }, (_, i) => {
    const upload = httpRequest(`${gateway.url}/${i}`, { method: 'POST', agent: false }).on('error', () => {})
    upload.write('some of it')
    return upload
  })
  await until(() => seen.open === 20, { what: '20 uploads at the peer' })
  for (const upload of uploads.slice(1)) upload.destroy()
  await until(() => aborted.length === 19, { what: 'the end of 19 of them', timeout: 1000 })
  const [first] = uploads
  const answered = once(first ?? gateway.app.server, 'response')
  first?.end()
  const [response] = await answered
  t.equal(response.statusCode, 200)
  response.resume()
  await until(() => seen.open === 0, { what: 'the end of all' })
  t.equal(seen.sessions, 1)
  t.match(gateway.app.upstreams.status().services[0]?.peers[0], { inflight: 0, errors: { aborted: 19, reset: 0 } })
})

t.test('forms and blobs, which undici writes', async t => {
  const { id } = await startH2(t, (request, response) => {
    let body = ''
    request.on('data', chunk => { body += String(chunk) }).on('end', () => response.end(`${request.httpVersion} ${body}`))
  })
  const { app } = await startGateway(t, { peers: { shop: { [id]: { scheme: 'https' } } }, tls: { ca: pem('ca.pem') }, pool: { allowH2: true } })
  const { dispatcher } = app.upstreams
  const form = new FormData()
  form.append('name', 'value')
  for (const [body, pattern] of [[form, /^2.0 [^]*name="name"[^]*value/], [new Blob(['blob']), /^2.0 blob$/]] as const) {
    // Its types know no Blob, and it takes one.
    const answer = await request(`${app.upstreams.origin('shop')}/`, { dispatcher, method: 'POST', body: body as FormData })
    t.match(await answer.body.text(), pattern)
  }
})

t.test('an answer that does not wait for the upload', async t => {
  const { id, seen } = await startH2(t, (_request, response) => { response.end('early') })
  const { ask } = begin(t, id)
  const endless = new Readable({ read () { setImmediate(() => this.push(Buffer.alloc(1000))) } })
  t.match(await ask({ method: 'POST', body: endless }).answered, { body: 'early' })
  await until(() => endless.destroyed && seen.open === 0, { what: 'the end of the upload' })
  t.match(await ask().answered, { body: 'early' })
  t.equal(seen.sessions, 1)
})

t.test('who takes no more holds up the peer', async t => {
  const size = 4 * 2 ** 20
  const { id } = await startH2(t, (_request, response) => { response.end(Buffer.alloc(size, 'x')) })
  const { ask } = begin(t, id)
  const asked = ask()
  asked.takes = false
  await until(() => asked.chunks.length > 0, { what: 'the beginning' })
  let before = -1
  await until(() => { const still = before === asked.chunks.length; before = asked.chunks.length; return still }, { what: 'the peer to be held up' })
  t.ok(asked.chunks.join('').length < size)
  asked.takes = true
  asked.flow?.resume()
  t.equal((await asked.answered).body.length, size)
})

t.test('answers that break', async t => {
  const { id } = await startH2(t, (request, response) => {
    const [, when, how = ''] = request.url.split('/')
    if (when === 'middle') response.write('part')
    setImmediate(() => {
      if (how === 'session') response.stream.session?.destroy()
      else if (how === 'quietly') response.stream.destroy()
      else response.stream.close(Number(how))
    })
  })
  const { ask } = begin(t, id)
  // Without an error code, internal error, refused (twice, or once it was answered), cancelled.
  for (const when of ['before', 'middle']) {
    for (const how of ['quietly', '2', '7', '8', 'session']) await t.rejects(ask({ path: `/${when}/${how}` }).answered, `${when}, ${how}`)
  }
})

t.test('a connection that breaks after its peer has taken leave of it is no end of an answer', async t => {
  const { id, sessions } = await startH2(t, (_request, response) => { response.write('part') })
  const proxy = await startTcpProxy(t, Number(id.split(':')[1]))
  const { ask } = begin(t, `127.0.0.1:${proxy.port}`)
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
  const { ask } = begin(t, id, 2)
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
  const { ask } = begin(t, id)
  const old = ask({ path: '/old' })
  await until(() => held.length === 1, { what: 'the request' })
  for (const session of sessions) session.goaway()
  const others = Array.from({ length: 5 }, () => ask())
  for (const { answered } of others) t.match(await answered, { body: 'new' }, 'what was refused is sent again')
  await until(async () => (await ask().answered).body === 'new' && seen.sessions === 2, { what: 'a new connection' })
  held[0]?.()
  t.match(await old.answered, { body: 'old' })
})

t.test('an idle connection is closed, and so are all when the carrier is', async t => {
  const { id, sessions } = await startH2(t, (_request, response) => { setImmediate(() => response.end('ok')) })
  const { ask } = begin(t, id, 8, 50)
  await ask().answered
  await until(() => sessions.size === 0, { what: 'the end of the connection' })
  const { carrier, ask: askAgain } = begin(t, id)
  const asked = [askAgain(), askAgain()]
  const closed = carrier.close()
  t.equal(carrier.close(), closed)
  for (const { answered } of asked) t.match(await answered, { body: 'ok' })
  await closed
  await until(() => sessions.size === 0, { what: 'the end of the connection' })
  const { carrier: unused } = begin(t, id)
  await unused.close()
})

t.test('destroyed, it ends what is under way and who waits', async t => {
  const { id, seen, sessions } = await startH2(t, () => {}, { maxConcurrentStreams: 1 })
  const { carrier, ask } = begin(t, id, 1)
  const asked = [ask(), ask(), ask()]
  await until(() => seen.requests === 1, { what: 'a request at the peer' })
  const closed = carrier.close()
  carrier.destroy()
  for (const { answered } of asked) await t.rejects(answered)
  await closed
  await until(() => sessions.size === 0, { what: 'the end of the connection' })
})

t.test('where nobody listens each one hears of it, and the next one tries anew', async t => {
  const port = await freePort()
  const { ask } = begin(t, `127.0.0.1:${port}`)
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
  const { ask, opened } = begin(t, `127.0.0.1:${port}`)
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
  const { ask } = begin(t, `127.0.0.1:${(server.address() as { port: number }).port}`)
  const asked = [ask(), ask()]
  for (const one of asked) {
    await t.rejects(one.answered, /has not begun HTTP\/2/)
    t.equal(one.flow, null, 'nothing was sent')
  }
})

t.test('a carrier closes although its peer is dead', async t => {
  const { id } = await startH2(t, (_request, response) => { response.end('ok') })
  const proxy = await startTcpProxy(t, Number(id.split(':')[1]))
  const { carrier, ask } = begin(t, `127.0.0.1:${proxy.port}`)
  await ask().answered
  proxy.stall()
  await carrier.close()
  t.pass('within the bound of this test')
})

t.test('a path that has gone dead is noticed by those who give up on it', async t => {
  const { id } = await startH2(t, (_request, response) => { response.end('ok') })
  const proxy = await startTcpProxy(t, Number(id.split(':')[1]))
  const { ask, opened } = begin(t, `127.0.0.1:${proxy.port}`)
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
