import t from 'tap'
import { HeadReader } from '../../../lib/io/http1/head.js'

const bytes = (text: string): Buffer => Buffer.from(text, 'latin1')

/** What a fresh reader makes of a head: its fields and framing, `null` for one that is not whole, or the error. */
function read (text: string, reader = new HeadReader()): object | string | null {
  try {
    if (!reader.head(bytes(text), 0, text.length)) return null
    const { fields, ...rest } = reader.read
    return { ...rest, fields: { ...fields }, at: reader.at }
  } catch (error) {
    return (error as Error).message
  }
}

const head = (lines: string, status = 'HTTP/1.1 200 OK'): string => `${status}\r\n${lines}\r\n`
const framed = (lines: string, status?: string): object => {
  const { length, isChunked, persists, waits } = read(head(lines, status)) as Record<string, unknown>
  return { length, isChunked, persists, waits }
}
const plain = { length: -1, isChunked: false, persists: true, waits: null }

t.test('status lines', async t => {
  const lines: Array<[string, object]> = [
    ['HTTP/1.1 200 OK', { status: 200, text: 'OK' }],
    ['HTTP/1.1 200 ', { status: 200, text: '' }],
    ['HTTP/1.1 200', { status: 200, text: '' }],
    ['HTTP/1.0 404 Not\tFound at all', { status: 404, text: 'Not\tFound at all', persists: false }],
    ['HTTP/1.1 999 \xe4', { status: 999, text: '\xe4' }],
    [`HTTP/1.1 200 ${'long '.repeat(20)}`, { status: 200, text: 'long '.repeat(20) }]
  ]
  for (const [line, expected] of lines) t.match(read(head('', line)), expected, line)
  for (const line of ['', 'HTTP/1.1', 'HTTP/1.1 ', 'HTTP/1.1 20', 'HTTP/1.1 2000', 'HTTP/1.1 099 X', 'HTTP/1.1  200 OK', 'HTTP/1.1 200\tOK', 'HTTP/1.2 200 OK',
    'HTTP/2.0 200 OK', 'http/1.1 200 OK', ' HTTP/1.1 200 OK', 'HTTP/1.1 2OO OK', 'GET / HTTP/1.1', 'HTTP/1.1 200 O\0K', 'HTTP/1.1 200 O\x7fK', 'HTTP/1.1 200 O\rK', 'HTTP/1.1 200 O\nK']) {
    t.match(read(head('', line)), /^Response does not match the HTTP\/1.1 protocol/, JSON.stringify(line))
  }
  t.match(read('SSH-2.0'), /invalid status line/, 'what begins like something else is not waited for')
  t.match(read('HTTP/1.1 2x'.padEnd(13)), /invalid status line/)
})

t.test('fields', async t => {
  const fields: Array<[string, object]> = [
    ['A: 1\r\nb:2\r\nC-d:\t x y \t\r\n', { a: '1', b: '2', 'c-d': 'x y' }],
    ['a:\r\nb: \r\n', { a: '', b: '' }],
    ['set-cookie: a\r\nSet-Cookie: b\r\nSET-COOKIE: c\r\n', { 'set-cookie': ['a', 'b', 'c'] }],
    ['x: \xe4\xff\r\n', { x: '\xe4\xff' }],
    ["!#$%&'*+-.^_`|~09aZ: token\r\n", { "!#$%&'*+-.^_`|~09az": 'token' }],
    ['connection: x-one, Close\r\nx-one: 1\r\nx-two: 2\r\nkeep-alive: timeout=5\r\nte: x\r\nupgrade: y\r\n', { 'x-two': '2' }],
    ['connection: toString\r\nx: 1\r\n', { x: '1' }],
    ['toString: 1\r\n__proto__: 2\r\nhasOwnProperty: 3\r\n', { tostring: '1', hasownproperty: '3' }],
    [`x: ${'v'.repeat(1000)}\r\n${'n'.repeat(200)}: y\r\n`, { x: 'v'.repeat(1000), ['n'.repeat(200)]: 'y' }]
  ]
  for (const [lines, expected] of fields) t.same((read(head(lines)) as { fields: object }).fields, expected, JSON.stringify(lines.slice(0, 60)))
  t.same((read(head(Array.from({ length: 100 }, (_, i) => `x-${i}: ${i}\r\n`).join(''))) as { fields: object }).fields,
    Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`x-${i}`, String(i)])), 'more than are remembered')
  for (const line of [': 1', 'a b: 1', 'a : 1', 'a', 'a\0: 1', 'ä: 1', 'x: \0', 'x: \x01', 'x: \x7f', 'x: a\rb', 'x: a\nb', ' folded', 'x: 1\r\n folded', '\tx: 1', '"x": 1']) {
    t.match(read(head(`${line}\r\n`)), /invalid header|lone CR/, JSON.stringify(line))
  }
  for (const text of ['HTTP/1.1 200 OK\n\n', 'HTTP/1.1 200 OK\r\na: 1\n\r\n', 'HTTP/1.1 200 OK\r\na: 1\r\n\nx', 'HTTP/1.1 200 OK\r\na: 1\r\n\rx', 'HTTP/1.1 200 OK\r\r\n\r\n']) {
    t.match(read(text), /Response does not match/, JSON.stringify(text))
  }
})

t.test('what a message is framed by, and what becomes of its connection', async t => {
  t.same(framed(''), plain)
  t.same(framed('content-length: 0\r\n'), { ...plain, length: 0 })
  t.same(framed('Content-Length: 000123456789012\r\n'), { ...plain, length: 123456789012 })
  t.same(framed('transfer-encoding: Chunked\r\n'), { ...plain, isChunked: true })
  for (const value of ['', '-1', '+1', '1x', '0x1', '1, 1', '1 2', '1.0', '9'.repeat(16)]) t.match(read(head(`content-length: ${value}\r\n`)), /invalid Content-Length/, value)
  t.match(read(head('content-length: 1\r\nContent-Length: 1\r\n')), /two Content-Lengths/)
  t.match(read(head('content-length: 1\r\ntransfer-encoding: chunked\r\n')), /Content-Length and Transfer-Encoding/)
  t.match(read(head('transfer-encoding: chunked\r\ncontent-length: 1\r\n')), /Content-Length and Transfer-Encoding/)
  for (const value of ['gzip', 'gzip, chunked', 'chunked, gzip', 'chunked, chunked', 'identity', 'xchunked', '']) t.match(read(head(`transfer-encoding: ${value}\r\n`)), /unsupported Transfer-Encoding/, value)
  t.match(read(head('transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n')), /unsupported/)
  t.match(read(head('transfer-encoding: chunked\r\n', 'HTTP/1.0 200 OK')), /by HTTP\/1.0/)

  t.same(framed('connection: close\r\n'), { ...plain, persists: false })
  t.same(framed('connection: x, CLOSE\r\n'), { ...plain, persists: false })
  t.same(framed('connection: x\r\nconnection: close\r\n'), { ...plain, persists: false })
  t.same(framed('connection: Keep-Alive\r\n'), plain)
  t.same(framed('', 'HTTP/1.0 200 OK'), { ...plain, persists: false })
  t.same(framed('connection: keep-alive\r\n', 'HTTP/1.0 200 OK'), plain)
  t.same(framed('connection: Keep-Alive\r\nkeep-alive: max=3, timeout=5\r\n', 'HTTP/1.0 200 OK'), { ...plain, waits: 5000 })
  t.same(framed('keep-alive: timeout=72\r\n'), { ...plain, waits: 72_000 })
  t.same(framed('keep-alive: max=72, xtimeout=1\r\n'), plain)
})

t.test('what is not whole is waited for, and nothing behind it is looked at', async t => {
  const whole = head('content-length: 5\r\nx: a value\r\n')
  for (let end = 0; end < whole.length; end++) {
    t.equal(read(whole.slice(0, end)), null, JSON.stringify(whole.slice(0, end)))
    // What was read before is still in the buffer.
    const reader = new HeadReader()
    t.equal(reader.head(bytes(whole), 0, end), false)
  }
  t.match(read(`${whole}HTTP`), { at: whole.length })
})

t.test('what came before is recognised only where it is the same', async t => {
  const reader = new HeadReader()
  const first = head('date: today\r\netag: "1"\r\n')
  t.same(read(first, reader), read(first))
  const others = [
    head('date: today\r\netag: "1"\r\n', 'HTTP/1.1 200 OKAY'), head('date: today\r\netag: "1"\r\n', 'HTTP/1.0 200 OK'),
    head('date: todays\r\netag: "12"\r\n'), head('date: toda\r\netag: "\r\n'), head('dat: today\r\netags: "1"\r\n'),
    head('date: today \r\netag:"1"\r\n'), head('etag: today\r\ndate: "1"\r\n'), head('DATE: today\r\neTag: "1"\r\n'), head('date:\r\netag:\r\n'), first
  ]
  for (const other of others) t.same(read(other, reader), read(other), JSON.stringify(other))
  for (const bad of [head('date: today\x01\r\n'), head('date: today\rx\r\n'), head('date : today\r\n'), head('date: today\n')]) t.type(read(bad, reader), 'string')
})

t.test('trailers', async t => {
  const reader = new HeadReader()
  const trailers = (text: string): object | null => reader.trailers(bytes(text), 0, text.length)
  t.same(trailers('\r\n'), {})
  t.same(trailers('X-Sum: 1\r\nx-sum: 2\r\nconnection: close\r\n\r\nrest'), { 'x-sum': ['1', '2'] })
  t.equal(reader.at, 'X-Sum: 1\r\nx-sum: 2\r\nconnection: close\r\n\r\n'.length)
  t.equal(trailers('x: 1\r\n'), null)
  for (const text of ['content-length: 1\r\n\r\n', 'transfer-encoding: chunked\r\n\r\n']) t.throws(() => trailers(text), /framing in trailers/)
})
