import { once } from 'node:events'
import type { Socket } from 'node:net'
import { Readable } from 'node:stream'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import t, { type Test } from 'tap'
import type { Outbound } from '../../../lib/io/carrier.js'
import { Asked, poolTo } from '../../fixtures/asked.js'
import { startRawPeer, type RawPeerOptions } from '../../fixtures/raw.js'
import { until } from '../../fixtures/wait.js'

const ok = (body: string, fields = ''): string => `HTTP/1.1 200 OK\r\n${fields}content-length: ${body.length}\r\n\r\n${body}`

setFlagsFromString('--expose-gc')

async function begin (t: Test, options: RawPeerOptions = {}, most = 8, patience = 60_000) {
  const peer = await startRawPeer(t, { answer: (socket, { line }) => { socket.write(ok(line)) }, ...options })
  const { pool } = poolTo(peer.port, most, patience)
  t.teardown(() => { pool.destroy() })
  return { peer, pool, ask: (request: Partial<Outbound> = {}) => new Asked(pool, request) }
}

const post = (body: Outbound['body']): Partial<Outbound> => ({ method: 'POST', body })

t.test('a connection is used again and again', async t => {
  const { peer, ask } = await begin(t)
  for (const path of ['/1', '/2', '/3']) t.match(await ask({ path }).answered, { status: 200, text: 'OK', body: `GET ${path} HTTP/1.1` })
  t.equal(peer.accepted, 1)
})

t.test('one that its peer closes behind an answer, without a word, takes no further request', async t => {
  const { peer, ask } = await begin(t, { answer: (socket, { line }) => { socket.end(ok(line)) } })
  for (let i = 0; i < 50; i++) {
    // In the same turn in which the answer before it came to its end.
    await ask(post('1')).answered
    t.match(await ask(post('2')).answered, { status: 200 })
  }
  t.equal(peer.accepted, 100)
})

t.test('what nobody asked for ends an idle connection, and is nobody\'s answer', async t => {
  const { peer, ask } = await begin(t)
  await ask().answered
  const [socket] = peer.sockets
  socket?.write(ok('poison'))
  await until(() => peer.sockets.length === 0, { what: 'the end of that connection' })
  t.match(await ask({ path: '/own' }).answered, { body: 'GET /own HTTP/1.1' })
  // Behind an answer, in the same bytes.
  peer.options = { answer: (socket, { line }) => { socket.write(ok(line) + ok('poison')) } }
  for (const path of ['/1', '/2', '/3']) t.match(await ask({ path }).answered, { body: `GET ${path} HTTP/1.1` })
  t.equal(peer.accepted, 4)
})

t.test('connections that take no further request', async t => {
  const last: Array<[string, Partial<Outbound>, string]> = [
    ['connection: close', {}, ok('x', 'connection: close\r\n')],
    ['HTTP/1.0', {}, ok('x').replace('1.1', '1.0')],
    ['until the end', {}, 'HTTP/1.1 200 OK\r\n\r\nx'],
    ['a peer that waits less than it takes', {}, ok('x', 'keep-alive: timeout=2\r\n')],
    ['HEAD', { method: 'HEAD' }, ok('').replace('length: 0', 'length: 1')],
    ['a GET with a body', { body: 'b' }, ok('x')],
    ['a 204 that announces a body', {}, 'HTTP/1.1 204 No Content\r\ncontent-length: 1\r\n\r\n'],
    ['a 304 that announces chunks', {}, 'HTTP/1.1 304 Not Modified\r\ntransfer-encoding: chunked\r\n\r\n']
  ]
  for (const [what, request, answer] of last) {
    const { peer, ask } = await begin(t, { answer: socket => { socket.write(answer); if (what === 'until the end') socket.end() } })
    t.match(await ask(request).answered, { status: Number(answer.slice(9, 12)), body: /HEAD|announces/.test(what) ? '' : 'x' }, what)
    await until(() => peer.sockets.length === 0, { what: `the end of a connection with ${what}` })
  }
})

t.test('an idle connection is closed in time', async t => {
  const { peer, ask } = await begin(t, {}, 8, 40)
  const started = performance.now()
  await ask().answered
  await until(() => peer.sockets.length === 0, { what: 'the end of the connection', timeout: 5000 })
  t.ok(performance.now() - started >= 38, 'not before')
  // What a peer says of its patience counts when it says it, whatever was said before.
  peer.options = { answer: socket => { socket.write(ok('x', peer.requests.length < 3 ? '' : 'keep-alive: timeout=3\r\n')) } }
  const { pool } = poolTo(peer.port, 1)
  t.teardown(() => { pool.destroy() })
  for (let i = 0; i < 3; i++) await new Asked(pool, {}).answered
  t.equal(peer.sockets.length, 1)
  await until(() => peer.sockets.length === 0, { what: 'its end a second later', timeout: 5000 })
})

t.test('a connection whose request was given up before it stood is closed in time, too', async t => {
  const { peer, ask } = await begin(t, {}, 8, 40)
  const asked = ask()
  asked.isOver = true
  await until(() => peer.accepted === 1, { what: 'the connection' })
  await until(() => peer.sockets.length === 0, { what: 'its end', timeout: 5000 })
  t.equal(peer.requests.length, 0)
})

t.test('who takes no more holds up the peer, and goes on where it stopped', async t => {
  const size = 8 * 2 ** 20
  let written = 0
  const pour = (socket: Socket): void => {
    socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${size}\r\n\r\n`)
    const more = (): void => {
      while (written < size) {
        written += 65_536
        if (socket.write(Buffer.alloc(65_536, 'x'))) continue
        socket.once('drain', more)
        return
      }
    }
    more()
  }
  const { ask, peer } = await begin(t, { answer: pour })
  const asked = ask()
  asked.takes = false
  await until(() => asked.chunks.length > 0, { what: 'the beginning' })
  let before = -1
  await until(() => { const still = before === written; before = written; return still }, { what: 'the peer to be held up' })
  t.ok(written < size && asked.chunks.join('').length <= 65_536, `${written} bytes`)
  asked.takes = true
  asked.flow?.resume()
  t.equal((await asked.answered).body.length, size)
  // One that took no more of an answer which was there already holds up nobody.
  peer.options = { answer: (socket, { line }) => { socket.write(ok(line)) } }
  for (const path of ['/1', '/2']) {
    const full = ask({ path })
    full.takes = false
    t.match(await full.answered, { body: `GET ${path} HTTP/1.1` })
  }
  t.equal(peer.accepted, 1)
})

t.test('uploads', async t => {
  const { peer, ask } = await begin(t, { answer: (socket, { body }) => { socket.write(ok(String(body.length))) } })
  t.match(await ask(post(Readable.from(['ab', 'c'], { objectMode: false }))).answered, { body: '3' })
  t.match(await ask(post(Readable.from([Buffer.alloc(2_000_000)], { objectMode: false }))).answered, { body: '2000000' })
  t.match(await ask({ ...post(Readable.from(['abc'], { objectMode: false })), fields: ['host', 'h', 'content-length', '3'] }).answered, { body: '3' })
  t.match(await ask(post(Readable.from([], { objectMode: false }))).answered, { body: '0' })
  t.same(peer.requests.map(({ framing }) => framing), ['chunked', 'chunked', 'length', 'length'])
  t.equal(peer.accepted, 1)
  for (const [body, length] of [['too long', '3'], ['short', '30']] as const) {
    const stream = Readable.from([body], { objectMode: false })
    await t.rejects(ask({ ...post(stream), fields: ['host', 'h', 'content-length', length] }).answered, { code: 'UND_ERR_REQ_CONTENT_LENGTH_MISMATCH' })
    await until(() => stream.destroyed, { what: 'the end of the stream' })
  }
  const failing = new Readable({ read () { this.destroy(new Error('mine')) } })
  await t.rejects(ask(post(failing)).answered, /mine/)
  t.equal(peer.requests.length, 4)
})

t.test('an answer that does not wait for the upload ends it, and the connection', async t => {
  const { peer, ask } = await begin(t, { answer: () => {}, data: socket => { socket.write(ok('early')) } })
  const endless = new Readable({ read () { setImmediate(() => this.push(Buffer.alloc(1000))) } })
  t.match(await ask(post(endless)).answered, { body: 'early' })
  await until(() => endless.destroyed && peer.sockets.length === 0, { what: 'the end of both' })
})

t.test('what comes before a request is no answer to it', async t => {
  const { peer, ask } = await begin(t, { greet: socket => { socket.write(ok('poison')) } })
  const idle = new Readable({ read () {} })
  await t.rejects(ask(post(idle)).answered, /bad response/)
  t.same(peer.requests, [])
})

t.test('a pool that closes sees to those who got a connection that was dead', async t => {
  const { peer, pool, ask } = await begin(t, { answer: (socket, { line }) => { if (line.includes('/last')) socket.write(ok(line)); else socket.end(ok(line)) } }, 1)
  const [first, last] = [ask(post('1')), ask({ ...post('2'), path: '/last' })]
  const closed = pool.close().then(() => last.isOver)
  await first.answered
  t.match(await last.answered, { status: 200 })
  t.ok(await closed, 'not before that')
  t.equal(peer.accepted, 2)
  const { pool: destroyed, ask: askIt } = await begin(t, {}, 1)
  await askIt().answered
  const given = askIt(post('3'))
  destroyed.destroy()
  await t.rejects(given.answered, /connections to this peer were closed/)
})

t.test('who waits no more is not kept', async t => {
  const { pool, ask, peer } = await begin(t, { answer: () => {} }, 1)
  ask()
  await until(() => peer.requests.length === 1, { what: 'a request that takes its time' })
  const collect = runInNewContext('gc') as () => void
  const left = Array.from({ length: 500 }, () => { const asked = new Asked(pool, {}); asked.isOver = true; return new WeakRef(asked) })
  t.ok(await until(() => { collect(); return left.filter(asked => asked.deref() !== undefined).length <= 64 }, { what: 'the end of those who have left' }))
})

t.test('what breaks', async t => {
  const broken: Array<[RegExp | { code: string }, RawPeerOptions]> = [
    [/other side closed/, { answer: socket => { socket.end() } }],
    [/other side closed/, { answer: socket => { socket.end('HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhell') } }],
    [{ code: 'ECONNRESET' }, { data: socket => { socket.resetAndDestroy() } }],
    [/does not match/, { answer: socket => { socket.write('nonsense\r\n') } }],
    [/not asked for/, { answer: socket => { socket.write('HTTP/1.1 101 Switching Protocols\r\n\r\n') } }],
    [/overflow/i, { answer: socket => { socket.write(`HTTP/1.1 200 OK\r\nx: ${'y'.repeat(20_000)}`) } }]
  ]
  for (const [error, options] of broken) {
    const { peer, ask } = await begin(t, options)
    await t.rejects(ask().answered, error)
    await until(() => peer.sockets.length === 0, { what: 'the end of the connection' })
  }
  const { peer: resetting, ask: askAndRead } = await begin(t, { answer: socket => { socket.write('HTTP/1.1 200 OK\r\n\r\nuntil') } })
  const cut = askAndRead()
  await until(() => cut.chunks.length > 0, { what: 'the beginning' })
  for (const socket of resetting.sockets) socket.resetAndDestroy()
  await t.rejects(cut.answered, { code: 'ECONNRESET' }, 'a reset is not the end of a body')

  const { peer, ask } = await begin(t, { answer: () => {} })
  const asked = ask()
  await until(() => peer.requests.length === 1, { what: 'the request' })
  asked.flow?.abort(new Error('enough'))
  await until(() => peer.sockets.length === 0, { what: 'the end of the connection' })
  t.notOk(asked.isOver, 'who ended it is told nothing')
})

t.test('an idle connection keeps nothing of the request that it carried last', async t => {
  const { ask } = await begin(t)
  const collect = runInNewContext('gc') as () => void
  const carried = async (request: Partial<Outbound>): Promise<WeakRef<Asked>> => {
    const asked = ask(request)
    await asked.answered
    return new WeakRef(asked)
  }
  for (const request of [{}, post('bytes'), post(Readable.from(['stream'], { objectMode: false }))]) {
    const asked = await carried(request)
    t.ok(await until(() => { collect(); return asked.deref() === undefined }, { what: 'the end of what is not needed any more' }))
  }
})

t.test('a process is not kept alive by an idle connection', async t => {
  const { peer, ask } = await begin(t)
  await ask().answered
  const [socket] = peer.sockets
  t.ok(socket)
  const idle = process.getActiveResourcesInfo().filter(name => name === 'TCPSocketWrap').length
  socket?.destroy()
  await once(socket as Socket, 'close')
  const without = process.getActiveResourcesInfo().filter(name => name === 'TCPSocketWrap').length
  t.equal(idle - without, 1, 'the peer\'s end, and not ours')
})
