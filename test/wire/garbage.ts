import type { Script } from '../fixtures/raw.js'

/** A whole answer. */
export const ok = (body = 'ok'): string => `HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: ${body.length}\r\n\r\n${body}`

/** The beginning of an answer, its header lines ended, and what follows. */
export const head = (status: string, headers = '', body = ''): string => `HTTP/1.1 ${status}\r\n${headers}\r\n${body}`

/** A request that ends its connection. */
export const GET = 'GET /bad HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'

/** `error` is a 502 or 504; `cut` an answer that is seen to be incomplete; `odd` anything well-formed with a status below 500, or an error. */
export type Outcome = 'error' | 'cut' | 'error or cut' | 'odd' | { body: string }

/** Name, what the peer writes before it closes, and what the client may see. */
export const garbage: ReadonlyArray<readonly [string, Script, Outcome]> = [
  // Not HTTP
  ['nothing at all', '', 'error'],
  ['noise', Buffer.from(Array.from({ length: 4096 }, (_, i) => (i * 7919 + 13) & 0xff)), 'error'],
  ['zeros', Buffer.alloc(1000), 'error'],
  ['an alert by TLS', Buffer.from([21, 3, 1, 0, 2, 2, 40]), 'error'],
  ['SSH', 'SSH-2.0-OpenSSH_9.6\r\n', 'error'],
  ['HTML', '<html>hello</html>\n', 'error'],
  ['HTTP/2', Buffer.from([0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 100]), 'error'],
  ['ICY', 'ICY 200 OK\r\ncontent-length: 0\r\n\r\n', 'error'],
  ['a request', GET, 'error'],
  // Status lines
  ...['99', '099', '000', '600', '700', '999', '1000', '2OO', '-200', '+200', '20', '2 00', '', 'OK', '200.0'].map(status => [`status ${status}`, head(`${status} X`, 'content-length: 1\r\n', 'x'), 'error'] as const),
  ...['HTTP/3', 'HTTP/1.2', 'HTTP/1.11', 'http/1.1', 'HTTP/1,1', 'HTTP/'].map(version => [`version ${version}`, `${version} 200 OK\r\ncontent-length: 1\r\n\r\nx`, 'error'] as const),
  ['version HTTP/2.0', 'HTTP/2.0 200 OK\r\ncontent-length: 1\r\n\r\nx', 'odd'],
  ['HTTP/1.0', 'HTTP/1.0 200 OK\r\ncontent-type: text/plain\r\n\r\nold', { body: 'old' }],
  ['no phrase', 'HTTP/1.1 200\r\ncontent-length: 1\r\n\r\nx', { body: 'x' }],
  ['101 that nobody asked for', head('101 Switching Protocols', 'connection: upgrade\r\nupgrade: x\r\n', 'hello'), 'error'],
  ['a phrase with a CR', 'HTTP/1.1 200 O\rK\r\ncontent-length: 1\r\n\r\nx', 'odd'],
  ['a phrase with NUL', 'HTTP/1.1 200 O\0K\r\ncontent-length: 1\r\n\r\nx', 'odd'],
  ['half a head', 'HTTP/1.1 200 OK\r\ncontent-length: 1\r\nx-a', 'error'],
  // Lengths
  ...['-1', '+1', '1x', '0x1', '1, 2', '1 2', 'x', '99999999999999999999'].map(length => [`length ${length}`, head('200 OK', `content-length: ${length}\r\n`, 'x'), 'error or cut'] as const),
  ['two lengths, unequal', head('200 OK', 'content-length: 1\r\ncontent-length: 2\r\n', 'xy'), 'error or cut'],
  ['two lengths, equal', head('200 OK', 'content-length: 1\r\ncontent-length: 1\r\n', 'x'), 'odd'],
  ['a length and chunked', head('200 OK', 'content-length: 3\r\ntransfer-encoding: chunked\r\n', '1\r\nx\r\n0\r\n\r\n'), 'error or cut'],
  ['chunked and a length', head('200 OK', 'transfer-encoding: chunked\r\ncontent-length: 3\r\n', '1\r\nx\r\n0\r\n\r\n'), 'error or cut'],
  ['shorter than its length', head('200 OK', 'content-length: 100\r\n', 'short'), 'cut'],
  ['shorter than its length, with a type', head('200 OK', 'content-type: text/plain\r\ncontent-length: 100\r\n', 'short'), 'cut'],
  ['nothing of its length', head('200 OK', 'content-type: text/plain\r\ncontent-length: 100\r\n'), 'cut'],
  ['longer than its length', `${ok('short')}and more`, { body: 'short' }],
  ['two answers', ok('first') + ok('second'), { body: 'first' }],
  ['an error that is cut short', head('503 Unavailable', 'content-type: text/plain\r\ncontent-length: 100\r\n', 'short'), 'cut'],
  // Chunks
  ...['zz', '-1', '0x1', '+1', ' 1', 'fffffffffffffffff', '', '1\n'].map(size => [`chunk size ${JSON.stringify(size)}`, head('200 OK', 'transfer-encoding: chunked\r\n', `${size}\r\nx\r\n0\r\n\r\n`), 'error or cut'] as const),
  ['a chunk longer than its size', head('200 OK', 'transfer-encoding: chunked\r\n', '1\r\nxyz\r\n0\r\n\r\n'), 'error or cut'],
  ['no last chunk', head('200 OK', 'content-type: text/plain\r\ntransfer-encoding: chunked\r\n', '1\r\nx\r\n'), 'cut'],
  ['half a chunk', head('200 OK', 'content-type: text/plain\r\ntransfer-encoding: chunked\r\n', 'ff\r\nx'), 'cut'],
  ['no end of the trailers', head('200 OK', 'content-type: text/plain\r\ntransfer-encoding: chunked\r\n', '1\r\nx\r\n0\r\nx-sum: 1\r\n'), 'cut'],
  ['a bad trailer', head('200 OK', 'transfer-encoding: chunked\r\n', '1\r\nx\r\n0\r\nx y: 1\r\n\r\n'), 'error or cut'],
  ['gzip, chunked', head('200 OK', 'transfer-encoding: gzip, chunked\r\n', '1\r\nx\r\n0\r\n\r\n'), 'odd'],
  // Headers
  ...['x\0y: 1', 'x: a\0b', 'x y: 1', 'x : 1', ': 1', 'x', 'x: a\rb', 'x: a\nset-cookie: b', 'x: a\r\n folded', '\xe9: 1', 'x: \x01', 'x: \x7f', 'x: a\x0bb', ' x: 1', 'connection: x-a, close', '__proto__: 1', 'content-type: \xff', 'content-type: a\x01', 'content-encoding: nonsense', 'location: //evil', 'set-cookie: \xe9=\xff', 'date: never', 'keep-alive: timeout=-1', 'keep-alive: timeout=99999999999', 'upgrade: h2c'].map(line =>
    [`header ${JSON.stringify(line)}`, head('200 OK', `${line}\r\ncontent-length: 1\r\n`, 'x'), 'odd'] as const),
  ['bare LF for CRLF', 'HTTP/1.1 200 OK\ncontent-length: 1\n\nx', 'odd'],
  ['a header of 20 KiB', head('200 OK', `x: ${'v'.repeat(20_000)}\r\ncontent-length: 1\r\n`, 'x'), 'error'],
  ['5000 headers', head('200 OK', `${Array.from({ length: 5000 }, (_, i) => `x-${i}: 1\r\n`).join('')}content-length: 1\r\n`, 'x'), 'error'],
  ['a thousand early hints', `${'HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n'.repeat(1000)}${ok()}`, { body: 'ok' }],
  ['a last answer that is 100', head('100 Continue'), 'error'],
  ['trailers of 20 KiB', head('200 OK', 'transfer-encoding: chunked\r\n', `1\r\nx\r\n0\r\nx: ${'v'.repeat(20_000)}\r\n\r\n`), 'error or cut'],
  ['204 with a body', `${head('204 No Content', 'content-length: 5\r\n')}hello`, { body: '' }],
  ['304 with a body', `${head('304 Not Modified', 'content-length: 5\r\n')}hello`, { body: '' }]
]
