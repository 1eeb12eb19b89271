import { Readable } from 'node:stream'
import fc from 'fast-check'
import t from 'tap'
import type { Outbound } from '../../../lib/io/carrier.js'
import { prepare } from '../../../lib/io/http1/request.js'

const request = (given: Partial<Outbound>): Outbound => ({ method: 'GET', path: '/', fields: ['host', 'h'], body: null, upgrade: null, ...given })

t.test('requests are written as undici writes them', async t => {
  const fields = ['host', 'h:1', 'x-a', '1', 'x-b', ['2', '3'], 'x-c', '']
  const head = 'GET /a?b HTTP/1.1\r\nhost: h:1\r\nconnection: keep-alive\r\nx-a: 1\r\nx-b: 2\r\nx-b: 3\r\nx-c: \r\n'
  t.same(prepare(request({ path: '/a?b', fields })), { method: 'GET', path: '/a?b', host: 'h:1', fields, head, body: null, length: null, isHead: false, expectsBody: false })
  t.match(prepare(request({ method: 'HEAD' })), { head: /^HEAD \/ HTTP\/1.1\r\nhost: h\r\nconnection: close\r\n$/, isHead: true })
  t.match(prepare(request({ method: 'POST' })), { body: null, length: 0, expectsBody: true }, 'a length where a body is expected')
  for (const body of ['', Buffer.alloc(0)]) t.match(prepare(request({ method: 'DELETE', body })), { body: null, length: null })
  t.match(prepare(request({ method: 'PUT', body: 'ä', fields: ['host', 'h', 'content-length', '2'] })), { body: Buffer.from('ä'), length: 2, head: /keep-alive\r\n$/ })
  const body = Readable.from(['x'])
  t.match(prepare(request({ method: 'POST', body })), { body, length: null })
  t.match(prepare(request({ method: 'POST', body, fields: ['host', 'h', 'content-length', '7'] })), { body, length: 7 })
})

t.test('what must not be sent', async t => {
  const invalid: Array<Partial<Outbound>> = [
    { path: '' }, { path: 'a' }, { path: '*' }, { path: 'http://h/' }, { path: '/a b' }, { path: '/a\r\nx: y' }, { path: '/\0' }, { path: '/\x7f' }, { path: '/\u0100' },
    { method: '' }, { method: 'G T' }, { method: 'GET /\r\n' }, { method: 'GÄT' },
    ...['', 'a b', 'a:', 'a\r\nb', 'ä', 'host', 'connection', 'transfer-encoding', 'upgrade', 'keep-alive'].map(name => ({ fields: ['host', 'h', name, '1'] })),
    ...['a\r\nb: c', 'a\nb', 'a\rb', 'a\0b', 'a\x7fb', 'a\u0100b'].flatMap(value => [{ fields: ['host', 'h', 'x', value] }, { fields: ['host', 'h', 'x', ['fine', value]] }, { fields: ['host', value] }]),
    ...['', '-1', '1x', '1, 1', ' 1'].map(length => ({ fields: ['host', 'h', 'content-length', length] })),
    { fields: ['host', 'h', 'content-length', ['1', '1']] }, { fields: ['host', 'h', 'content-length', '1', 'content-length', '1'] },
    { body: new Blob(['x']) }
  ]
  for (const one of invalid) t.throws(() => prepare(request(one)), { code: 'UND_ERR_INVALID_ARG' }, JSON.stringify(one))
  t.throws(() => prepare(request({ fields: ['host', 'h', 'expect', '100-continue'] })), { code: 'UND_ERR_NOT_SUPPORTED' })
  t.throws(() => prepare(request({ method: 'POST', body: 'four', fields: ['host', 'h', 'content-length', '5'] })), { code: 'UND_ERR_REQ_CONTENT_LENGTH_MISMATCH' })
})

t.test('whatever is given, what is written is one request with the fields that were given', t => {
  const text = fc.string({ unit: fc.constantFrom('a', 'B', '1', '-', ':', ' ', '\t', '\r', '\n', '\0', 'ä', '\u0100', '/', '?') })
  fc.assert(fc.property(text, text, fc.array(fc.tuple(text, text), { maxLength: 4 }), (method, path, fields) => {
    let head: string
    try {
      head = prepare(request({ method, path: `/${path}`, fields: ['host', 'h', ...fields.flat()] })).head
    } catch {
      return true
    }
    const lines = head.split('\r\n')
    return lines.length === 4 + fields.length && !/[\0\x7f]|[^\r]\n|\r[^\n]/.test(head) && lines[0] === `${method} /${path} HTTP/1.1` &&
      fields.every(([name, value], i) => lines[3 + i] === `${name}: ${value}`)
  }), { numRuns: 5000, seed: 3 })
  t.end()
})
