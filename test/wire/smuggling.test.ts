import fc from 'fast-check'
import t, { type Test } from 'tap'
import upstreamEtcd from '../../lib/index.js'
import Fastify from 'fastify'
import { ask, bytesOf, portOf, startRawPeer, type RawPeer, type Reply } from '../fixtures/raw.js'
import { until } from '../fixtures/wait.js'

const LAST = 'GET /last HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'
const HIDDEN = 'GET /hidden HTTP/1.1\r\nHost: x\r\n\r\n'
const OK = 'HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 2\r\n\r\nok'

interface Stage {
  readonly peer: RawPeer
  readonly port: number
  /** Requests that reached a handler of the gateway's. */
  readonly handled: () => number
  /** All is over: nothing is in flight, and no half request lies at the peer. */
  readonly settled: () => Promise<unknown>
}

async function stage (t: Test): Promise<Stage> {
  const peer = await startRawPeer(t, { answer: socket => { socket.write(OK) } })
  const app = Fastify({ forceCloseConnections: true })
  t.teardown(async () => await app.close())
  let handled = 0
  app.addHook('onRequest', async () => { handled++ })
  await app.register(upstreamEtcd, { peers: { all: { [peer.id]: {} } }, routes: [{ prefix: '/', service: 'all' }], outlier: false, inspect: false })
  const url = await app.listen({ port: 0, host: '127.0.0.1' })
  const settled = async () => await until(() => app.upstreams.status().services[0]?.inflight === 0 && peer.pending.length === 0, { what: 'the end of what was under way', timeout: 3000 })
  return { peer, port: portOf(url), handled: () => handled, settled }
}

const status = (reply: Reply): number[] => reply.answers.map(({ line }) => Number(line.slice(9, 12)))
const target = ({ line }: { line: string }): string => line.split(' ')[1] ?? ''

const post = (headers: string, body: string): string => `POST /attack HTTP/1.1\r\nHost: x\r\n${headers}\r\n\r\n${body}`
const hiddenChunk = `${HIDDEN.length.toString(16)}\r\n${HIDDEN}\r\n0\r\n\r\n`

/** Name, bytes, and what may become of the request: null for a refusal, else the body that the peer sees. */
type Attack = readonly [name: string, bytes: string, allowed: ReadonlyArray<string | null>]

const attacks: readonly Attack[] = [
  // Length and coding
  ['the asterisk', 'GET * HTTP/1.1\r\nHost: x\r\n\r\n', [null]],
  ['two hosts', 'GET /attack HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n', [null]],
  ['CL.TE', post('Content-Length: 6\r\nTransfer-Encoding: chunked', '0\r\n\r\nG'), [null]],
  ['CL.TE with a hidden request', post(`Content-Length: ${5 + HIDDEN.length}\r\nTransfer-Encoding: chunked`, `0\r\n\r\n${HIDDEN}`), [null]],
  ['TE.CL', post('Transfer-Encoding: chunked\r\nContent-Length: 4', hiddenChunk), [null]],
  ['two lengths, unequal', post('Content-Length: 5\r\nContent-Length: 6', 'abcdef'), [null]],
  ['two lengths, equal', post('Content-Length: 5\r\nContent-Length: 5', 'abcde'), [null]],
  ['a list of lengths', post('Content-Length: 5, 5', 'abcde'), [null]],
  ['an unequal list', post('Content-Length: 5, 6', 'abcdef'), [null]],
  ...['+5', '-5', '5 5', '0x5', '5.0', '5e0', '', '5;', '"5"', '5_0', '\xb5', '99999999999999999999', '18446744073709551621'].map(length =>
    [`length ${JSON.stringify(length)}`, post(`Content-Length: ${length}`, 'abcde'), [null]] as const),
  ['blanks around a length', post('Content-Length:  \t 5 \t', 'abcde'), ['abcde', null]],
  ['leading zeros', post('Content-Length: 005', 'abcde'), ['abcde']],
  // Codings
  ...['xchunked', 'chunked, identity', 'identity, chunked', 'identity', 'chunked, chunked', 'x', '"chunked"', 'chunked;q=1', 'gzip, x', 'chunked\x0b', '\x0bchunked', 'chunked\x00', 'chunked,', 'chunked, ', 'chunked\r\n\tx', 'cow'].map(coding =>
    [`coding ${JSON.stringify(coding)}`, post(`Transfer-Encoding: ${coding}\r\nContent-Length: 4`, hiddenChunk), [null]] as const),
  ...['gzip, chunked', 'Chunked', 'CHUNKED', ' \tchunked \t'].map(coding => [`coding ${JSON.stringify(coding)}`, post(`Transfer-Encoding: ${coding}`, '3\r\nabc\r\n0\r\n\r\n'), ['abc', null]] as const),
  // No coding at all: the length holds.
  ['an empty coding', post(`Transfer-Encoding: \r\nContent-Length: ${hiddenChunk.length}`, hiddenChunk), [hiddenChunk, null]],
  ['two codings', post('Transfer-Encoding: chunked\r\nTransfer-Encoding: identity', '3\r\nabc\r\n0\r\n\r\n'), [null]],
  ['two codings, the other way', post('Transfer-Encoding: identity\r\nTransfer-Encoding: chunked', '3\r\nabc\r\n0\r\n\r\n'), ['abc', null]],
  ['two equal codings', post('Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked', '3\r\nabc\r\n0\r\n\r\n'), ['abc', null]],
  ['a coding that is not one', post('Transfer_Encoding: chunked\r\nContent-Length: 3', 'abc'), ['abc']],
  ['a blank before the colon', post('Transfer-Encoding : chunked\r\nContent-Length: 4', hiddenChunk), [null]],
  ['a blank before the colon of the length', post('Content-Length : 3', 'abc'), [null]],
  ['a folded coding', post('Transfer-Encoding:\r\n chunked\r\nContent-Length: 4', hiddenChunk), [null]],
  ['a folded header', post('X-Folded: a\r\n b\r\nContent-Length: 3', 'abc'), ['abc', null]],
  ['a coding hidden in a fold', post(`X-Folded: a\r\n Transfer-Encoding: chunked\r\nContent-Length: ${hiddenChunk.length}`, hiddenChunk), [hiddenChunk, null]],
  ['a first line that is folded', `POST /attack HTTP/1.1\r\n Transfer-Encoding: chunked\r\nHost: x\r\nContent-Length: 4\r\n\r\n${hiddenChunk}`, [null]],
  ['HTTP/1.0 and chunked', 'POST /attack HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: keep-alive\r\n\r\n3\r\nabc\r\n0\r\n\r\n', ['abc']],
  // Bytes that end lines for some
  ['bare LF after the first line', 'GET /attack HTTP/1.1\nHost: x\r\n\r\n', [null]],
  ['bare LF everywhere', 'GET /attack HTTP/1.1\nHost: x\n\n', [null]],
  ['bare LF in a header', post('X: a\nTransfer-Encoding: chunked\r\nContent-Length: 4', hiddenChunk), [null]],
  ['bare CR in a header', post('X: a\rTransfer-Encoding: chunked\r\nContent-Length: 4', hiddenChunk), [null]],
  ['bare CR before the end', 'GET /attack HTTP/1.1\r\nHost: x\r\n\rX: y\r\n\r\n', [null]],
  ['NUL in a value', post('X: a\0b\r\nContent-Length: 3', 'abc'), [null]],
  ['NUL in a name', post('X\0Y: a\r\nContent-Length: 3', 'abc'), [null]],
  ['NUL in the target', 'GET /att\0ack HTTP/1.1\r\nHost: x\r\n\r\n', [null]],
  ['a header without a name', post(': x\r\nContent-Length: 3', 'abc'), [null]],
  ['a header without a colon', post('X\r\nContent-Length: 3', 'abc'), [null]],
  ['a name that is not ASCII', post('\xe9: x\r\nContent-Length: 3', 'abc'), [null]],
  ['a name with a blank', post('Content Length: 3\r\nContent-Length: 3', 'abc'), [null]],
  // Chunks
  ...['0x3', '+3', '-3', ' 3', '3 ', 'g', '', '3_', '10000000000000003', 'ffffffffffffffffffff', '3\x0b', '3\0', '3\t'].map(size =>
    [`chunk size ${JSON.stringify(size)}`, post('Transfer-Encoding: chunked', `${size}\r\nabc\r\n0\r\n\r\n`), [null]] as const),
  ['leading zeros of a chunk', post('Transfer-Encoding: chunked', '0000000000003\r\nabc\r\n0\r\n\r\n'), ['abc']],
  ['a chunk extension', post('Transfer-Encoding: chunked', '3;a=b;c="d"\r\nabc\r\n0\r\n\r\n'), ['abc']],
  ['LF in a chunk extension', post('Transfer-Encoding: chunked', '3;\nabc\r\n0\r\n\r\n'), [null]],
  ['CR in a chunk extension', post('Transfer-Encoding: chunked', '3;a\rb\r\nabc\r\n0\r\n\r\n'), [null]],
  ['LF after a chunk size', post('Transfer-Encoding: chunked', '3\nabc\r\n0\r\n\r\n'), [null]],
  ['LF after a chunk', post('Transfer-Encoding: chunked', '3\r\nabc\n0\r\n\r\n'), [null]],
  ['a chunk longer than its size', post('Transfer-Encoding: chunked', `3\r\nabcd\r\n0\r\n\r\n${HIDDEN}`), [null]],
  ['a length among the trailers', post('Transfer-Encoding: chunked', '3\r\nabc\r\n0\r\nContent-Length: 50\r\nTransfer-Encoding: x\r\n\r\n'), ['abc', null]],
  ['a bad trailer', post('Transfer-Encoding: chunked', '3\r\nabc\r\n0\r\nX Y: z\r\n\r\n'), [null]],
  // Bodies that look like requests
  ['a request in a body', post(`Content-Length: ${HIDDEN.length}`, HIDDEN), [HIDDEN]],
  ['a request in a chunk', post('Transfer-Encoding: chunked', hiddenChunk), [HIDDEN]],
  ...['GET', 'HEAD', 'DELETE', 'OPTIONS'].map(method => [`a request in the body of ${method}`, post(`Content-Length: ${HIDDEN.length}`, HIDDEN).replace('POST', method), [HIDDEN, '']] as const),
  ...['GET', 'HEAD', 'DELETE'].map(method => [`a request in a chunk of ${method}`, post('Transfer-Encoding: chunked', hiddenChunk).replace('POST', method), [HIDDEN, '']] as const),
  // Names that Connection may not take away
  ...['content-length', 'transfer-encoding', 'host', 'content-length, host, content-type'].map(names => [`Connection: ${names}`, post(`Connection: ${names}\r\nContent-Length: ${HIDDEN.length}`, HIDDEN), [HIDDEN]] as const),
  ['Connection: transfer-encoding, chunked', post('Connection: transfer-encoding\r\nTransfer-Encoding: chunked', hiddenChunk), [HIDDEN]],
  ['GET, Connection: content-length', post(`Connection: content-length\r\nContent-Length: ${HIDDEN.length}`, HIDDEN).replace('POST', 'GET'), [HIDDEN, '']],
  ['Expect and a hidden request', post(`Expect: 100-continue\r\nContent-Length: ${HIDDEN.length}`, HIDDEN), [HIDDEN]],
  ['an Expect that nobody knows', post(`Expect: tea\r\nContent-Length: ${HIDDEN.length}`, HIDDEN), [null]],
  ['Upgrade and a hidden request', post(`Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: ${HIDDEN.length}`, HIDDEN), [HIDDEN]],
  ['Upgrade to h2c and a hidden request', 'GET /attack HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n\r\n', ['']],
  // Targets, hosts, versions
  ['authority-form', 'GET evil.example:80 HTTP/1.1\r\nHost: x\r\n\r\n', [null]],
  ['CONNECT', 'CONNECT evil.example:80 HTTP/1.1\r\nHost: x\r\n\r\n', [null]],
  ['a target with a blank', 'GET /a ttack HTTP/1.1\r\nHost: x\r\n\r\n', [null]],
  ['a target with a tab', 'GET /a\tttack HTTP/1.1\r\nHost: x\r\n\r\n', [null]],
  ['no host', 'GET /attack HTTP/1.1\r\nX: y\r\n\r\n', [null]],
  ['HTTP/2 preface', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', [null]],
  ['HTTP/1.2', 'GET /attack HTTP/1.2\r\nHost: x\r\n\r\n', [null]],
  ['HTTP/11', 'GET /attack HTTP/1.11\r\nHost: x\r\n\r\n', [null]],
  ['no method that there is', 'GE\0T /attack HTTP/1.1\r\nHost: x\r\n\r\n', [null]],
  ['empty lines before it', '\r\n\r\nGET /attack HTTP/1.1\r\nHost: x\r\n\r\n', ['']],
  ['blanks before it', '  GET /attack HTTP/1.1\r\nHost: x\r\n\r\n', [null]]
]

t.test('every attack ends in an error or in the one request that the client framed', async t => {
  const { peer, port, settled } = await stage(t)
  for (const [name, bytes, allowed] of attacks) {
    peer.forget()
    const methods = [bytes.trim().split(' ')[0] ?? 'GET', 'GET']
    const reply = await ask(port, bytes + LAST, { methods, answers: Infinity, patience: 400 })
    await settled()
    t.same(peer.faults, [], `${name}: the peer was sent nothing odd`)
    // Node hands over requests that came in one go together, so that they may arrive in any order.
    const targets = peer.requests.map(target).sort().join()
    t.ok(['', '/attack', '/last', '/attack,/last'].includes(targets), `${name}: the peer saw ${targets}`)
    const [first = 0] = status(reply)
    const seen = peer.requests.find(message => target(message) === '/attack')?.body.toString('latin1') ?? null
    t.ok(allowed.includes(seen), `${name}: ${JSON.stringify(seen)} may be at the peer`)
    t.ok(seen === null ? first < 500 && first !== 200 : first === 200, `${name}: answered ${status(reply).join()}, then ${reply.ended}`)
  }
})

t.test('requests one behind the other on one connection stay apart', async t => {
  const { peer, port } = await stage(t)
  const bytes = `${post(`Content-Length: ${HIDDEN.length}`, HIDDEN)}${post('Transfer-Encoding: chunked', hiddenChunk)}GET /third HTTP/1.1\r\nHost: x\r\n\r\n${LAST}`
  const reply = await ask(port, bytes, { answers: Infinity })
  t.same(status(reply), [200, 200, 200, 200])
  t.same(peer.requests.map(message => `${target(message)} ${message.body.length}`).sort(), [`/attack ${HIDDEN.length}`, `/attack ${HIDDEN.length}`, '/last 0', '/third 0'])
  // What follows the last request of a connection is no request.
  peer.forget()
  t.equal(status(await ask(port, LAST + HIDDEN, { answers: Infinity })).length, 1)
  t.notOk(peer.requests.some(message => target(message) === '/hidden'))
})

t.test('a body that ends before its length reaches the peer as no request at all', async t => {
  const { peer, port, settled } = await stage(t)
  for (const bytes of [post('Content-Length: 100', HIDDEN), post('Transfer-Encoding: chunked', `ff\r\n${HIDDEN}`), post('Transfer-Encoding: chunked', '3\r\nabc\r\n')]) {
    const before = peer.accepted
    await ask(port, bytes, { patience: 100 })
    await until(() => peer.accepted > before || peer.pending.length === 0, { what: 'the peer' })
    await settled()
    t.same([peer.requests, peer.faults], [[], []])
  }
})

t.test('whole targets and odd hosts go to the peer, never elsewhere', async t => {
  const { peer, port } = await stage(t)
  const elsewhere = await startRawPeer(t, { answer: socket => { socket.write(OK) } })
  for (const asked of [`http://${elsewhere.id}/a`, `//${elsewhere.id}/a`, `/@${elsewhere.id}/`, `/http://${elsewhere.id}/a`, `http://u:p@${elsewhere.id}/a`, `HTTP://${elsewhere.id}`, `http:/${elsewhere.id}/a`, `https://${elsewhere.id}/a`, `ws://${elsewhere.id}/a`, `/a?http://${elsewhere.id}`, `:${elsewhere.port}/a`, `@${elsewhere.id}/a`, `http://${elsewhere.id}\\@x/a`, '*']) {
    const reply = await ask(port, `OPTIONS ${asked} HTTP/1.1\r\nHost: ${elsewhere.id}\r\nConnection: close\r\n\r\n`, { answers: Infinity })
    t.ok(status(reply).every(code => code === 200 || (code >= 400 && code < 500)), `${asked}: ${status(reply).join()}`)
  }
  t.ok(peer.requests.every(message => target(message).startsWith('/')), peer.requests.map(target).join(' '))
  t.equal(elsewhere.accepted, 0)
})

t.test('whatever bytes: the peer sees no more requests than we handled, each of them well-formed', async t => {
  const { peer, port, handled, settled } = await stage(t)
  const seeds = attacks.map(([, bytes]) => bytes)
  const pieces = ['\r\n', '\n', '\r', '\0', ' ', '\t', ':', ',', ';', '0', '5', 'chunked', 'Content-Length: 3\r\n', 'Transfer-Encoding: chunked\r\n', '0\r\n\r\n', HIDDEN, '\x0b', '\xff', 'HTTP/1.1', '/', '..']
  const mutated = fc.record({ seed: fc.constantFrom(...seeds), cuts: fc.array(fc.record({ at: fc.double({ min: 0, max: 1, noNaN: true }), drop: fc.nat(4), piece: fc.constantFrom(...pieces) }), { minLength: 1, maxLength: 3 }) })
    .map(({ seed, cuts }) => cuts.reduce((text, { at, drop, piece }) => {
      const place = Math.floor(at * text.length)
      return text.slice(0, place) + piece + text.slice(place + drop)
    }, seed))
  const samples = fc.sample(mutated, { numRuns: 600, seed: 20261122 })
  for (let i = 0; i < samples.length; i += 60) {
    peer.forget()
    const before = handled()
    await Promise.all(samples.slice(i, i + 60).map(async bytes => await ask(port, bytesOf(bytes), { answers: Infinity, patience: 120 }).catch(() => {})))
    await settled()
    t.same(peer.faults, [])
    t.ok(peer.requests.length <= handled() - before, `${peer.requests.length} of ${handled() - before}`)
  }
  t.same(status(await ask(port, LAST)), [200], 'and the gateway lives')
})
