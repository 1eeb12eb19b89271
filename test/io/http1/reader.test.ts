import type { IncomingHttpHeaders } from 'node:http'
import fc from 'fast-check'
import t from 'tap'
import { ResponseReader, type Sink } from '../../../lib/io/http1/reader.js'

interface Read {
  /** What was told, in order; chunks of a body joined. */
  readonly told: unknown[]
  /** How many bytes belong to the response; the error's message when there was one. */
  readonly used: number | string
  readonly done: boolean
  readonly persists: boolean
  readonly trailers: IncomingHttpHeaders
}

/** Reads `text` in pieces that end where `cuts` say, each from the same buffer, as connections do. */
function read (text: string, cuts: readonly number[] = [], isHead = false): Read {
  const bytes = Buffer.from(text, 'latin1')
  const buffer = Buffer.alloc(65_536, '!')
  const reader = new ResponseReader()
  const told: unknown[] = []
  let body = ''
  const sink: Sink = {
    head: (status, phrase, fields) => { told.push([status, phrase, { ...fields }]) },
    data: chunk => { body += chunk.toString('latin1'); return true }
  }
  reader.begin(sink, isHead)
  let used: number | string = 0
  try {
    const ends = [...new Set([...cuts.map(cut => cut % (bytes.length + 1)), bytes.length])].sort((a, b) => a - b)
    let from = 0
    for (const end of ends) {
      if (end === from || reader.isDone) continue
      bytes.copy(buffer, 0, from, end)
      used += reader.read(buffer, end - from)
      // Nothing of it may still be looked at.
      buffer.fill('\r\n\r\n')
      from = end
    }
  } catch (error) {
    used = (error as Error).message
  }
  if (body !== '') told.push(body)
  return { told, used, done: reader.isDone, persists: reader.persists, trailers: { ...reader.trailers } }
}

const head = (lines: string): string => `HTTP/1.1 200 OK\r\n${lines}\r\n`
const CHUNKED = head('transfer-encoding: chunked\r\n')

t.test('bodies end where they are said to end', async t => {
  const whole: Array<[string, string, string]> = [
    ['a length', head('content-length: 5\r\n') + 'hello', 'hello'],
    ['none', head('content-length: 0\r\n'), ''],
    ['chunks', CHUNKED + '5\r\nhello\r\n1\r\n \r\n00A;x="y"\r\n0123456789\r\n0\r\n\r\n', 'hello 0123456789'],
    ['no chunk', CHUNKED + '0\r\n\r\n', ''],
    ['extensions of any text', CHUNKED + '1;\r\na\r\n1;\xe4 \t\r\nb\r\n0\r\n\r\n', 'ab'],
    ['204', 'HTTP/1.1 204 No Content\r\n\r\n', ''],
    ['304', 'HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\n', '']
  ]
  for (const [what, text, body] of whole) {
    const { told, used, done, persists } = read(text)
    t.same([told.length > 1 ? told[1] : '', used, done, persists], [body, text.length, true, true], what)
    t.equal(read(`${text}HTTP/1.1 200 OK\r\n`).used, text.length, `${what}: what follows is not its own`)
    t.equal(read(text.slice(0, -1)).done, false, `${what}: not before its last byte`)
  }
  t.match(read(head('content-length: 5\r\n'), [], true), { done: true, told: [[200, 'OK', { 'content-length': '5' }]] }, 'HEAD')
  t.match(read(CHUNKED + '1\r\na\r\n0\r\nx-sum: 1\r\n\r\n'), { done: true, trailers: { 'x-sum': '1' } })
})

t.test('until the connection ends', async t => {
  const reader = new ResponseReader()
  const chunks: string[] = []
  reader.begin({ head: () => {}, data: chunk => chunks.push(String(chunk)) > 0 }, false)
  const bytes = Buffer.from(head('content-type: x/y\r\n') + 'some')
  reader.read(bytes, bytes.length)
  t.notOk(reader.isDone)
  t.notOk(reader.persists)
  reader.read(Buffer.from(' more'), 5)
  t.ok(reader.finish())
  t.ok(reader.isDone)
  t.equal(chunks.join(''), 'some more')
  for (const text of ['', 'HTTP', head('content-length: 2\r\n') + 'x', CHUNKED, CHUNKED + '1\r\nx\r\n', CHUNKED + '0\r\n']) {
    const cut = new ResponseReader()
    cut.begin({ head: () => {}, data: () => true }, false)
    cut.read(Buffer.from(text), text.length)
    t.equal(cut.finish(), false, JSON.stringify(text))
  }
})

t.test('answers 1xx are on the way to the answer, but for those that nobody asked for', async t => {
  t.match(read('HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n' + head('content-length: 1\r\n') + 'x'), { told: [[200], 'x'], done: true })
  for (const status of ['100 Continue', '101 Switching Protocols']) t.match(read(`HTTP/1.1 ${status}\r\n\r\n`).used, /was not asked for/)
})

t.test('chunks that are not framed, and lines that are too long', async t => {
  for (const rest of ['x\r\n', '\r\n', '-1\r\n', '+1\r\n', '0x1\r\n', '1 1\r\n', ' 1\r\n', '1 \r\n', '1 ;x\r\n', '1\n', '1\rx\n', '1;\0\r\n', '1;\x7f\r\n', '1234567890abcdef\r\n', '1\r\nab\r\n', '1\r\na\n', '1\r\na\r\r\n', '0\r\nx\r\n\r\n', '0\r\n x: 1\r\n\r\n', '0\r\ncontent-length: 1\r\n\r\n']) {
    t.match(read(CHUNKED + rest).used, /Response does not match/, JSON.stringify(rest))
  }
  t.match(read(CHUNKED + `1;${'x'.repeat(2000)}\r\n`).used, /overflow/i)
  t.match(read(CHUNKED + `1;${'x'.repeat(2000)}`).used, /overflow/i)
  t.match(read(CHUNKED + `0\r\nx: ${'y'.repeat(20_000)}\r\n\r\n`).used, /overflow/i)
  for (const cuts of [[], Array.from({ length: 100 }, (_, i) => i * 500)]) {
    t.match(read(head(`x: ${'y'.repeat(16_400)}\r\n`), cuts).used, /overflow/i)
    t.match(read(`HTTP/1.1 200 OK\r\nx: ${'y'.repeat(16_400)}`, cuts).used, /overflow/i)
    t.match(read(head(`x: ${'y'.repeat(16_000)}\r\ncontent-length: 0\r\n`), cuts), { done: true })
  }
})

t.test('who stops in the middle is told nothing more', async t => {
  const reader = new ResponseReader()
  const told: string[] = []
  reader.begin({ head: () => { told.push('head') }, data: chunk => { told.push(String(chunk)); reader.stop(); return false } }, false)
  const bytes = Buffer.from(CHUNKED + '1\r\na\r\n1\r\nb\r\n0\r\n\r\n')
  reader.read(bytes, bytes.length)
  t.same(told, ['head', 'a'])
  t.ok(reader.isDone)
})

t.test('long bodies are handed on as they were read, and nothing is read over them', async t => {
  const piece = (n: number): string => String(n % 10).repeat(100_000)
  const body = Array.from({ length: 12 }, (_, i) => piece(i)).join('')
  const chunked = Array.from({ length: 12 }, (_, i) => `${(100_000).toString(16)}\r\n${piece(i)}\r\n`).join('')
  for (const [what, text] of [['a length', head(`content-length: ${body.length}\r\n`) + body], ['chunks', `${CHUNKED}${chunked}0\r\n\r\n`], ['until the end', head('') + body]] as const) {
    const bytes = Buffer.from(text)
    const shared = Buffer.alloc(65_536)
    const reader = new ResponseReader()
    const chunks: Buffer[] = []
    let isFull = false
    reader.begin({ head: () => {}, data: chunk => { chunks.push(chunk); return !isFull } }, false)
    let [reads, owned] = [0, 0]
    for (let from = 0; from < bytes.length;) {
      reads++
      const into = reader.own ?? shared
      if (into !== shared) owned++
      // One read in the middle is short, and one fills up who reads.
      const length = Math.min(into.length, bytes.length - from, reads === 3 ? 1000 : Infinity)
      isFull = reads === 6
      bytes.copy(into, 0, from, from + length)
      reader.read(into, length)
      if (isFull) t.equal(reader.own, null, `${what}: who takes no more holds no buffer`)
      reader.isHeld = false
      from += length
    }
    t.equal(Buffer.concat(chunks).toString(), body, what)
    t.ok(owned > 3, `${what}: ${owned} long reads`)
    if (what === 'until the end') reader.finish()
    t.ok(reader.isDone)
    t.equal(reader.own, null, `${what}: and none is left`)
  }
})

t.test('however the bytes are cut, they are read the same', t => {
  const line = fc.constantFrom('content-length: 3\r\n', 'transfer-encoding: chunked\r\n', 'connection: close\r\n', 'x-a: 1\r\n', 'x-a:\t2 \r\n', 'set-cookie: c\r\n', 'a b: c\r\n', 'x: \n\r\n', '')
  const body = fc.constantFrom('', 'abc', '3\r\nabc\r\n0\r\n\r\n', '1\r\na\r\n2;x\r\nbc\r\n0\r\nx-t: 1\r\n\r\n', '3\r\nabcd\r\n', 'z\r\n', '0\r\n\r\nrest')
  const status = fc.constantFrom('HTTP/1.1 200 OK', 'HTTP/1.0 200 OK', 'HTTP/1.1 103 X\r\n\r\nHTTP/1.1 200', 'HTTP/1.1 204 None', 'HTTP/1.1 304', 'HTTP/1.1 2x0', 'ICY 200')
  const response = fc.tuple(status, fc.array(line, { maxLength: 4 }), body).map(([status, lines, body]) => `${status}\r\n${lines.join('')}\r\n${body}`)
  fc.assert(fc.property(response, fc.array(fc.nat(200), { maxLength: 30 }), fc.boolean(), (text, cuts, isHead) => {
    const [whole, pieces] = [read(text, [], isHead), read(text, cuts, isHead)]
    // Once it is done nobody reads on, so what follows is counted only where it came along.
    return JSON.stringify({ ...whole, used: typeof whole.used }) === JSON.stringify({ ...pieces, used: typeof pieces.used })
  }), { numRuns: 3000, seed: 7 })
  t.end()
})
