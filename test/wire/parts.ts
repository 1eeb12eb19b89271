/** What exchanges are made of: the dimensions of the corpus. */
import { gzipSync } from 'node:zlib'
import type { Answered, Asked, Exchanged, Header } from './exchange.js'

export const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'] as const

export const TARGETS = [
  '/', '/a', '/a/', '/a/b/c', '//', '//a', '/a//b', '///a', '/a%2Fb', '/a%2fb', '/a%25b', '/a%2525', '/%41%62', '/%e2%82%ac', '/%E2%82%AC', '/a%20b', '/a+b', '/a;v=1/b',
  '/a:b', '/a@b', '/a!b$c&d\'e(f)g*h,i=j', '/~a', '/a-_.~', '/...', '/a...b', '/.well-known/x', '/a/.b', '/a?', '/a?b', '/a?b=c&d=e', '/a?b=c?d', '/a?b=+%20', '/a?b=%2F%3f', '/a?%',
  '/a?b=%zz', '/a?/../b', '/a?b[]=1&b[]=2', '/a?b={c}', '/a?b="c"', '/a?b=<c>', '/a?b=\'c\'', '/a?b=c|d^e`f', '/a?b=\\', '/a?b=c#d', '/a#b', '/a?b=\xe9', '/?', '/?a', '/?/', '/a/./b', '/./a', '/a/.',
  '/a"b', '/a<b>', '/a{b}', '/a^b', '/a|b', '/a`b', '/a[b]', '/[...slug]', '/\xe9', '/\xe2\x82\xac', '/a%5Cb', '/a%00b', '/a%0d%0ab', '/a%7Fb', '/%', '/%zz', '/a%', '/a%c0%ae', '/a\\b',
  '/..', '/a/../b', '/a/..', '/%2e%2e/a', '/a/%2E./b', '/a..%2fb', '/a/%2e/b', '/a/.%2e', '/http://other.example/x', '/:80/x', '/@other.example', `/${'a'.repeat(4000)}`, `/a?${'b'.repeat(8000)}`,
  'http://client.example/a?b', 'http://client.example', 'http://client.example?q', 'http://other.example:81/a'
] as const

export const REQUEST_HEADERS: ReadonlyArray<readonly [string, ...Header[]]> = [
  ['case', ['X-Case-KEPT', 'Value'], ['x-lower', 'VALUE']],
  ['duplicates', ['x-a', '1'], ['X-A', '2'], ['x-a', '3']],
  ['duplicates of one that may stand once', ['user-agent', 'a'], ['user-agent', 'b'], ['referer', 'a'], ['referer', 'b'], ['authorization', 'a'], ['authorization', 'b']],
  ['several values', ['accept', 'text/html, text/plain;q=0.5'], ['accept', '*/*'], ['accept-encoding', 'gzip, br'], ['accept-language', 'de, en;q=0.8']],
  ['empty', ['x-empty', ''], ['accept', '']],
  ['blanks around', ['x-blanks', ' \t a  b \t ']],
  ['latin1', ['x-latin1', 'caf\xe9 \xff\x80'], ['x-utf8', '\xe2\x82\xac']],
  ['long', ['x-long', 'v'.repeat(6000)]],
  ['many', ...Array.from({ length: 80 }, (_, i): Header => [`x-many-${i}`, String(i)])],
  ['cookies', ['cookie', 'a=1; b=2'], ['Cookie', 'c=3'], ['cookie', 'a="x y"']],
  ['named by connection', ['connection', 'close, X-Mine'], ['x-mine', '1'], ['x-other', '2']],
  ['named by connection, one after the other', ['connection', 'X-Mine'], ['connection', 'x-too'], ['x-mine', '1'], ['x-too', '1'], ['x-other', '2']],
  ['connection: close', ['connection', 'close']],
  ['connection: keep-alive', ['connection', 'keep-alive']],
  ['connection that names end-to-end headers', ['connection', 'cookie, authorization'], ['cookie', 'a=1'], ['authorization', 'Basic eDp5']],
  ['keep-alive', ['keep-alive', 'timeout=5']],
  ['te', ['te', 'trailers']],
  ['te with connection', ['te', 'trailers'], ['connection', 'TE']],
  ['trailer', ['trailer', 'x-checksum']],
  ['upgrade without connection', ['upgrade', 'websocket']],
  ['upgrade h2c', ['connection', 'Upgrade, HTTP2-Settings'], ['upgrade', 'h2c'], ['http2-settings', 'AAMAAABkAARAAAAAAAIAAAAA']],
  ['http2-settings', ['http2-settings', 'AAMAAABkAARAAAAAAAIAAAAA']],
  ['proxy-connection', ['proxy-connection', 'keep-alive']],
  ['proxy-authorization', ['proxy-authorization', 'Basic eDp5']],
  ['x-request-id', ['x-request-id', 'abc-123'], ['traceparent', '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01']],
  ['forwarded', ['x-forwarded-for', '1.2.3.4'], ['X-Forwarded-Proto', 'https'], ['x-forwarded-host', 'h'], ['forwarded', 'for=1.2.3.4'], ['via', '1.1 a'], ['x-real-ip', '1.2.3.4']],
  ['conditional and range', ['if-none-match', 'W/"a", "b"'], ['if-modified-since', 'Wed, 21 Oct 2015 07:28:00 GMT'], ['range', 'bytes=0-1'], ['if-range', '"a"']],
  ['cors', ['origin', 'https://a.example'], ['access-control-request-method', 'PUT'], ['access-control-request-headers', 'x-a']],
  ['names that objects have', ['__proto__', 'x'], ['constructor', 'y'], ['toString', 'z'], ['hasownproperty', 'w']],
  ['every token character', ["x!#$%&'*+-.^_`|~1", 'v']],
  ['content-type without a body', ['content-type', 'application/json']],
  ['cache', ['cache-control', 'no-cache'], ['pragma', 'no-cache'], ['max-forwards', '3']]
]

export const KIB = Buffer.alloc(10_240, 'k')
const LARGE = Buffer.from(Array.from({ length: 102_400 }, (_, i) => (i * 31 + (i >> 8)) & 0xff))
export const ctype = (value: string): Header[] => [['Content-Type', value]]
const multipart = '--b\r\nContent-Disposition: form-data; name="a"; filename="f"\r\nContent-Type: text/plain\r\n\r\nx\r\n--b--\r\n'

export const BODIES: ReadonlyArray<readonly [string, Asked]> = [
  ['none', {}],
  ['none, with a type', { headers: ctype('application/json') }],
  ['empty', { body: '' }],
  ['empty, with a type', { body: '', headers: ctype('application/json') }],
  ['small', { body: 'small', headers: ctype('text/plain') }],
  ['of no type', { body: 'typeless' }],
  ['10 KiB', { body: KIB, headers: ctype('application/octet-stream') }],
  ['100 KiB', { body: LARGE, headers: ctype('application/octet-stream') }],
  ['chunked', { chunks: ['abc', 'defg'], headers: ctype('text/plain') }],
  ['chunked, empty', { chunks: [], headers: ctype('text/plain') }],
  ['chunked, 100 KiB', { chunks: [LARGE.subarray(0, 40_000), LARGE.subarray(40_000)], headers: ctype('application/octet-stream') }],
  ['chunked, with trailers', { chunks: ['abc'], headers: [...ctype('text/plain'), ['trailer', 'x-sum']], trailers: [['x-sum', '1']] }],
  ['binary', { body: Buffer.from([0, 1, 2, 255, 254, 13, 10, 13, 10, 0]), headers: ctype('image/png') }],
  ['JSON', { body: '{ "a" : 1.0 }', headers: ctype('application/json; charset=utf-8') }],
  ['broken JSON', { body: '{"a', headers: ctype('application/json') }],
  ['urlencoded', { body: 'a=1&b=%20+', headers: ctype('application/x-www-form-urlencoded') }],
  ['multipart', { body: multipart, headers: ctype('multipart/form-data; boundary=b') }],
  ['of an unknown type', { body: 'x', headers: ctype('application/x-unheard-of') }],
  ['of an odd type', { body: 'x', headers: ctype('odd') }],
  ['of an empty type', { body: 'x', headers: ctype('') }],
  ['encoded', { body: gzipSync('zipped'), headers: [...ctype('text/plain'), ['content-encoding', 'gzip']] }],
  ['expected', { body: 'patient', headers: [...ctype('text/plain'), ['Expect', '100-continue']] }]
]

export const STATUSES = [
  '200 OK', '201 Created', '202 Accepted', '203 Non-Authoritative Information', '205 Reset Content', '206 Partial Content', '207 Multi-Status', '226 IM Used', '299 Odd', '300 Multiple Choices', '301 Moved Permanently',
  '302 Found', '303 See Other', '307 Temporary Redirect', '308 Permanent Redirect', '400 Bad Request', '401 Unauthorized', '402 Payment Required', '403 Forbidden', '404 Not Found',
  '405 Method Not Allowed', '406 Not Acceptable', '407 Proxy Authentication Required', '408 Request Timeout', '409 Conflict', '410 Gone', '411 Length Required', '412 Precondition Failed', '413 Payload Too Large', '415 Unsupported Media Type', '416 Range Not Satisfiable',
  '418 I\'m a teapot', '421 Misdirected Request', '422 Unprocessable Entity', '425 Too Early', '426 Upgrade Required', '428 Precondition Required', '429 Too Many Requests', '431 Too Large', '451 Legal', '499 Odd', '500 Internal Server Error', '501 Not Implemented', '502 Bad Gateway', '503 Service Unavailable', '504 Gateway Timeout', '507 Full', '511 Net', '599 Odd', '200 A phrase of its own', '200 '
] as const

export const RESPONSE_HEADERS: ReadonlyArray<readonly [string, ...Header[]]> = [
  ['none'],
  ['no content-type', ['x-a', '1']],
  ['case', ['X-Case-KEPT', 'Value'], ['Content-Type', 'Text/Plain']],
  ['cookies', ['set-cookie', 'a=1; Path=/'], ['Set-Cookie', 'b=2; HttpOnly'], ['x-between', '1'], ['set-cookie', 'a=3, x']],
  ['one cookie', ['set-cookie', 'a=1']],
  ['duplicates', ['x-a', '1'], ['x-a', '2'], ['X-A', '1']],
  ['duplicates of one that may stand once', ['etag', '"a"'], ['etag', '"b"'], ['location', '/a'], ['location', '/b'], ['retry-after', '1'], ['retry-after', '2']],
  ['two content-types', ['content-type', 'text/plain'], ['content-type', 'text/html']],
  ['empty', ['x-empty', ''], ['content-type', 'text/plain']],
  ['latin1', ['x-latin1', 'caf\xe9 \xff\x80'], ['x-utf8', '\xe2\x82\xac'], ['content-disposition', 'attachment; filename="\xe9.txt"'], ['content-type', 'text/plain']],
  ['caching', ['etag', 'W/"a"'], ['vary', 'Accept'], ['vary', 'Cookie'], ['cache-control', 'public, max-age=60'], ['last-modified', 'Wed, 21 Oct 2015 07:28:00 GMT'], ['age', '5'], ['expires', '0']],
  ['twice', ['www-authenticate', 'Basic realm="a"'], ['www-authenticate', 'Bearer'], ['link', '</a>; rel=preload'], ['link', '</b>; rel=next']],
  ['a date', ['date', 'Wed, 21 Oct 2015 07:28:00 GMT'], ['content-type', 'text/plain']],
  ['server and via', ['server', 'peer/1'], ['via', '1.1 x'], ['x-powered-by', 'y']],
  ['odd content-type', ['content-type', 'odd']],
  ['empty content-type', ['content-type', '']],
  ['text without a charset', ['content-type', 'text/html']],
  ['JSON', ['content-type', 'application/json']],
  ['JSON with a charset', ['content-type', 'application/json; charset=latin1']],
  ['event stream', ['content-type', 'text/event-stream'], ['cache-control', 'no-cache']],
  ['connection: close', ['connection', 'close'], ['content-type', 'text/plain']],
  ['connection: keep-alive', ['connection', 'keep-alive'], ['keep-alive', 'timeout=7'], ['content-type', 'text/plain']],
  ['named by connection', ['connection', 'x-mine'], ['x-mine', '1'], ['x-other', '2']],
  ['proxy-connection', ['proxy-connection', 'keep-alive'], ['content-type', 'text/plain']],
  ['proxy-authenticate', ['proxy-authenticate', 'Basic realm="p"']],
  ['upgrade', ['upgrade', 'h2c'], ['content-type', 'text/plain']],
  ['te and trailer', ['te', 'trailers'], ['content-type', 'text/plain']],
  ['names that objects have', ['__proto__', 'x'], ['constructor', 'y'], ['toString', 'z']],
  ['names that Fastify could take for its own', ['content-language', 'de'], ['accept-ranges', 'bytes'], ['content-range', 'bytes 0-1/2'], ['x-content-type-options', 'nosniff'], ['strict-transport-security', 'max-age=1'], ['alt-svc', 'h3=":443"']],
  ['many', ...Array.from({ length: 60 }, (_, i): Header => [`x-many-${i}`, String(i)])],
  ['long', ['x-long', 'v'.repeat(6000)]]
]

const MIB = Buffer.alloc(1_048_576, 'm')
const EARLY = 'HTTP/1.1 103 Early Hints\r\nlink: </a.css>; rel=preload\r\n\r\n'
const zipped: Answered = { body: gzipSync('zipped'), headers: [['content-type', 'text/plain'], ['content-encoding', 'gzip']] }
const XML: Header[] = [['content-type', 'application/xml']]

export const FRAMINGS: ReadonlyArray<readonly [string, Answered, Exchanged['after']?]> = [
  ['a length', { body: 'ok' }],
  ['chunked', { body: 'ok', framing: 'chunked' }],
  ['chunked, without a type', { body: 'ok', framing: 'chunked', headers: [] }],
  ['until close', { body: 'ok', framing: 'close' }],
  ['until close, without a type', { body: 'ok', framing: 'close', headers: [] }],
  ['length zero', { body: '' }],
  ['length zero, without a type', { body: '', headers: [] }],
  ['chunked, empty', { framing: 'chunked' }],
  ['chunked, empty, without a type', { framing: 'chunked', headers: [] }],
  ['until close, empty', { framing: 'close' }],
  ['a length, in two writes', { body: 'ok', pause: 30 }],
  ['chunked, in two writes', { body: 'ok', framing: 'chunked', pause: 30 }],
  ['until close, in two writes', { body: 'ok', framing: 'close', pause: 30 }],
  ['a length, in two writes, without a type', { body: 'ok', pause: 30, headers: [] }],
  ['1 MiB', { body: MIB }],
  ['1 MiB chunked', { body: MIB, framing: 'chunked' }],
  ['1 MiB until close', { body: MIB, framing: 'close' }],
  ['30 KiB chunked', { body: MIB.subarray(0, 30_000), framing: 'chunked', headers: XML }],
  ['gzip', zipped],
  ['gzip chunked', { ...zipped, framing: 'chunked' }],
  ['trailers', { body: 'ok', framing: 'chunked', headers: [['content-type', 'text/plain'], ['trailer', 'X-Sum, x-more']], trailers: [['X-Sum', '1'], ['x-more', '2']] }],
  ['trailers that nobody announced', { body: 'ok', framing: 'chunked', trailers: [['x-sum', '1']] }],
  ['trailers after an empty body', { framing: 'chunked', trailers: [['grpc-status', '0']] }],
  ['latin1 headers, in two writes', { body: 'ok', pause: 30, headers: [['content-disposition', 'attachment; filename="\xe9.txt"'], ['content-type', 'text/plain']] }],
  ['trailers, in two writes', { body: 'ok', framing: 'chunked', trailers: [['x-sum', '1']], pause: 30 }],
  ['trailers that must not be any', { body: 'ok', framing: 'chunked', trailers: [['content-length', '5'], ['transfer-encoding', 'chunked'], ['host', 'x'], ['x-fine', '1']] }],
  ['early hints', { body: 'ok', interim: EARLY }],
  ['early hints twice, chunked', { body: 'ok', framing: 'chunked', interim: EARLY + EARLY }],
  ['102 before it', { body: 'ok', interim: 'HTTP/1.1 102 Processing\r\n\r\n' }],
  ['100 that nobody asked for', { body: 'ok', interim: 'HTTP/1.1 100 Continue\r\n\r\n' }],
  ['cut short', { body: 'ok', framing: 'bare', headers: [['content-type', 'text/plain'], ['content-length', '100']] }, 'end'],
  ['cut short, chunked', { body: '5\r\nab', framing: 'bare', headers: [['transfer-encoding', 'chunked']] }, 'end'],
  ['not HTTP', { status: 'banana', body: 'x' }, 'end'],
  ['no status that there is', { status: '700 Odd' }],
  ['reset after the head', { status: '200 OK', framing: 'bare' }, 'reset'],
  ['no answer, reset', { bytes: '' }, 'reset'],
  ['no answer, closed', { bytes: '' }, 'end'],
  ['half a head', { bytes: 'HTTP/1.1 200 OK\r\ncontent-' }, 'end']
]

export const BODILESS: ReadonlyArray<readonly [string, string, Answered]> = [
  ['HEAD with a length', 'HEAD', { framing: 'bare', headers: [['content-type', 'text/plain'], ['content-length', '1234']] }],
  ['HEAD chunked', 'HEAD', { framing: 'bare', headers: [['content-type', 'text/plain'], ['transfer-encoding', 'chunked']] }],
  ['HEAD without either', 'HEAD', { framing: 'bare', headers: [['content-type', 'text/plain']] }],
  ['HEAD without a type', 'HEAD', { framing: 'bare', headers: [['content-length', '0']] }],
  ['HEAD 404', 'HEAD', { status: '404 Not Found', framing: 'bare', headers: [['content-length', '9']] }],
  ['HEAD 503', 'HEAD', { status: '503 Service Unavailable', framing: 'bare', headers: [['content-length', '9']] }],
  ['204', 'GET', { status: '204 No Content', framing: 'bare', headers: [] }],
  ['204 with a type', 'DELETE', { status: '204 No Content', framing: 'bare' }],
  ['204 with length 0', 'PUT', { status: '204 No Content', headers: [] }],
  ['304', 'GET', { status: '304 Not Modified', framing: 'bare', headers: [['etag', '"a"']] }],
  ['304 with a length', 'GET', { status: '304 Not Modified', framing: 'bare', headers: [['etag', '"a"'], ['content-length', '1234'], ['content-type', 'text/plain']] }],
  ['304 to HEAD', 'HEAD', { status: '304 Not Modified', framing: 'bare', headers: [['content-length', '1234']] }],
  ['OPTIONS with length 0', 'OPTIONS', { headers: [['allow', 'GET, POST']], body: '' }]
]
