import { once } from 'node:events'
import { request as httpRequest } from 'node:http'
import { Readable } from 'node:stream'
import { createServer as createTlsServer, type TLSSocket } from 'node:tls'
import t, { type Test } from 'tap'
import { FormData, request } from 'undici'
import type { Outbound } from '../../../lib/io/carrier.js'
import { startGateway } from '../../fixtures/gateway.js'
import { startH2 } from '../../fixtures/h2.js'
import { http2To, stream } from '../../fixtures/h2-carrier.js'
import { pem } from '../../fixtures/pem.js'
import { until } from '../../fixtures/wait.js'

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
  const { ask } = http2To(t, id)
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
  const { ask } = http2To(t, id)
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
  const { ask } = http2To(t, id)
  const endless = new Readable({ read () { setImmediate(() => this.push(Buffer.alloc(1000))) } })
  t.match(await ask({ method: 'POST', body: endless }).answered, { body: 'early' })
  await until(() => endless.destroyed && seen.open === 0, { what: 'the end of the upload' })
  t.match(await ask().answered, { body: 'early' })
  t.equal(seen.sessions, 1)
})

t.test('who takes no more holds up the peer', async t => {
  const size = 4 * 2 ** 20
  const { id } = await startH2(t, (_request, response) => { response.end(Buffer.alloc(size, 'x')) })
  const { ask } = http2To(t, id)
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

t.test('uploads that wait to be sent keep no answer out', async t => {
  const { id, seen } = await startH2(t, (request, response) => {
    if (request.url === '/quick') response.end('quick')
    // Not before all of them are there.
    else until(() => seen.open >= 40, { what: 'all requests' }).then(() => request.resume().on('end', () => response.end('slow')), t.fail)
  })
  const { ask } = http2To(t, id, 1)
  await ask({ path: '/quick' }).answered
  const uploads = Array.from({ length: 40 }, () => ask({ method: 'POST', path: '/slow', body: Buffer.alloc(2 ** 20) }))
  const quick = Array.from({ length: 20 }, () => ask({ path: '/quick' }))
  for (const { answered } of quick) t.match(await answered, { status: 200, body: 'quick' })
  for (const { answered } of uploads) t.match(await answered, { status: 200, body: 'slow' })
})

t.test('an answer with many fields', async t => {
  const many = Object.fromEntries(Array.from({ length: 300 }, (_, i) => [`x-${i}`, String(i)]))
  const { id } = await startH2(t, (_request, response) => { response.writeHead(200, many).end() })
  const { fields } = await http2To(t, id).ask().answered
  t.match(fields, many)
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
  const { ask } = http2To(t, id)
  // Without an error code, internal error, refused (twice, or once it was answered), cancelled.
  for (const when of ['before', 'middle']) {
    for (const how of ['quietly', '2', '7', '8', 'session']) await t.rejects(ask({ path: `/${when}/${how}` }).answered, `${when}, ${how}`)
  }
})

/** A peer that sends its settings, none, and these frames once so many bytes have come. */
async function startFrames (t: Test, frames: string, when: number): Promise<string> {
  const sockets = new Set<TLSSocket>()
  const server = createTlsServer({ cert: pem('server.pem'), key: pem('server.key'), ALPNProtocols: ['h2'] }, socket => {
    sockets.add(socket)
    let length = 0
    socket.on('error', () => {}).on('data', chunk => {
      length += chunk.length
      if (length >= when && length - chunk.length < when) socket.write(frames, 'hex')
    }).write('000000040000000000', 'hex')
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return `127.0.0.1:${(server.address() as { port: number }).port}`
}

t.test('a peer that answers and takes no more of the body', async t => {
  // :status: 413, and the end of the stream.
  const { carrier, ask } = http2To(t, await startFrames(t, '0000050105000000010803343133', 60_000))
  t.match(await ask({ method: 'POST', body: Buffer.alloc(200_000) }).answered, { status: 413, body: '' })
  // It would wait for the request to end.
  await carrier.close()
})
