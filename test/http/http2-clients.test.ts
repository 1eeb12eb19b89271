import { once } from 'node:events'
import { connect, constants, type ClientHttp2Session, type ClientHttp2Stream, type OutgoingHttpHeaders } from 'node:http2'
import type { FastifyInstance, FastifyServerOptions } from 'fastify'
import t, { type Test } from 'tap'
import { startGateway, type TestGateway } from '../fixtures/gateway.js'
import { startPeer } from '../fixtures/peer.js'
import { play, startRawPeer, type Script } from '../fixtures/raw.js'
import { until } from '../fixtures/wait.js'

interface Told {
  readonly status: number
  readonly headers: Readonly<Record<string, unknown>>
  readonly body: string
  readonly trailers: Readonly<Record<string, unknown>>
  /** How the stream was ended; 0 when all was said. */
  readonly code: number
}

interface Stage extends TestGateway {
  readonly session: ClientHttp2Session
  readonly open: (headers?: OutgoingHttpHeaders, body?: string) => ClientHttp2Stream
  readonly ask: (headers?: OutgoingHttpHeaders, body?: string) => Promise<Told>
}

/** A gateway whose clients speak HTTP/2 without TLS, and one of them. */
async function stage (t: Test, peer: string, options: object = {}, prepare?: (app: FastifyInstance) => void): Promise<Stage> {
  // Fastify's types have a server of its own for HTTP/2.
  const server = { http2: true, forceCloseConnections: undefined } as unknown as FastifyServerOptions
  const gateway = await startGateway(t, { peers: { shop: { [peer]: {} } }, routes: [{ prefix: '/shop', service: 'shop' }], outlier: false, ...options }, prepare, server)
  const session = connect(gateway.url)
  session.on('error', () => {})
  t.teardown(() => session.destroy())
  const open = (headers: OutgoingHttpHeaders = {}, body?: string): ClientHttp2Stream => {
    const stream = session.request({ ':path': '/shop', ...headers }, { endStream: body === undefined })
    stream.on('error', () => {})
    if (body !== undefined) stream.end(body)
    return stream
  }
  const ask = async (headers?: OutgoingHttpHeaders, body?: string): Promise<Told> => {
    const stream = open(headers, body)
    const told = { status: 0, headers: {}, body: '', trailers: {}, code: 0 }
    stream.on('response', headers => { told.status = Number(headers[':status']); told.headers = headers })
    stream.on('trailers', trailers => { told.trailers = trailers })
    stream.on('data', chunk => { told.body += String(chunk) })
    await new Promise(resolve => stream.once('close', resolve))
    return { ...told, code: stream.rstCode ?? 0 }
  }
  return { ...gateway, session, open, ask }
}

const serviceOf = ({ app }: TestGateway) => app.upstreams.status().services[0]

/** A peer that says the same to everybody. */
async function says (t: Test, script: Script): Promise<string> {
  return (await startRawPeer(t, { answer: socket => { play(socket, script).catch(() => {}) } })).id
}

t.test('a client that leaves ends its attempt at once, by stream and by connection', async t => {
  let open = 0
  const hang = await startPeer(t, { handler: (_request, response) => { open++; response.once('close', () => { open-- }) } })
  const gateway = await stage(t, hang.id)
  const streams = [gateway.open(), gateway.open()]
  await until(() => open === 2, { what: 'two requests' })
  for (const stream of streams) stream.close(constants.NGHTTP2_CANCEL)
  await until(() => open === 0, { what: 'the end of both at the peer', timeout: 1000 })
  t.match(serviceOf(gateway), { inflight: 0, peers: [{ errors: { aborted: 2, reset: 0 } }] })
  gateway.open()
  await until(() => open === 1, { what: 'the third request' })
  gateway.session.destroy()
  await until(() => open === 0, { what: 'its end at the peer', timeout: 1000 })
  await until(() => gateway.app.upstreams.report('shop').statistics[0]?.stat[0]?.count === 3, { what: 'the full second' })
  t.match(gateway.app.upstreams.report('shop').statistics[0], { stat: [{ code: 499, count: 3 }] })
})

t.test('of a client that left before it was forwarded no peer hears', async t => {
  const peer = await startPeer(t)
  let release: () => void = () => {}
  const held = new Promise<void>(resolve => { release = resolve })
  let came = 0
  let gone = 0
  const gateway = await stage(t, peer.id, {}, app => {
    app.addHook('preHandler', async (request, reply) => {
      reply.raw.once('close', () => { gone++ })
      came++
      if (request.headers['x-now'] === undefined) await held
    })
  })
  const stream = gateway.open()
  await until(() => came === 1, { what: 'the request' })
  stream.close(constants.NGHTTP2_CANCEL)
  await until(() => gone === 1, { what: 'its end' })
  release()
  t.match(await gateway.ask({ 'x-now': '1' }), { status: 200, code: 0 })
  t.equal(peer.hits, 1)
  t.match(serviceOf(gateway), { errorRate: 0, peers: [{ errors: { aborted: 0 }, responses: { '2xx': 1 } }] })
})

t.test('one that leaves in the middle of its answer', async t => {
  let open = 0
  const drip = await startPeer(t, { handler: (_request, response) => { open++; response.once('close', () => { open-- }); response.writeHead(200); response.write('a') } })
  const gateway = await stage(t, drip.id)
  const stream = gateway.open()
  await once(stream, 'data')
  stream.close(constants.NGHTTP2_CANCEL)
  await until(() => open === 0, { what: 'the end at the peer', timeout: 1000 })
  t.match(serviceOf(gateway), { inflight: 0, peers: [{ errors: { aborted: 1 } }] })
})

t.test('fields that a peer repeats do not end the process', async t => {
  const fields = 'HTTP/1.1 200 OK\r\nx-content-type-options: nosniff\r\nx-content-type-options: nosniff\r\netag: "a"\r\netag: "b"\r\nage: 1\r\nage: 2\r\nvary: a\r\nvary: b\r\nhttp2-settings: AAA\r\nset-cookie: a=1\r\nset-cookie: b=2\r\ncontent-type: text/plain\r\n'
  const expected = { status: 200, body: 'okok', code: 0, headers: { 'x-content-type-options': 'nosniff', etag: '"a"', age: '1', vary: 'a, b', 'set-cookie': ['a=1', 'b=2'] } }
  for (const script of [[`${fields}content-length: 4\r\n\r\nokok`], [`${fields}content-length: 4\r\n\r\nok`, 40, 'ok'], [`${fields}content-length: 4\r\n\r\n`, 40, 'okok']]) {
    const gateway = await stage(t, await says(t, script))
    t.match(await gateway.ask(), expected, `in ${script.length} pieces`)
    await until(() => serviceOf(gateway)?.inflight === 0)
  }
})

t.test('nor do fields that a hook makes impossible, whenever it does', async t => {
  const peer = await startPeer(t, {
    handler: (request, response) => {
      response.writeHead(200, { 'content-type': 'text/plain' })
      if (request.url === '/whole') response.end('ok')
      else {
        // The second half comes when the gateway, in this same process, has had a turn of the loop to read the first.
        response.write('o', () => setImmediate(() => setImmediate(() => response.end('k'))))
      }
    }
  })
  for (const hook of ['onRequest', 'preHandler'] as const) {
    const gateway = await stage(t, peer.id, {}, app => {
      app.addHook(hook, async (request, reply) => { if (request.headers['x-bad'] !== undefined) reply.header('x-content-type-options', ['a', 'b']) })
    })
    for (const path of ['/shop/whole', '/shop/parts']) {
      const { status, code } = await gateway.ask({ ':path': path, 'x-bad': '1' })
      t.ok(status >= 500 || code !== 0, `${hook} ${path}: ${status} ${code}`)
      await until(() => serviceOf(gateway)?.inflight === 0)
      t.match(await gateway.ask({ ':path': path }), { status: 200, body: 'ok', code: 0 })
    }
  }
})

t.test('a cut answer does not look complete', async t => {
  const head = 'HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n'
  for (const [name, text] of [['a length', `${head}content-length: 100\r\n\r\nok`], ['chunks', `${head}transfer-encoding: chunked\r\n\r\n2\r\nok\r\n`], ['headers alone', `${head}transfer-encoding: chunked\r\n\r\n`]] as const) {
    const peer = await startRawPeer(t, { answer: socket => { play(socket, [text, 60]).then(() => socket.destroy(), () => {}) } })
    const gateway = await stage(t, peer.id)
    t.match(await gateway.ask(), { status: 200, code: constants.NGHTTP2_INTERNAL_ERROR }, name)
    await until(() => serviceOf(gateway)?.peers[0]?.errors.reset === 1)
  }
})

t.test('a body goes on whether it is announced or not', async t => {
  const echo = await startPeer(t, {
    handler: (request, response) => {
      let body = ''
      request.on('data', chunk => { body += String(chunk) })
      request.on('end', () => { response.end(`${request.method} ${body}`) })
    }
  })
  const gateway = await stage(t, echo.id)
  for (const method of ['POST', 'PUT', 'PATCH', 'DELETE', 'GET']) {
    for (const headers of [{}, { 'content-type': 'a/b' }, { 'content-length': 5 }]) {
      t.match(await gateway.ask({ ':method': method, ...headers }, 'hello'), { status: 200, body: `${method} hello` }, `${method} ${Object.keys(headers)}`)
    }
    t.match(await gateway.ask({ ':method': method }), { status: 200, body: `${method} ` }, `${method} without`)
  }
})
