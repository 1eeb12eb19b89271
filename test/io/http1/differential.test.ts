import fc from 'fast-check'
import t from 'tap'
import { Client } from 'undici'
import { Asked, poolTo } from '../../fixtures/asked.js'
import { startRawPeer } from '../../fixtures/raw.js'

/** What a client makes of an answer; null for an error. */
interface Made {
  readonly status: number
  readonly fields: Record<string, unknown>
  readonly body: string
  readonly trailers: Record<string, unknown>
}

const lines = fc.constantFrom(
  'content-length: 3', 'Content-Length:3', 'content-length: 03', 'content-length: 3 ', 'content-length: 4', 'content-length: 3, 3', 'content-length: +3', 'content-length : 3', ' content-length: 3',
  'transfer-encoding: chunked', 'Transfer-Encoding: CHUNKED ', 'transfer-encoding:\tchunked', 'transfer-encoding: xchunked', 'transfer-encoding: chunked, identity', 'transfer-encoding: gzip',
  'connection: close', 'connection: keep-alive', 'connection: x-a', 'keep-alive: timeout=5', 'x-a: 1', 'X-A:  2\t', 'x-b:', 'x-b: \xe4', 'x-c: a\x01b', 'x-c: a\0', 'x-c: a\x7f', 'x d: 1', 'x-d: 1\n', 'x-d: 1\rx', 'x-d\r', ': x', 'x-e', '\tfolded', 'set-cookie: 1', 'Set-Cookie: 2', 'toString: 1')
const bodies = fc.constantFrom(
  '', 'abc', 'abcd', 'ab', '3\r\nabc\r\n0\r\n\r\n', '3;a=b\r\nabc\r\n0\r\nx-t: 1\r\n\r\n', '3 \r\nabc\r\n0\r\n\r\n', '3\nabc\n0\n\n', '3\r\nabcd\r\n0\r\n\r\n', '03\r\nabc\r\n00\r\n\r\n', '+3\r\nabc\r\n0\r\n\r\n', '0x3\r\nabc\r\n0\r\n\r\n', 'g\r\n',
  '3\r\nabc\r\n0\r\ncontent-length: 1\r\n\r\n', '3\r\nabc\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n', '3\r\nab', '-3\r\nabc\r\n0\r\n\r\n', '3\r\nabc0\r\n\r\n', '3;\r\nabc\r\n0\r\n\r\n', '3;a="\r\n"\r\nabc\r\n0\r\n\r\n')
const status = fc.constantFrom('HTTP/1.1 200 OK', 'HTTP/1.1 200 OK', 'HTTP/1.1 200 OK', 'HTTP/1.1 200', 'HTTP/1.0 200 OK', 'HTTP/1.1 204 X', 'HTTP/1.1 304 X', 'HTTP/1.1 103 X\r\n\r\nHTTP/1.1 200 OK', 'HTTP/1.1  200 OK', 'HTTP/1.1 2000 OK', 'HTTP/1.1 200\tOK', 'http/1.1 200 OK', 'HTTP/1.1 200 O\x01K', 'HTTP/1.1 200 OK\n', '\r\nHTTP/1.1 200 OK')
const answers = fc.tuple(status, fc.array(lines, { maxLength: 3 }), bodies)
  .map(([status, lines, body]) => `${[status, ...lines].join('\r\n')}\r\n\r\n${body}`)

t.test('what undici refuses is refused, and what is read is read the same', async t => {
  let text = ''
  const peer = await startRawPeer(t, { answer: socket => { socket.end(Buffer.from(text, 'latin1')) } })
  const ours = async (method: 'GET' | 'HEAD'): Promise<Made | null> => {
    const { pool } = poolTo(peer.port, 1)
    try {
      const { status, fields, body, trailers } = await new Asked(pool, { method }).answered
      return { status, fields: { ...fields }, body, trailers: { ...trailers } }
    } catch {
      return null
    } finally {
      pool.destroy()
    }
  }
  const undicis = async (method: 'GET' | 'HEAD'): Promise<Made | null> => {
    const client = new Client(`http://${peer.id}`)
    try {
      const { statusCode, headers, body, trailers } = await client.request({ path: '/', method })
      const bytes = await body.arrayBuffer()
      // Ours are only those that are passed on.
      const { connection, 'keep-alive': _keepAlive, 'transfer-encoding': _coding, ...fields } = headers
      for (const name of String(connection).split(',')) if (name.trim() === 'x-a') delete fields['x-a']
      // undici keeps the white space behind values, which is no part of them (RFC 9110, 5.5).
      for (const [name, value] of Object.entries(fields)) fields[name] = Array.isArray(value) ? value.map(one => one.trim()) : value?.trim()
      return { status: statusCode, fields, body: Buffer.from(bytes).toString('latin1'), trailers: { ...trailers } }
    } catch {
      return null
    } finally {
      await client.destroy()
    }
  }
  let read = 0
  let stricter = 0
  for (const [i, answer] of fc.sample(answers, { numRuns: 1500, seed: 11 }).entries()) {
    text = answer
    const method = i % 10 === 0 ? 'HEAD' : 'GET'
    const [our, his] = [await ours(method), await undicis(method)]
    // A 304 tells the length of what it does not send (RFC 9110, 15.4.5), which is undici's error; a 204 might not, and does no harm.
    if (our !== null && /^(?:204|304)$/.test(String(our.status)) && his === null && 'content-length' in our.fields) continue
    if (our !== null) {
      read++
      if (JSON.stringify(our) !== JSON.stringify(his)) t.same(our, his, `${method} ${JSON.stringify(text)}`)
    } else if (his !== null) stricter++
  }
  t.comment(`${read} read alike, ${stricter} read by undici alone`)
  t.ok(read > 200, `${read} were read`)
})
