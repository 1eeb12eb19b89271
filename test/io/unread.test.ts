import { request as httpRequest } from 'node:http'
import t from 'tap'
import { startGateway, type TestGateway } from '../fixtures/gateway.js'
import { startPeer } from '../fixtures/peer.js'
import { until } from '../fixtures/wait.js'

const routes = [{ prefix: '/shop', service: 'shop' }]
/** More than all buffers on the way hold. */
const LARGE = Buffer.alloc(3_000_000)

const serviceOf = ({ app }: TestGateway) => app.upstreams.status().services[0]

t.test('an answer that nobody reads ends with the client\'s response, under its own status', async t => {
  const peer = await startPeer(t, { handler: (_request, response) => { response.writeHead(200, { 'content-type': 'a/b' }).end(LARGE) } })
  const hang = await startPeer(t, { handler: () => {} })
  const gateway = await startGateway(t, { peers: { shop: { [peer.id]: {} }, slow: { [hang.id]: {} } }, pool: { connections: 2 }, outlier: false }, app => {
    app.get('/instead', (_request, reply) => reply.forward('shop', { onResponse: (_request, reply) => { reply.removeHeader('content-length').send('mine') } }))
    app.get('/throws', { onSend: async () => { throw new Error('mine') } }, (_request, reply) => reply.forward('shop'))
    app.get('/page', { onSend: async (_request, reply) => { reply.removeHeader('content-length'); return 'mine' } }, (_request, reply) => reply.forward('shop'))
    app.get('/nothing', { onSend: async (_request, reply) => { reply.code(204).removeHeader('content-length'); return null } }, (_request, reply) => reply.forward('shop'))
    app.get('/sooner', (_request, reply) => {
      reply.forward('slow')
      // The handler gives up while the peer still hangs; it never answers, however long this takes.
      setTimeout(() => reply.send('mine'), 50)
    })
  })
  for (const path of ['/instead', '/throws', '/page', '/nothing', '/sooner']) {
    const answers = await gateway.sendMany(4, path)
    t.same(new Set(answers.map(({ status }) => status)), new Set([path === '/throws' ? 500 : path === '/nothing' ? 204 : 200]), path)
    await until(() => gateway.app.upstreams.status().services.every(({ inflight }) => inflight === 0), { what: `end of what is in flight after ${path}`, timeout: 3000 })
  }
  t.match(serviceOf(gateway)?.peers[0], { responses: { '2xx': 16 }, errors: { aborted: 0, reset: 0 } })
  await gateway.app.upstreams.drain('shop', peer.id)
})

t.test('who leaves a short answer unread leaves the connection to others', async t => {
  // The rest comes in a pass of its own, however late.
  const peer = await startPeer(t, { handler: (_request, response) => { response.writeHead(200, { 'content-type': 'a/b' }); response.write('a'); setTimeout(() => response.end('b'), 20) } })
  const gateway = await startGateway(t, { peers: { shop: { [peer.id]: {} } }, routes: [{ ...routes[0], prefix: '/shop', service: 'shop', onSend: async (_request, reply) => { reply.removeHeader('content-length'); return 'mine' } }] })
  for (let i = 0; i < 3; i++) {
    t.match(await gateway.send('/shop'), { status: 200, body: 'mine' })
    await until(() => serviceOf(gateway)?.inflight === 0)
  }
  t.equal(peer.connections, 1)
})

t.test('a body that was read is not forwarded again, as if the rest of it were the whole', async t => {
  const seen: string[] = []
  const refuses = await startPeer(t, { handler: (_request, response) => { response.writeHead(404, { 'content-type': 'text/plain' }).end('no') } })
  const takes = await startPeer(t, {
    handler: (request, response) => {
      let body = ''
      request.on('data', chunk => { body += String(chunk) })
      request.on('end', () => { seen.push(body); response.end(`${request.method} ${body}`) })
    }
  })
  const gateway = await startGateway(t, { peers: { shop: { [refuses.id]: {} }, other: { [takes.id]: {} } } }, app => {
    const again = { onResponse: (_request: unknown, reply: { forward: (service: string) => unknown }, { stream }: { stream: { resume: () => unknown } }) => { stream.resume(); reply.forward('other') } } as object
    app.all('/parsed', (_request, reply) => reply.forward('shop', again))
    app.register(async child => {
      child.removeAllContentTypeParsers()
      child.addContentTypeParser('*', (_request, payload, done) => done(null, payload))
      child.post('/stream', (_request, reply) => reply.forward('shop', again))
    })
  })
  const answer = await new Promise<{ status: number | undefined, body: string }>((resolve, reject) => {
    const request = httpRequest(`${gateway.url}/stream`, { method: 'POST', headers: { 'content-type': 'a/b' } }, response => {
      let body = ''
      response.on('data', chunk => { body += String(chunk) })
      response.on('end', () => resolve({ status: response.statusCode, body }))
      request.end('end')
    })
    request.on('error', reject)
    request.write('start')
  })
  t.match(answer, { status: 500, body: /the body of this request has been read/ })
  t.match(await gateway.send('/stream', { method: 'POST', body: 'small', headers: { 'content-type': 'a/b' } }), { status: 500 })
  t.same(seen, [], 'no part of it')
  t.match(await gateway.send('/parsed', { method: 'POST', body: '{"a":1}', headers: { 'content-type': 'application/json' } }), { status: 200, body: 'POST {"a":1}' })
  t.match(await gateway.send('/parsed'), { status: 200, body: 'GET ' })
  t.match(await gateway.send('/parsed', { method: 'DELETE' }), { status: 200, body: 'DELETE ' })
})

t.test('a body that Fastify has not come to yet goes on', async t => {
  const echo = await startPeer(t, {
    handler: (request, response) => {
      let body = ''
      request.on('data', chunk => { body += String(chunk) })
      request.on('end', () => { response.end(`${request.method} ${request.headers['content-length'] ?? request.headers['transfer-encoding'] ?? 'none'} ${body}`) })
    }
  })
  const gateway = await startGateway(t, { peers: { shop: { [echo.id]: {} } } }, app => {
    app.route({ method: ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'], url: '/early', onRequest: (_request, reply) => { reply.forward('shop') }, handler: () => {} })
    app.post('/read', { onRequest: async request => { await new Promise(resolve => request.raw.on('data', () => {}).once('end', resolve)) } }, (_request, reply) => reply.forward('shop', { headers: { 'content-length': undefined } }))
    app.removeAllContentTypeParsers()
    app.addContentTypeParser('*', (_request, _payload, done) => { done(null) })
  })
  const chunked = async function * () { yield Buffer.from('hel'); yield Buffer.from('lo') }
  for (const method of ['POST', 'PUT', 'PATCH', 'DELETE', 'GET'] as const) {
    t.match(await gateway.send('/early', { method, body: 'hello', headers: { 'content-type': 'text/plain' } }), { status: 200, body: `${method} 5 hello` })
    t.match(await gateway.send('/early', { method, body: chunked(), headers: { 'content-type': 'text/plain' } }), { status: 200, body: `${method} chunked hello` })
    t.match(await gateway.send('/early', { method }), { status: 200, body: new RegExp(`^${method} (?:0|none) $`) })
  }
  t.match(await gateway.send('/read', { method: 'POST', body: 'hello', headers: { 'content-type': 'text/plain' } }), { status: 200, body: 'POST 0 ' }, 'what a hook has read is not sent')
})

t.test('an answer that the peer broke is an error of the service, whoever was cut off', async t => {
  const cut = await startPeer(t, {
    handler: (request, response) => {
      response.writeHead(200, { 'content-type': 'text/plain', 'content-length': '100' })
      // The client has the first half by then, or is told so by a reset: it fails either way.
      response.write('half', () => { if (request.url === '/reset') setTimeout(() => request.socket.destroy(), 30) })
    }
  })
  for (const [path, code] of [['/shop/reset', 502], ['/shop/silence', 504]] as const) {
    const gateway = await startGateway(t, { peers: { shop: { [cut.id]: {} } }, routes, timeouts: { body: 300 }, outlier: false })
    await t.rejects(gateway.send(path))
    await until(() => serviceOf(gateway)?.errorRate === 1, { what: `error rate after ${code}` })
    const left = new AbortController()
    const asked = fetch(`${gateway.url}/shop/silence`, { signal: left.signal }).then(async answer => await answer.text())
    await until(() => serviceOf(gateway)?.inflight === 1)
    left.abort()
    await t.rejects(asked)
    await until(() => serviceOf(gateway)?.peers[0]?.errors.aborted === 1, { what: 'the client that left' })
    t.match(serviceOf(gateway), { errorRate: 1 }, 'who left counts in neither part of the rate')
  }
})

t.test('a request that was forwarded twice is one request, and one of each service', async t => {
  const peer = await startPeer(t)
  const gateway = await startGateway(t, { peers: { shop: { [peer.id]: {} }, other: { [peer.id]: {} } } }, app => {
    app.get('/', (_request, reply) => reply.forward('shop', { onResponse: (_request, reply, response) => { (response.stream as unknown as NodeJS.ReadableStream).resume(); reply.forward('other') } }))
  })
  await gateway.sendMany(3, '/')
  await until(() => gateway.app.upstreams.tps(60) > 0, { what: 'the full second' })
  t.equal(Math.round(gateway.app.upstreams.tps(60) * 60), 3)
  t.match(gateway.app.upstreams.status().services.map(({ name, peers }) => [name, peers[0]?.responses['2xx']]), [['other', 3], ['shop', 3]])
})

t.test('trailers that a peer announces are announced where they can be sent', async t => {
  const peer = await startPeer(t, {
    handler: (_request, response) => {
      response.writeHead(200, { 'content-type': 'text/plain', trailer: 'x-sum' })
      response.write('abc')
      // A body that does not come whole with its headers.
      setTimeout(() => {
        response.addTrailers({ 'x-sum': '1' })
        response.end()
      }, 20)
    }
  })
  const gateway = await startGateway(t, { peers: { shop: { [peer.id]: {} } }, routes }, app => {
    app.get('/buffered', {
      onSend: async (_request, _reply, payload) => {
        let text = ''
        for await (const chunk of payload as AsyncIterable<Buffer>) text += String(chunk)
        return text.toUpperCase()
      }
    }, (_request, reply) => reply.forward('shop'))
    app.get('/length', { onSend: async (_request, reply, payload) => { reply.header('content-length', '3'); return payload } }, (_request, reply) => reply.forward('shop'))
  })
  for (const [path, body] of [['/buffered', 'ABC'], ['/length', 'abc']] as const) {
    const { status, headers, body: got } = await gateway.send(path)
    t.match({ status, body: got, trailer: headers.trailer, length: headers['content-length'] }, { status: 200, body, trailer: undefined, length: '3' }, path)
  }
  const told = await new Promise((resolve, reject) => {
    httpRequest(`${gateway.url}/shop`, response => {
      response.resume().on('end', () => resolve({ trailer: response.headers.trailer, trailers: response.trailers }))
    }).on('error', reject).end()
  })
  t.same(told, { trailer: 'x-sum', trailers: { 'x-sum': '1' } })
})
