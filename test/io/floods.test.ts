import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { startGateway, type TestGateway } from '../fixtures/gateway.js'
import { ask, portOf, startRawPeer, type RawPeer } from '../fixtures/raw.js'
import { until } from '../fixtures/wait.js'

const OK = 'HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 2\r\n\r\nok'

interface Stage {
  readonly peer: RawPeer
  readonly gateway: TestGateway
  readonly port: number
  readonly inflight: () => unknown
  /** Nothing is in flight, and a request is answered. */
  readonly lives: () => Promise<void>
}

async function stage (t: Test, timeouts: object = {}, server: object = {}): Promise<Stage> {
  const peer = await startRawPeer(t, { answer: socket => { socket.write(OK) } })
  const gateway = await startGateway(t, { peers: { all: { [peer.id]: {} } }, routes: [{ prefix: '/', service: 'all' }], outlier: false, inspect: false, retry: false, timeouts }, () => {}, server)
  const inflight = (): unknown => gateway.app.upstreams.status().services[0]?.inflight
  return {
    peer,
    gateway,
    port: portOf(gateway.url),
    inflight,
    lives: async () => {
      await until(() => inflight() === 0, { what: 'the end of what is in flight', timeout: 3000 })
      t.match(await gateway.send('/lives'), { status: 200, body: 'ok' })
    }
  }
}

async function open (t: Test, port: number): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true })
  socket.on('error', () => {})
  t.teardown(() => socket.destroy())
  await once(socket, 'connect')
  return socket
}

t.test('too many or too large headers are refused, and what is let through arrives once', async t => {
  const { peer, port, lives } = await stage(t)
  const lines = (n: number, line: (i: number) => string): string => Array.from({ length: n }, (_, i) => `${line(i)}\r\n`).join('')
  const floods: ReadonlyArray<readonly [string, string, number]> = [
    ['a header of 20 KiB', `GET /flood HTTP/1.1\r\nHost: x\r\nX: ${'v'.repeat(20_000)}\r\n\r\n`, 431],
    ['a header of 1 MiB', `GET /flood HTTP/1.1\r\nHost: x\r\nX: ${'v'.repeat(1_000_000)}\r\n\r\n`, 431],
    ['a target of 20 KiB', `GET /${'v'.repeat(20_000)} HTTP/1.1\r\nHost: x\r\n\r\n`, 431],
    ['5000 headers', `GET /flood HTTP/1.1\r\nHost: x\r\n${lines(5000, i => `X-${i}: v`)}\r\n`, 431],
    ['a name of 20 KiB', `GET /flood HTTP/1.1\r\nHost: x\r\n${'X'.repeat(20_000)}: v\r\n\r\n`, 431],
    ['20,000 names in Connection', `GET /flood HTTP/1.1\r\nHost: x\r\nConnection: ${'a,'.repeat(20_000)}\r\n\r\n`, 431],
    ['trailers of 20 KiB', `POST /flood HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: ${'v'.repeat(20_000)}\r\n\r\n`, 431],
    ['a chunk extension of 20 KiB', `POST /flood HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1;${'v'.repeat(20_000)}\r\nx\r\n0\r\n\r\n`, 413],
    ['7000 names in Connection', `GET /flood HTTP/1.1\r\nHost: x\r\nConnection: ${'a,'.repeat(7000)}close\r\n\r\n`, 200],
    ['1000 headers of one name', `GET /flood HTTP/1.1\r\nHost: x\r\nConnection: close\r\n${lines(1000, () => 'X: v')}\r\n`, 200],
    ['1000 cookies', `GET /flood HTTP/1.1\r\nHost: x\r\nConnection: close\r\n${lines(1000, () => 'Cookie: a')}\r\n`, 200]
  ]
  for (const [name, bytes, expected] of floods) {
    peer.forget()
    const { answers: [answer], ended } = await ask(port, bytes, { answers: 1 })
    const status = Number(answer?.line.slice(9, 12))
    // Who is told while it still writes may see no more than a reset.
    t.ok(status === expected || (expected >= 400 && (ended === 'reset' || (status >= 400 && status < 500))), `${name}: ${answer?.line ?? ended}`)
    t.equal(peer.requests.length, expected === 200 ? 1 : 0, name)
    t.same(peer.faults, [], name)
    await lives()
  }
})

t.test('clients that dribble their headers hold nobody up, reach no peer and are sent away', async t => {
  const { peer, port, lives } = await stage(t, {}, { http: { headersTimeout: 400, connectionsCheckingInterval: 100 } })
  const clients = await Promise.all(Array.from({ length: 100 }, async () => await open(t, port)))
  const closed = Promise.all(clients.map(async client => await new Promise(resolve => client.once('close', resolve).resume())))
  for (const client of clients) client.write('GET /slow HTTP/1.1\r\nHost: x\r\n')
  const dribbling = setInterval(() => { for (const [i, client] of clients.entries()) if (client.writable) client.write(`X-${i}: v\r\n`) }, 30)
  t.teardown(() => clearInterval(dribbling))
  await lives()
  t.same(peer.requests.map(({ line }) => line), ['GET /lives HTTP/1.1'])
  await closed
  clearInterval(dribbling)
  t.equal(peer.requests.length, 1)
  await lives()
})

t.test('a body that dribbles holds no more than its own request, and ends with the total time-out', async t => {
  const { peer, gateway, port, inflight, lives } = await stage(t, { total: 500, headers: 5000 })
  peer.options = { answer: (socket, { line }) => { if (!line.startsWith('POST')) socket.write(OK) } }
  for (const [head, drop] of [['Content-Length: 100000', 'x'], ['Transfer-Encoding: chunked', '1\r\nx\r\n']] as const) {
    const client = await open(t, port)
    let said = ''
    client.on('data', chunk => { said += String(chunk) })
    client.write(`POST /slow HTTP/1.1\r\nHost: x\r\n${head}\r\n\r\n${drop}`)
    const started = performance.now()
    const dribbling = setInterval(() => { if (client.writable) client.write(drop) }, 20)
    t.teardown(() => clearInterval(dribbling))
    await until(() => inflight() === 1 && peer.pending.length === 1, { what: 'the request at the peer' })
    t.match(await gateway.send('/meanwhile'), { status: 200 })
    t.equal(inflight(), 1)
    await until(() => said !== '' || client.closed, { what: 'an answer', timeout: 3000 })
    t.match(said, /^HTTP\/1\.1 504 .*FST_UPSTREAM_TIMEOUT/s, head)
    t.ok(performance.now() - started < 2000, 'in time')
    await until(() => inflight() === 0 && peer.pending.length === 0, { what: 'the release of the peer', timeout: 2000 })
    clearInterval(dribbling)
    client.destroy()
    t.notOk(peer.requests.some(({ line }) => line.startsWith('POST')), 'no half request is a request')
    await lives()
  }
  // One that stops altogether.
  const { answers: [answer] } = await ask(port, 'POST /slow HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc')
  t.match(answer?.line, /^HTTP\/1\.1 504 /)
  await lives()
})

t.test('clients that leave at any moment leave nothing behind', async t => {
  const { peer, port, inflight, lives } = await stage(t)
  peer.options = {
    answer: (socket, { line }) => {
      // Late enough for some of the clients to have left; nothing is proven by how late it is.
      if (line.includes('/late')) setTimeout(() => { if (!socket.destroyed) socket.write(OK) }, 20)
      else if (line.includes('/half')) socket.write(OK.replace(': 2', ': 200'))
      else socket.write(OK)
    }
  }
  const says = ['GET /late HTTP/1.1\r\nHost: x\r\n\r\n', 'GET /half HTTP/1.1\r\nHost: x\r\n\r\n', 'GET /now HTTP/1.1\r\nHost: x\r\n\r\n', 'POST /late HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc', 'GET /late HTTP/1.1\r\nHo']
  await Promise.all(Array.from({ length: 200 }, async (_, i) => {
    const client = await open(t, port)
    client.write(says[i % says.length] ?? '')
    // The moments at which clients leave: what is proven holds for any of them.
    await sleep(i % 7 * 5)
    if (i % 2 === 0) client.resetAndDestroy()
    else client.destroy()
  }))
  await until(() => inflight() === 0, { what: 'the end of all', timeout: 3000 })
  peer.options = { answer: socket => { socket.write(OK) } }
  await lives()
})

t.test('clients that do not read hold the peer up, not the memory', async t => {
  const { peer, port, inflight, lives } = await stage(t, { body: 200 })
  let taken = 0
  const pieces = 64
  peer.options = {
    answer: socket => {
      socket.write(`HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: ${pieces * 2 ** 20}\r\n\r\n`)
      for (let i = 0; i < pieces; i++) socket.write(Buffer.alloc(2 ** 20, 'x'), error => { if (error == null) taken++ })
    }
  }
  const client = await open(t, port)
  client.write('GET /large HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')
  await once(client, 'readable')
  // Twice timeouts.body: that nothing moves is the client's doing, not the peer's.
  await sleep(500)
  t.ok(taken < pieces / 2, `${taken} MiB of ${pieces}`)
  t.equal(inflight(), 1)
  let read = 0
  for await (const chunk of client) read += chunk.length
  t.ok(read > pieces * 2 ** 20, 'and all of it comes once it reads')
  peer.options = { answer: socket => { socket.write(OK) } }
  await lives()
})
