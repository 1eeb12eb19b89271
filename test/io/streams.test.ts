import { once } from 'node:events'
import { get, request as httpRequest, type ClientRequest, type IncomingMessage, type ServerResponse } from 'node:http'
import { connect, type Socket } from 'node:net'
import t from 'tap'
import type { UpstreamEtcdOptions } from '../../lib/index.js'
import { startGateway } from '../fixtures/gateway.js'
import { startPeer, type PeerOptions } from '../fixtures/peer.js'
import { until } from '../fixtures/wait.js'

type T = Parameters<typeof startGateway>[0]

const MB = 1024 * 1024

/** One peer, and a gateway in front of it. */
async function begin (t: T, handler: NonNullable<PeerOptions['handler']>, options: Omit<UpstreamEtcdOptions, 'etcd'> = {}) {
  const peer = await startPeer(t, { handler })
  const gateway = await startGateway(t, { peers: { shop: { [peer.id]: {} } }, routes: [{ prefix: '/', service: 'shop' }], outlier: false, ...options })
  return { ...gateway, peer, told: () => gateway.app.upstreams.status().services[0]?.peers[0] }
}

async function text (response: IncomingMessage): Promise<string> {
  let body = ''
  for await (const chunk of response) body += String(chunk)
  return body
}

/** Writes `bytes` as fast as they are taken, then ends unless said. `written` is how much that is so far. */
function pour (into: ClientRequest | ServerResponse | Socket, bytes: number, isAll = true): { written: number } {
  const state = { written: 0 }
  const chunk = Buffer.alloc(65_536, 'x')
  const more = (): void => {
    let takes = true
    while (takes && state.written < bytes && !into.destroyed) {
      state.written += chunk.length
      takes = into.write(chunk)
    }
    if (isAll && state.written >= bytes) into.end()
  }
  into.on('drain', more)
  more()
  return state
}

/** Resolves when a number has not changed for a while. */
async function standstill (value: () => number): Promise<number> {
  let before = -1
  await until(async () => {
    await new Promise(resolve => setTimeout(resolve, 100))
    const same = value() === before && before > 0
    before = value()
    return same
  }, { what: 'standstill' })
  return before
}

const memory = (): number => {
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

t.test('headers go ahead of the body, and each event as it is sent', async t => {
  let stream: ServerResponse | undefined
  const { url, told } = await begin(t, (_request, response) => {
    stream = response
    response.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders()
  })
  const client = get(url)
  const [response] = await once(client, 'response') as [IncomingMessage]
  t.match([response.statusCode, response.headers['content-type']], [200, 'text/event-stream'])
  // Each is sent when the one before has come: none waits for another.
  response.setEncoding('utf8')
  for (let i = 0; i < 5; i++) {
    const event = `data: ${i}\n\n`
    stream?.write(event)
    t.same(await once(response, 'data'), [event])
  }
  stream?.end()
  await once(response, 'end')
  await until(() => told()?.inflight === 0, { what: 'the end of the attempt' })
})

t.test('trailers, early hints', async t => {
  const { url } = await begin(t, (_request, response) => {
    response.writeEarlyHints({ link: '</style.css>; rel=preload' })
    response.writeHead(200, { 'content-type': 'text/plain', trailer: 'x-sum' })
    response.write('body')
    response.addTrailers({ 'x-sum': '42' })
    setTimeout(() => response.end(' and more'), 20)
  })
  const [response] = await once(get(url), 'response') as [IncomingMessage]
  t.equal(response.statusCode, 200)
  t.equal(await text(response), 'body and more')
  t.match(response.trailers, { 'x-sum': '42' })
})

t.test('100-continue', async t => {
  const { url, peer } = await begin(t, (request, response) => {
    let body = ''
    request.on('data', chunk => { body += String(chunk) }).on('end', () => response.end(`got ${body}`))
  })
  const client = connect(Number(new URL(url).port), '127.0.0.1')
  let answer = ''
  client.setEncoding('utf8').on('data', text => { answer += text })
  client.write('PUT / HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\n')
  await until(() => answer.startsWith('HTTP/1.1 100 Continue\r\n\r\n'), { what: '100 Continue' })
  t.equal(peer.hits, 0)
  client.write('hello')
  await until(() => answer.endsWith('got hello'), { what: 'the answer' })
  t.match(answer, /HTTP\/1\.1 200 OK\r\n/)
  t.notOk('expect' in (peer.requests[0]?.headers ?? {}))
  client.destroy()
})

t.test('an early answer to an upload comes whole, and the next request works', async t => {
  const refusal = 'too large, says the peer. '.repeat(400)
  const ways: Record<string, NonNullable<PeerOptions['handler']>> = {
    'reads the rest': (request, response) => {
      response.writeHead(413, { 'content-type': 'text/plain' }).end(refusal)
      request.resume()
    },
    'reads no more': (request, response) => {
      request.pause()
      response.writeHead(413, { 'content-type': 'text/plain', 'content-length': refusal.length })
      response.write(refusal)
    },
    'closes in order': (request, response) => {
      request.resume()
      response.writeHead(413, { 'content-type': 'text/plain', connection: 'close' }).end(refusal)
    }
  }
  for (const [way, refuse] of Object.entries(ways)) {
    const { url, told } = await begin(t, (request, response) => {
      if (request.method === 'GET') response.end('next')
      else refuse(request, response)
    })
    for (const method of ['POST', 'PUT']) {
      // Node's own client stops sending at an answer; many others first send all and then read.
      const client = connect(Number(new URL(url).port), '127.0.0.1')
      let answer = ''
      client.on('error', () => {}).setEncoding('latin1').on('data', text => { answer += text })
      client.write(`${method} / HTTP/1.1\r\nhost: x\r\ncontent-type: application/octet-stream\r\ncontent-length: ${20 * MB}\r\n\r\n`)
      const sent = pour(client, 20 * MB, false)
      await until(() => answer.includes('\r\n\r\n') && (answer.endsWith(refusal) || !answer.includes(' 413 ') || answer.endsWith('\r\n0\r\n\r\n')), { what: 'an answer' })
      t.match(answer, /^HTTP\/1\.1 413 /, `${method}, a peer that ${way}`)
      t.ok(answer.includes(refusal), 'all of the answer')
      await until(() => (sent.written >= 20 * MB && client.writableLength === 0) || client.destroyed, { what: 'the end of the upload' })
      t.equal(client.destroyed, false, 'what it sends is read away')
      answer = ''
      client.write('GET / HTTP/1.1\r\nhost: x\r\n\r\n')
      await until(() => answer.endsWith('next') || client.destroyed, { what: 'the next answer' })
      t.match(answer, /^HTTP\/1\.1 200 /)
      client.destroy()
    }
    await until(() => told()?.inflight === 0, { what: 'the end of the attempts' })
    t.match(told()?.errors, { connect: 0, timeout: 0, aborted: 0 })
  }
})

t.test('a download of 200 MB by a client that waits takes no memory', async t => {
  let poured = { written: 0 }
  const { url } = await begin(t, (_request, response) => {
    response.writeHead(200, { 'content-type': 'application/octet-stream' })
    poured = pour(response, 200 * MB)
  })
  const before = memory()
  const [response] = await once(get(url), 'response') as [IncomingMessage]
  response.pause()
  const waiting = await standstill(() => poured.written)
  t.ok(waiting < 40 * MB, `${Math.round(waiting / MB)} MB are under way, nearly all in the buffers of the system`)
  let got = 0
  let most = 0
  let pauses = 0
  for await (const chunk of response) {
    got += chunk.length
    if (got < pauses * 20 * MB) continue
    pauses++
    most = Math.max(most, memory() - before)
    await new Promise(resolve => setTimeout(resolve, 10))
  }
  t.equal(got, 200 * MB)
  t.ok(most < 64 * MB, `${Math.round(most / MB)} MB more at the most`)
})

t.test('an upload of 200 MB to a peer that waits takes no memory', async t => {
  let incoming: IncomingMessage | undefined
  let got = 0
  const { url } = await begin(t, (request, response) => {
    incoming = request
    request.pause()
    request.on('end', () => response.end('all'))
  })
  const before = memory()
  const client = httpRequest(url, { method: 'POST', agent: false })
  const answered = once(client, 'response')
  const poured = pour(client, 200 * MB)
  const waiting = await standstill(() => poured.written)
  t.ok(waiting < 40 * MB, `${Math.round(waiting / MB)} MB are under way, nearly all in the buffers of the system`)
  t.ok(memory() - before < 48 * MB, `${Math.round((memory() - before) / MB)} MB more while it waits`)
  incoming?.on('data', chunk => { got += chunk.length })
  incoming?.resume()
  const [response] = await answered as [IncomingMessage]
  t.equal(await text(response), 'all')
  t.equal(got, 200 * MB)
})
