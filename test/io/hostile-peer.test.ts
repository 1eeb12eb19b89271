import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { startGateway, type TestGateway } from '../fixtures/gateway.js'
import { ask, bytesOf, play, portOf, startRawPeer, type RawPeer, type Reply } from '../fixtures/raw.js'
import { until } from '../fixtures/wait.js'
import { garbage, GET, head, ok, type Outcome } from '../wire/garbage.js'

interface Stage {
  readonly peer: RawPeer
  readonly gateway: TestGateway
  readonly get: (patience?: number, request?: string) => Promise<Reply>
  /** Nothing is in flight, and the next request of the same service is answered with its own answer. */
  readonly lives: () => Promise<void>
}

async function stage (t: Test, options: object = {}): Promise<Stage> {
  const peer = await startRawPeer(t)
  const gateway = await startGateway(t, {
    peers: { bad: { [peer.id]: {} } },
    routes: [{ prefix: '/bad', service: 'bad' }],
    outlier: false,
    retry: false,
    inspect: false,
    timeouts: { connect: 500, headers: 300, body: 300, total: 5000 },
    ...options
  })
  const inflight = (): unknown => gateway.app.upstreams.status().services[0]?.inflight
  let n = 0
  const get = async (patience = 4000, request = GET) => await ask(portOf(gateway.url), request, { methods: [request.split(' ')[0] ?? ''], answers: Infinity, patience })
  return {
    peer,
    gateway,
    get,
    lives: async () => {
      await until(() => inflight() === 0, { what: 'the end of what is in flight', timeout: 3000 })
      const own = `answer ${n++}`
      peer.options = { answer: socket => { socket.write(ok(own)) } }
      const { answers } = await get()
      t.match(answers[0], { line: 'HTTP/1.1 200 OK' })
      t.equal(answers[0]?.body.toString(), own, 'its own answer')
      await until(() => inflight() === 0, { what: 'the end of the next', timeout: 3000 })
    }
  }
}

function outcome (t: Test, name: string, { answers, complete, raw, ended }: Reply, expected: Outcome): void {
  const [answer] = answers
  const status = Number(answer?.line.slice(9, 12))
  const isError = complete && (status === 502 || status === 504)
  const isCut = !complete && ended !== 'silent'
  t.ok(answers.length < 2, `${name}: one answer`)
  if (typeof expected === 'object') t.equal(complete ? answer?.body.toString('latin1') : 'cut', expected.body, name)
  if (expected === 'error') t.ok(isError, `${name}: ${raw.toString('latin1').slice(0, 80)} ${ended}`)
  if (expected === 'cut') t.ok(isCut, `${name}: ${raw.toString('latin1').slice(0, 80)} ${ended}`)
  if (expected === 'error or cut') t.ok(isError || isCut, `${name}: ${raw.toString('latin1').slice(0, 80)} ${ended}`)
  if (expected === 'odd') t.ok(isError || (complete && status < 500), `${name}: ${raw.toString('latin1').slice(0, 80)} ${ended}`)
  if (status >= 500) t.notMatch(answer?.body.toString('latin1'), /127\.0\.0\.1|ECONN|undici|socket|parse/i, `${name}: nothing is told of the peer`)
}

t.test('whatever a peer answers, the client gets something clean and the next request its own answer', async t => {
  const { peer, get, lives } = await stage(t)
  for (const [name, script, expected] of garbage) {
    peer.options = { answer: socket => { play(socket, script).then(() => socket.end(), () => {}) } }
    outcome(t, name, await get(), expected)
    await lives()
  }
})

t.test('the same, from a peer that leaves its connection open', async t => {
  const { peer, get, lives } = await stage(t)
  const names = /^(?:noise|SSH|HTML|longer|two answers|two lengths|a length|chunk size "zz"|a chunk longer|status 700|status 99|204|304|101|gzip)/
  for (const [name, script, expected] of garbage.filter(([name]) => names.test(name))) {
    peer.options = { answer: socket => { play(socket, script).catch(() => {}) } }
    outcome(t, name, await get(), expected)
    await lives()
  }
  peer.options = { answer: socket => { socket.write(ok('a body that HEAD has not')) } }
  const { answers } = await get(4000, GET.replace('GET', 'HEAD'))
  t.equal(answers.length, 1, 'HEAD answered with a body')
  await lives()
})

t.test('an answer that nobody asked for reaches nobody', async t => {
  const { peer, get, lives } = await stage(t)
  await lives()
  const [idle] = await until(() => peer.sockets.length === 1 && peer.sockets, { what: 'an idle connection' })
  idle?.write(ok('poison'))
  await until(() => peer.sockets.length === 0, { what: 'the end of that connection', timeout: 2000 })
  await lives()

  peer.options = { greet: socket => { socket.write(ok('poison')) }, answer: socket => { socket.write(ok('late')) } }
  for (const socket of peer.sockets) socket.destroy()
  const reply = await get()
  t.ok(reply.answers.length === 1, 'an answer before the request is one answer at most')
  await until(() => peer.sockets.length <= 1, { what: 'the end of that connection' })
  for (const socket of peer.sockets) socket.destroy()
  await lives()
})

t.test('one connection, many requests, and a peer that answers twice', async t => {
  const { peer, gateway } = await stage(t, { pool: { connections: 1 }, timeouts: { headers: 5000 } })
  peer.options = {
    answer: (socket, { line }) => {
      const path = line.split(' ')[1] ?? ''
      socket.write(ok(path) + ok(`stolen after ${path}`))
    }
  }
  const bodies = await Promise.all(Array.from({ length: 20 }, async (_, i) => (await gateway.send(`/bad/${i}`).catch(() => ({ status: 0, body: 'reset' }))).body))
  t.same(bodies.filter((body, i) => body !== `/${i}` && !body.includes('FST_UPSTREAM_')), [], 'nobody got another one\'s')
})

t.test('peers that take their time', async t => {
  const { peer, get, lives } = await stage(t)
  // How slow these peers are is what they are hostile by; what ends them is the gateway's own time-out.
  const dribble = async (socket: Socket, bytes: string, every: number): Promise<void> => {
    for (const byte of bytes) {
      if (socket.destroyed) return
      socket.write(byte)
      await sleep(every)
    }
  }
  const started = performance.now()
  peer.options = { answer: socket => { dribble(socket, `HTTP/1.1 200 OK\r\nx: ${'v'.repeat(1000)}`, 20).catch(() => {}) } }
  const headers = await get(8000)
  t.match(headers.answers[0]?.line, /^HTTP\/1\.1 504 /, 'headers that never end')
  t.ok(performance.now() - started < 2500, `after ${Math.round(performance.now() - started)} ms`)
  await lives()

  const hinting = async (socket: Socket): Promise<void> => { while (!socket.destroyed) { socket.write('HTTP/1.1 103 Early Hints\r\n\r\n'); await sleep(20) } }
  peer.options = { answer: socket => { hinting(socket).catch(() => {}) } }
  t.match((await get(8000)).answers[0]?.line, /^HTTP\/1\.1 504 /, 'early hints for ever')
  await lives()

  peer.options = { answer: socket => { socket.write(head('200 OK', 'content-length: 40\r\n')); dribble(socket, 'y'.repeat(40), 25).catch(() => {}) } }
  const slow = await get(8000)
  t.equal(slow.answers[0]?.body.length, 40, 'a body that takes three times timeouts.body, but never stops for so long')
  for (const framing of ['content-length: 40\r\n', 'transfer-encoding: chunked\r\n', '']) {
    peer.options = { answer: socket => { socket.write(head('200 OK', `content-type: text/plain\r\n${framing}`, framing.startsWith('t') ? '1\r\ny\r\n' : 'y')) } }
    const before = peer.sockets
    outcome(t, `a body that stops (${framing.trim() || 'until close'})`, await get(8000), 'cut')
    await until(() => peer.sockets.every(socket => !before.includes(socket)), { what: 'the end of that connection' })
    await lives()
  }
})

t.test('peers that never stop', async t => {
  const { peer, gateway, get, lives } = await stage(t)
  let sent = 0
  let poured: Socket | undefined
  const pour = (socket: Socket, piece: Buffer): void => {
    poured = socket
    const more = (): void => {
      while (!socket.destroyed && sent < 2 ** 30) {
        sent += piece.length
        if (socket.write(piece)) continue
        socket.once('drain', more)
        return
      }
    }
    more()
  }
  peer.options = { answer: socket => { socket.write('HTTP/1.1 200 OK\r\n'); pour(socket, bytesOf(`x: ${'v'.repeat(1000)}\r\n`.repeat(64))) } }
  outcome(t, 'headers without end', await get(), 'error')
  await until(() => poured?.destroyed === true, { what: 'the end of that connection' })
  t.ok(sent < 16 * 2 ** 20, `${sent} bytes were taken`)
  await lives()

  sent = 0
  peer.options = { answer: socket => { socket.write(head('200 OK', 'content-type: text/plain\r\n')); pour(socket, Buffer.alloc(65536, 'x')) } }
  const client = connect(portOf(gateway.url), '127.0.0.1')
  client.write(GET)
  await new Promise(resolve => client.once('data', resolve))
  client.pause()
  let before = -1
  await until(async () => { await sleep(50); const still = sent === before; before = sent; return still }, { what: 'the peer to be held up' })
  t.ok(sent < 64 * 2 ** 20, `${sent} bytes for a client that does not read`)
  client.destroy()
  await until(() => poured?.destroyed === true, { what: 'the end at the peer, once the client is gone' })
  await lives()
})

t.test('peers that hang up', async t => {
  const { peer, get, lives } = await stage(t)
  peer.options = { greet: socket => { socket.destroy() } }
  outcome(t, 'at once', await get(), 'error')
  peer.options = { greet: socket => { socket.resetAndDestroy() } }
  outcome(t, 'at once, with a reset', await get(), 'error')
  peer.options = { data: socket => { socket.resetAndDestroy() } }
  outcome(t, 'when asked', await get(), 'error')
  peer.options = { greet: socket => { socket.end() } }
  outcome(t, 'half', await get(), 'error')
  await lives()

  const post = `POST /bad HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 4000000\r\n\r\n${'b'.repeat(4_000_000)}`
  let told = false
  peer.options = { data: socket => { if (!told) { told = true; socket.write(head('413 Payload Too Large', 'content-type: text/plain\r\nconnection: close\r\ncontent-length: 3\r\n', 'big')); socket.end() } } }
  const early = await get(4000, post)
  t.match(early.answers[0]?.line ?? 'reset', /^(?:HTTP\/1\.1 (?:413|502) |reset)/, 'an answer before the whole request was there')
  await lives()
  peer.options = { data: socket => { socket.resetAndDestroy() } }
  t.match((await get(4000, post)).answers[0]?.line ?? 'reset', /^(?:HTTP\/1\.1 502 |reset)/, 'a reset in the middle of the request')
  await lives()
})

t.test('to a client that is told the end of a body by the end of the connection, a cut answer is a reset', async t => {
  const { peer, get, lives } = await stage(t)
  const old = 'GET /bad HTTP/1.0\r\n\r\n'
  for (const cut of [head('200 OK', 'content-type: text/plain\r\ntransfer-encoding: chunked\r\n', '1\r\nx\r\n'), head('200 OK', 'transfer-encoding: chunked\r\n', '1\r\nx\r\nzz')]) {
    peer.options = { answer: socket => { play(socket, [cut.slice(0, -2), 30, cut.slice(-2)]).then(() => socket.end(), () => {}) } }
    const reply = await get(4000, old)
    t.ok(reply.ended === 'reset' || reply.answers[0]?.line.startsWith('HTTP/1.1 502') === true, `${reply.raw.toString('latin1')} ${reply.ended}`)
    await lives()
  }
  peer.options = { answer: socket => { socket.end(head('200 OK', 'trailer: x-sum\r\ntransfer-encoding: chunked\r\n', '1\r\nx\r\n0\r\nx-sum: 1\r\n\r\n')) } }
  outcome(t, 'trailers that such a client cannot be told', await get(4000, old), { body: 'x' })
  await lives()
})
