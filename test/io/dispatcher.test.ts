import { createServer, Socket } from 'node:net'
import { once } from 'node:events'
import { IncomingMessage, type ServerResponse } from 'node:http'
import { pipeline } from 'node:stream/promises'
import { Readable, Stream, Writable } from 'node:stream'
import t from 'tap'
import { fetch as undiciFetch, FormData as UndiciFormData, request, stream, type Dispatcher } from 'undici'
import { startDispatcher, type TestDispatcher } from '../fixtures/dispatcher.js'
import { refusedPort, startPeer, type TestPeer } from '../fixtures/peer.js'
import { until } from '../fixtures/wait.js'

type Options = Omit<Dispatcher.RequestOptions, 'origin' | 'path' | 'method'> & { path?: string, method?: string, origin?: string }

/** Answers with what it was sent. */
function echo (request: IncomingMessage, response: ServerResponse): void {
  const chunks: Buffer[] = []
  request.on('data', chunk => chunks.push(chunk))
  request.on('end', () => {
    response.setHeader('set-cookie', ['a=1', 'b=2'])
    response.statusMessage = 'Fine'
    response.end(JSON.stringify({ method: request.method, url: request.url, headers: request.headers, body: Buffer.concat(chunks).toString() }))
  })
}

/** One request; status and text, or the code of the error. */
async function send ({ dispatcher, origin }: TestDispatcher, options: Options = {}): Promise<{ status: number, text: string } | { code: unknown, error: Error }> {
  try {
    const answer = await dispatcher.request({ origin, path: '/', method: 'GET', ...options })
    return { status: answer.statusCode, text: await answer.body.text() }
  } catch (error) {
    return { code: (error as { code?: unknown }).code, error: error as Error }
  }
}

async function refused (): Promise<{ host: string, port: number }> {
  return { host: '127.0.0.1', port: await refusedPort() }
}

t.test('every client of undici gets the answers of both peers in turn, each counted once', async t => {
  const peers: TestPeer[] = [await startPeer(t, { handler: echo }), await startPeer(t, { handler: echo })]
  const made = startDispatcher(t, peers)
  const { dispatcher, origin } = made
  const url = `${origin}/a/b?c=d`
  const clients: Record<string, () => Promise<{ status: number, text: string, cookies: unknown }>> = {
    request: async () => {
      const { statusCode, headers, body } = await request(url, { dispatcher })
      return { status: statusCode, text: await body.text(), cookies: headers['set-cookie'] }
    },
    stream: async () => {
      const seen: { status: number, text: string, cookies: unknown } = { status: 0, text: '', cookies: null }
      await stream(url, { dispatcher, method: 'GET' }, ({ statusCode, headers }) => {
        Object.assign(seen, { status: statusCode, cookies: headers['set-cookie'] })
        return new Writable({ write (chunk, _encoding, done) { seen.text += chunk; done() } })
      })
      return seen
    },
    pipeline: async () => {
      const seen: { status: number, text: string, cookies: unknown } = { status: 0, text: '', cookies: null }
      const duplex = dispatcher.pipeline({ origin, path: '/a/b?c=d', method: 'GET' }, ({ statusCode, headers, body }) => {
        Object.assign(seen, { status: statusCode, cookies: headers['set-cookie'] })
        return body
      })
      duplex.end()
      for await (const chunk of duplex) seen.text += chunk
      return seen
    },
    'undici.fetch': async () => {
      const answer = await undiciFetch(url, { dispatcher })
      t.equal(answer.statusText, 'Fine', 'as the peer worded it')
      return { status: answer.status, text: await answer.text(), cookies: answer.headers.getSetCookie() }
    },
    // Its types are those of the undici that Node has inside.
    'global fetch': async () => {
      const answer = await fetch(url, { dispatcher } as unknown as RequestInit)
      t.equal(answer.statusText, 'Fine', 'as the peer worded it')
      return { status: answer.status, text: await answer.text(), cookies: answer.headers.getSetCookie() }
    }
  }
  for (const [name, client] of Object.entries(clients)) {
    const hosts = []
    for (let i = 0; i < 4; i++) {
      const { status, text, cookies } = await client()
      const { url, headers } = JSON.parse(text)
      t.match({ status, url, cookies }, { status: 200, url: '/a/b?c=d', cookies: ['a=1', 'b=2'] }, name)
      hosts.push(headers.host)
    }
    t.same(hosts, [peers[0]?.id, peers[1]?.id, peers[0]?.id, peers[1]?.id], `${name}: each under its own name`)
  }
  t.same(peers.map(({ hits }) => hits), [10, 10])
  t.same(made.requests(), { 200: 20 })
  t.same(made.attempts(), { 200: 20 })
  t.equal(made.inflight, 0)
})

t.test('bodies of every kind', async t => {
  const peer = await startPeer(t, { handler: echo })
  const made = startDispatcher(t, [peer])
  const form = (form: { append: (name: string, value: string) => void }): never => {
    form.append('name', 'välue')
    return form as never
  }
  const bytes = new TextEncoder().encode('-body-')
  const bodies: Record<string, unknown> = {
    string: 'body',
    Buffer: Buffer.from('body'),
    'a part of a Uint8Array': bytes.subarray(1, 5),
    ArrayBuffer: bytes.slice(1, 5).buffer,
    Blob: new Blob(['body']),
    Readable: Readable.from(['bo', 'dy']),
    'an async generator': (async function * () { yield 'bo'; yield Buffer.from('dy') })(),
    'a generator': (function * () { yield 'bo'; yield bytes.subarray(3, 5) })(),
    'an iterable': ['bo', 'dy'],
    'a web stream': new Blob(['body']).stream(),
    'a stream of Node\'s earliest days': ancient(['bo', 'dy'])
  }
  for (const [name, body] of Object.entries(bodies)) {
    const got = await send(made, { method: 'POST', body: body as string })
    t.match(got, { status: 200 }, name)
    t.equal('text' in got && JSON.parse(got.text).body, 'body', name)
  }
  for (const [name, body] of [['undici\'s', form(new UndiciFormData())], ['Node\'s', form(new FormData())]] as const) {
    const got = await send(made, { method: 'POST', body })
    t.match('text' in got && JSON.parse(got.text), { body: /name="name"\r\n\r\nvälue\r\n/, headers: { 'content-type': /^multipart\/form-data; boundary=/ } }, `FormData, ${name}`)
  }
  const typed = await send(made, { method: 'PUT', body: new Blob(['{}'], { type: 'application/json' }) as never })
  t.match('text' in typed && JSON.parse(typed.text), { headers: { 'content-type': 'application/json', 'content-length': '2' } })
  const empty = await send(made, { method: 'POST', body: '' })
  t.match('text' in empty && JSON.parse(empty.text), { headers: { 'content-length': '0' } })
  t.same(made.requests(), { 200: 15 })
})

/** A stream that cannot be iterated over: it begins once somebody listens, and never waits. */
function ancient (parts: string[]): Stream {
  const stream = Object.assign(new Stream(), { readable: true, pause () {}, resume () {} })
  stream.on('newListener', word => {
    if (word !== 'data') return
    setImmediate(() => {
      for (const part of parts) stream.emit('data', part)
      stream.emit('end')
    })
  })
  return stream
}

t.test('a large body each way, as fast as the slower end reads', async t => {
  const size = 24 * 1024 * 1024
  let request: IncomingMessage | undefined
  const peer = await startPeer(t, {
    handler: (incoming, response) => {
      request = incoming
      if (incoming.method === 'POST') return
      pipeline(Readable.from(blocks(size)), response).catch(() => {})
    }
  })
  const made = startDispatcher(t, [peer])
  let produced = 0
  const source = (async function * () {
    for (const block of blocks(size)) {
      produced += block.length
      yield block
    }
  })()
  const sent = made.dispatcher.request({ origin: made.origin, path: '/', method: 'POST', body: source as never })
  await until(() => request !== undefined, { what: 'the upload' })
  const stalled = await settled(() => produced)
  t.ok(stalled < size / 2, `an upload that nobody reads stops after ${stalled} bytes`)
  let received = 0
  request?.on('data', chunk => { received += chunk.length })
  await once(request as IncomingMessage, 'end')
  t.equal(received, size)
  t.equal(produced, size)
  ;(request as IncomingMessage & { socket: Socket }).socket.end('HTTP/1.1 204 OK\r\nconnection: close\r\n\r\n')
  await (await sent).body.dump()

  const { body } = await made.dispatcher.request({ origin: made.origin, path: '/', method: 'GET' })
  const socket = request?.socket as Socket
  const written = await settled(() => socket.bytesWritten)
  t.ok(written < size / 2, `an answer that nobody reads stops after ${written} bytes`)
  let got = 0
  for await (const chunk of body) got += chunk.length
  t.equal(got, size)
  t.same(made.requests(), { 200: 1, 204: 1 })
})

/** `size` bytes in blocks. */
function * blocks (size: number): Generator<Buffer> {
  const block = Buffer.alloc(65536, 'x')
  for (let made = 0; made < size; made += block.length) yield block
}

/** The value once it is above 0 and has not changed for 20 looks. */
async function settled (look: () => number): Promise<number> {
  let last = 0
  let same = 0
  await until(() => {
    const now = look()
    same = now === last && now > 0 ? same + 1 : 0
    last = now
    return same === 20
  }, { what: 'a figure that stays' })
  return last
}

t.test('what was not sent goes to the next peer, whatever it is; what was sent only by the rules', async t => {
  const alive = await startPeer(t, { handler: echo })
  const made = startDispatcher(t, [await refused(), alive])
  // The dead one takes every other turn.
  for (let i = 0; i < 4; i++) {
    for (const body of ['body', Readable.from(['bo', 'dy']), (async function * () { yield 'body' })(), new Blob(['body'])]) {
      const got = await send(made, { method: 'POST', body: body as string })
      t.equal('text' in got && JSON.parse(got.text).body, 'body')
    }
  }
  t.equal(alive.hits, 16)
  t.same(made.requests(), { 200: 16 })
  t.match(made.attempts(), { 200: 16, connect: 8 })

  const bodies: string[] = []
  const resets = await startPeer(t, {
    handler: (request, response) => {
      request.on('data', chunk => bodies.push(String(chunk)))
      request.on('end', () => { if (request.url === '/503') response.writeHead(503).end(); else request.socket.resetAndDestroy() })
    }
  })
  const two = startDispatcher(t, [resets, alive])
  t.match(await send(two, {}), { status: 200 }, 'GET after a reset')
  // It is the other's turn; then again that of the one that resets.
  t.match(await send(two, {}), { status: 200 })
  t.match(await send(two, { method: 'POST', body: 'once' }), { code: 'FST_UPSTREAM_RESET' }, 'never POST')
  t.match(await send(two, {}), { status: 200 })
  const small = await send(two, { method: 'PUT', body: Readable.from(['sm', 'all']) })
  t.equal('text' in small && JSON.parse(small.text).body, 'small', 'a small stream is in hand')
  t.match(await send(two, {}), { status: 200 })
  t.match(await send(two, { path: '/503' }), { status: 200 }, 'GET after 503')
  t.match(await send(two, {}), { status: 200 })
  t.match(await send(two, { path: '/503', method: 'PUT', body: Readable.from([Buffer.alloc(70_000)]) }), { status: 503 }, 'a large stream is gone')
  t.same(two.requests(), { 200: 7, 502: 1, 503: 1 })
  t.equal(bodies.slice(0, 1).join(), 'once')

  const none = startDispatcher(t, [resets, alive], { retry: false })
  t.match(await send(none), { code: 'FST_UPSTREAM_RESET' }, 'nothing where retry is off')
})

t.test('errors have our codes, and are counted as what they are', async t => {
  const peer = await startPeer(t, {
    handler: (request, response) => {
      if (request.url === '/half') response.writeHead(200, { 'content-length': '100' }).write('half', () => setImmediate(() => request.socket.resetAndDestroy()))
      if (request.url === '/stall') response.writeHead(200, { 'content-length': '100' }).write('half')
      if (request.url === '/ok') response.end()
    }
  })
  const timeouts = { connect: 1000, headers: 50, body: 50, total: 5000 }
  const made = startDispatcher(t, [peer], { timeouts, retry: false })
  t.match(await send(made, { path: '/silent' }), { code: 'FST_UPSTREAM_TIMEOUT' })
  t.match(await send(made, { path: '/half' }), { code: 'FST_UPSTREAM_RESET' })
  t.match(await send(made, { path: '/stall' }), { code: 'FST_UPSTREAM_TIMEOUT' }, 'in the middle, too')
  t.match(await send(made, { headersTimeout: 1, bodyTimeout: 1, path: '/ok' }), { status: 200 }, 'the caller\'s own do not count')
  t.match(await send(startDispatcher(t, [await refused()])), { code: 'FST_UPSTREAM_CONNECT' })
  t.same(made.requests(), { 200: 1, 502: 1, 504: 2 })
  t.same(made.attempts(), { 200: 1, reset: 1, timeout: 2 })

  made.service.shed = 1
  t.match(await send(made, { path: '/ok' }), { code: 'FST_UPSTREAM_SHED', error: { statusCode: 503, retryAfter: 1 } })
  made.service.shed = 0
  const full = startDispatcher(t, [{ ...peerOf(peer), fields: { maxInflight: 1 } }])
  const first = await full.dispatcher.request({ origin: full.origin, path: '/stall', method: 'GET' })
  t.match(await send(full, { path: '/ok' }), { code: 'FST_UPSTREAM_QUEUE_FULL' })
  first.body.on('error', () => {}).destroy()
  const down = startDispatcher(t, [{ ...peerOf(peer), fields: { status: 'down' } }])
  t.match(await send(down), { code: 'FST_UPSTREAM_NO_PEER' })
  down.isSynced = false
  t.match(await send(down), { code: 'FST_UPSTREAM_NOT_READY' })
  t.same(down.requests(), { 503: 2 })

  t.match(await send(made, { origin: 'http://cart.upstream' }), { code: 'FST_UPSTREAM_UNKNOWN_SERVICE', error: { statusCode: 404, message: 'service "cart" is unknown' } })
  made.isSynced = false
  t.match(await send(made, { origin: 'http://cart.upstream' }), { code: 'FST_UPSTREAM_NOT_READY' })
  made.isClosed = true
  t.match(await send(made, { path: '/ok' }), { code: 'FST_UPSTREAM_NO_PEER', error: { cause: { message: 'the gateway was closed' } } })
  t.same(made.requests(), { 200: 1, 502: 1, 503: 1, 504: 2 })

  const fetched = await fetch('http://cart.upstream/', { dispatcher: down.dispatcher } as unknown as RequestInit).catch(error => error)
  t.match(fetched, { cause: { code: 'FST_UPSTREAM_NOT_READY' } }, 'fetch has them as the cause')
})

function peerOf ({ host, port }: TestPeer): { host: string, port: number } {
  return { host, port }
}

t.test('what cannot be sent', async t => {
  const peer = await startPeer(t, { handler: echo })
  const made = startDispatcher(t, [peer])
  const bad: Array<[string, object, RegExp]> = [
    ['a foreign origin', { origin: 'http://example.com' }, /app\.upstreams\.origin\(service\) gives, got "http:\/\/example\.com"/],
    ['a peer\'s own origin', { origin: peer.url }, /origin\(service\)/],
    ['by another scheme', { origin: 'https://shop.upstream' }, /origin\(service\)/],
    ['by another port', { origin: 'http://shop.upstream:81' }, /origin\(service\)/],
    ['no origin', { origin: undefined }, /origin\(service\)/],
    ['a tunnel', { method: 'CONNECT' }, /method/],
    ['no method', { method: undefined }, /method/],
    ['no path', { path: undefined }, /path/],
    ['a path elsewhere', { path: 'http://example.com/' }, /origin\(service\)/],
    ['a path at another service', { path: 'http://cart.upstream/' }, /path/],
    ['two queries', { path: '/?a', query: { b: 1 } }, /path/],
    ['an upgrade to nothing said', { upgrade: true }, /upgrade/],
    ['a header that is an object', { headers: { a: {} } }, /headers\.a/],
    ['a header that is a function', { headers: { a: [() => {}] } }, /headers\.a/],
    ['an odd array', { headers: ['a'] }, /headers/],
    ['a number for headers', { headers: 1 }, /headers/],
    ['a number for a name', { headers: [1, 'a'] }, /headers/],
    ['a number for a body', { body: 1 }, /body/],
    ['an object for a body', { body: {} }, /body/],
    ['a request that has been read or has left', { body: new IncomingMessage(new Socket()).destroy() }, /body/]
  ]
  for (const [name, options, message] of bad) {
    const told = await new Promise<Error & { code?: string }>(resolve => {
      const all = { origin: made.origin, path: '/', method: 'POST', ...options } as Dispatcher.DispatchOptions
      t.equal(made.dispatcher.dispatch(all, { onRequestStart: () => t.fail('begun'), onResponseError: (_controller, error) => resolve(error) }), false)
    })
    t.equal(told.code, 'FST_UPSTREAM_BAD_OPTION', name)
    t.match(told.message, message, name)
  }
  t.same(made.requests(), {}, 'none of them is a request')

  const undicis: Array<[string, Options]> = [
    ['UND_ERR_INVALID_ARG', { headers: { 'a b': 'c' } }],
    ['UND_ERR_INVALID_ARG', { path: '/a b' }],
    ['UND_ERR_NOT_SUPPORTED', { headers: { expect: '100-continue' } }],
    ['UND_ERR_REQ_CONTENT_LENGTH_MISMATCH', { method: 'POST', headers: { 'content-length': '5' }, body: 'four' }],
    ['UND_ERR_REQ_CONTENT_LENGTH_MISMATCH', { method: 'POST', headers: { 'content-length': '5' }, body: Readable.from(['too long']) }]
  ]
  for (const [code, options] of undicis) t.match(await send(made, options), { code }, code)
  const broken = Readable.from((async function * () { yield 'a'; throw Object.assign(new Error('mine'), { code: 'MINE' }) })())
  t.match(await send(made, { method: 'POST', body: broken }), { code: 'MINE', error: { message: 'mine' } }, 'the caller\'s own')
  const gone = new Readable()
  gone.on('error', () => {}).destroy(Object.assign(new Error('mine'), { code: 'MINE' }))
  await until(() => gone.closed, { what: 'the end of the stream' })
  t.match(await send(made, { method: 'POST', body: gone }), { code: 'MINE' }, 'a stream that broke before')
  t.match(await send(made, { method: 'POST', body: Readable.from([{}]) }), { code: 'ERR_INVALID_ARG_TYPE' }, 'a stream of something')
  t.same(made.attempts(), { aborted: 8 }, 'no fault of the peer\'s')
  t.same(made.requests(), { 400: 8 })
  t.throws(() => made.dispatcher.dispatch({ origin: made.origin, path: '/', method: 'GET' }, null as never), { code: 'UND_ERR_INVALID_ARG' })
})

t.test('origins, paths and headers in all their forms', async t => {
  const peer = await startPeer(t, { handler: echo })
  const made = startDispatcher(t, [peer])
  const seen = async (options: object): Promise<{ url: string, headers: Record<string, string> }> => {
    const got = await send(made, options)
    return JSON.parse('text' in got ? got.text : '{}')
  }
  for (const origin of [new URL(made.origin), 'http://shop.upstream/', 'http://SHOP.upstream:80', `${made.origin}:80`]) t.equal((await seen({ origin, path: '/p' })).url, '/p')
  const paths: Array<[object, string]> = [
    [{ path: '/a?b=c#d' }, '/a?b=c#d'],
    [{ path: '/a', query: { b: 'c d', e: ['f', 'g'] } }, '/a?b=c%20d&e=f&e=g'],
    [{ path: '/a', query: {} }, '/a'],
    [{ path: '/a', query: null }, '/a'],
    [{ path: 'http://shop.upstream/a/../b?c' }, '/a/../b?c'],
    [{ path: 'http://shop.upstream?c' }, '/?c'],
    [{ path: 'HTTP://shop.upstream', query: { a: 1 } }, '/?a=1']
  ]
  for (const [options, url] of paths) t.equal((await seen(options)).url, url, url)
  const forms: Array<[string, unknown]> = [
    ['an object', { 'X-One': 'a', 'x-two': ['b', 'c'], 'x-three': 3, 'x-none': undefined, 'x-empty': null, Host: 'mine' }],
    ['a flat array', ['X-One', 'a', 'x-two', 'b', 'x-two', 'c', 'x-three', '3', 'x-empty', '', 'host', 'mine']],
    ['pairs', [['X-One', 'a'], ['x-two', ['b', 'c']], ['x-three', '3'], ['x-empty', ''], ['HOST', 'mine']]],
    ['a Map', new Map<string, unknown>([['X-One', 'a'], ['x-two', ['b', 'c']], ['x-three', 3], ['x-empty', ''], ['host', 'mine']])],
    ['a Headers', new Headers([['X-One', 'a'], ['x-two', 'b'], ['x-two', 'c'], ['x-three', '3'], ['x-empty', ''], ['host', 'mine']])]
  ]
  for (const [name, headers] of forms) {
    const { 'x-one': one, 'x-two': two, 'x-three': three, 'x-empty': empty, 'x-none': none, host } = (await seen({ headers })).headers
    t.same({ one, two, three, empty, none, host }, { one: 'a', two: 'b, c', three: '3', empty: '', none: undefined, host: peer.id }, name)
  }
  t.same(Object.keys((await seen({ headers: null })).headers), ['host', 'connection'])
  for (const [host, expected] of [['peer', peer.id], ['shop.example', 'shop.example']] as const) {
    const other = startDispatcher(t, [peer], { host })
    const got = await send(other, { headers: { host: 'mine' } })
    t.equal('text' in got && JSON.parse(got.text).headers.host, expected, `host: '${host}'`)
  }
})

t.test('close and destroy close nothing', async t => {
  const peer = await startPeer(t)
  const made = startDispatcher(t, [peer])
  const { dispatcher } = made
  await dispatcher.close()
  await dispatcher.destroy()
  await dispatcher.destroy(new Error('no more'))
  await new Promise<void>(resolve => dispatcher.close(resolve))
  await new Promise<void>(resolve => dispatcher.destroy(resolve))
  await new Promise<void>(resolve => dispatcher.destroy(null, resolve))
  t.match(await send(made), { status: 200 })
})

t.test('trailers, and answers without a body', async t => {
  const server = createServer(socket => socket.on('data', data => {
    socket.write(String(data).startsWith('HEAD')
      ? 'HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n'
      : 'HTTP/1.1 103 Early Hints\r\nlink: a\r\n\r\nHTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x-sum\r\n\r\n2\r\nab\r\n0\r\nx-sum: 7\r\n\r\n')
  }))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const sockets = new Set<Socket>()
  server.on('connection', socket => sockets.add(socket))
  t.teardown(() => { for (const socket of sockets) socket.destroy(); server.close() })
  const made = startDispatcher(t, [{ host: '127.0.0.1', port: (server.address() as { port: number }).port }])
  const { body, trailers, statusCode } = await made.dispatcher.request({ origin: made.origin, path: '/', method: 'GET' })
  t.equal(statusCode, 200)
  t.equal(await body.text(), 'ab')
  t.same(trailers, { 'x-sum': '7' })
  const head = await made.dispatcher.request({ origin: made.origin, path: '/', method: 'HEAD' })
  t.equal(head.headers['content-length'], '9')
  t.equal(await head.body.text(), '')
  t.same(made.requests(), { 200: 2 })
})
