import t from 'tap'
import { errors } from '../../lib/errors.js'
import { readServiceSettings, serviceDefaults } from '../../lib/options.js'
import { readRetry, retryOf } from '../../lib/options/service.js'
import type { ServiceSettings } from '../../lib/store/settings.js'
import { pem } from '../fixtures/pem.js'

function read (raw: unknown, base = serviceDefaults, path = ''): ServiceSettings {
  return readServiceSettings(raw, base, path)
}

function refusal (raw: unknown, base = serviceDefaults, path = ''): string {
  try {
    read(raw, base, path)
  } catch (error) {
    if (error instanceof errors.BAD_OPTION) return error.message
    throw error
  }
  return 'accepted'
}

const CERT = pem('client.pem')
const KEY = pem('client.key')
const DURATION = 'a number from 1 to 2147483647 (ms)'
const SHARE = 'a number from 0 to 1'
const COUNT = 'an integer from 1 to 1000'
const RUN = 'an integer from 0 to 1000000 or false'
const PATH = 'a path that starts with "/", or null'
const HOST = '"client", "peer" or a host with or without a port'
const durations = [
  'check.interval', 'check.timeout', 'outlier.interval', 'outlier.baseEjection', 'outlier.maxEjection', 'timeouts.connect',
  'timeouts.headers', 'timeouts.body', 'timeouts.total', 'pool.keepAlive'
]

const OWN = { name: 'mine', rebuild () {}, pick () {}, opened () {} }
const KEY_OF = (): string => 'x'
const SECRET = 'a'.repeat(16)

/** `check.interval` and 5 → `{ check: { interval: 5 } }`. */
function nested (path: string, value: unknown): Record<string, unknown> {
  const [name = '', ...rest] = path.split('.')
  return { [name]: rest.length === 0 ? value : nested(rest.join('.'), value) }
}

t.test('the defaults are those of the contract', async (t) => {
  t.strictSame(serviceDefaults, {
    balancer: 'round-robin',
    hashKey: 'ip',
    sticky: false,
    loadReports: false,
    slowStart: { minWeight: 0.1, aggression: 1 },
    check: {
      type: 'http',
      path: null,
      interval: 5000,
      timeout: 1000,
      rise: 2,
      fall: 3,
      status: [[200, 399]],
      jitter: 0.2,
      concurrency: 32,
      userAgent: 'fastify-upstream-etcd'
    },
    outlier: {
      consecutive5xx: 5,
      consecutiveErrors: 5,
      interval: 10000,
      failureRate: 0.5,
      minRequests: 20,
      baseEjection: 30000,
      maxEjection: 300000,
      maxEjected: 0.5,
      latencyFactor: 0
    },
    panic: 0.5,
    limits: { maxInflight: 0, queue: 0, queueTimeout: 1000 },
    retry: { attempts: 2, on: ['connect', 'reset', 502, 503, 504], budget: { ratio: 0.2, perSecond: 10 }, bodyBytes: 65536 },
    timeouts: { connect: 1000, headers: 30000, body: 30000, total: 60000 },
    host: 'client',
    forwarded: true,
    debugHeader: false,
    pool: { connections: 128, keepAlive: 60000, allowH2: false },
    tls: { rejectUnauthorized: true, ca: null, cert: null, key: null, serverName: null }
  })
  t.strictSame(read({}), serviceDefaults)
  t.strictSame(read({ check: {}, outlier: {}, retry: { budget: {} }, tls: {}, pool: undefined }), serviceDefaults)
})

t.test('good values', async (t) => {
  const rows: Array<[path: string, value: unknown, becomes?: unknown]> = [
    ['balancer', 'round-robin'], ['balancer', 'least-requests'], ['balancer', 'p2c-ewma'], ['balancer', 'hash'], ['balancer', 'random'], ['balancer', OWN],
    ['hashKey', 'ip'], ['hashKey', 'uri'], ['hashKey', 'header:x-user'], ['hashKey', 'cookie:sid'], ['hashKey', KEY_OF],
    ['sticky', false], ['sticky', { cookie: 'peer', secret: SECRET }, { cookie: 'peer', secret: [SECRET] }],
    ['sticky', { cookie: 'peer', secret: [SECRET, 'b'.repeat(16)] }],
    ['loadReports', true], ['limits.maxInflight', 1e9], ['limits.queue', 1e6], ['limits.queue', 0], ['limits.queueTimeout', 1],
    ['slowStart.minWeight', 0], ['slowStart.minWeight', 1], ['slowStart.aggression', 0.001], ['slowStart.aggression', 100],
    ['check', false], ['outlier', false],
    ['check.type', 'tcp'], ['check.type', 'http'], ['check.path', null], ['check.path', '/'], ['check.path', '/health?deep=1'],
    ['check.interval', 1], ['check.interval', 1.5], ['check.rise', 1], ['check.fall', 1000],
    ['check.status', [200], [[200, 200]]], ['check.status', [[100, 599], 200], [[100, 599], [200, 200]]], ['check.status', [[204, 204]]],
    ['check.jitter', 0], ['check.jitter', 1], ['check.concurrency', 1], ['check.concurrency', 10000],
    ['check.userAgent', 'probe/1.0 (gateway a)'],
    ['outlier.consecutive5xx', 0], ['outlier.consecutive5xx', false, 0], ['outlier.consecutiveErrors', 1000000],
    ['outlier.consecutiveErrors', false, 0], ['outlier.failureRate', 1], ['outlier.failureRate', 0.0001], ['outlier.failureRate', 0],
    ['outlier.failureRate', false, 0], ['outlier.minRequests', 1], ['outlier.maxEjected', 0], ['outlier.maxEjected', 1],
    ['outlier.maxEjection', 2147483647], ['outlier.maxEjection', 30000], ['outlier.baseEjection', 300000],
    ['outlier.latencyFactor', false, 0], ['outlier.latencyFactor', 1.001], ['outlier.latencyFactor', 1000],
    ['panic', 0], ['panic', 1], ['timeouts.total', 2147483647],
    ['host', 'client'], ['host', 'peer'], ['host', 'shop.example.com'], ['host', 'shop.example.com:8080'], ['host', '[::1]:80'], ['host', '10.0.0.1'],
    ['forwarded', false], ['forwarded', true], ['debugHeader', true], ['debugHeader', false], ['pool.connections', 1], ['pool.connections', 100000], ['pool.keepAlive', 1],
    ['pool.allowH2', true], ['pool.allowH2', false],
    ['retry', false], ['retry.attempts', 0], ['retry.attempts', 10], ['retry.on', []], ['retry.on', ['timeout', 'reset', 'connect']], ['retry.on', [400, 599, 'reset']],
    ['retry.budget', { ratio: 0, perSecond: 0 }], ['retry.budget', { ratio: 10, perSecond: 1000000 }], ['retry.budget', { ratio: 0.5 }, { ratio: 0.5, perSecond: 10 }],
    ['retry.budget', { per_second: 0.1 }, { ratio: 0.2, perSecond: 0.1 }], ['retry.bodyBytes', 0], ['retry.bodyBytes', 16777216],
    ['tls.rejectUnauthorized', false], ['tls.ca', CERT], ['tls.ca', Buffer.from(CERT), CERT], ['tls.ca', null], ['tls.cert', null], ['tls.key', null],
    ['tls.serverName', 'peers.internal'], ['tls.serverName', null], ['tls', { cert: CERT, key: Buffer.from(KEY) }, { ...serviceDefaults.tls, cert: CERT, key: KEY }]
  ]
  for (const [path, value, becomes = value] of rows) {
    const expected: Record<string, unknown> = { ...serviceDefaults }
    const [name = '', field] = path.split('.')
    expected[name] = field === undefined ? becomes : { ...expected[name] as object, [field]: becomes }
    t.strictSame(read(nested(path, value)), expected, `${path} ${JSON.stringify(value)}`)
  }
})

t.test('bad values are named with what is allowed', async (t) => {
  const bad: Array<[path: string, expected: string, values: unknown[]]> = [
    ['balancer', '"round-robin", "least-requests", "p2c-ewma", "hash", "random" or an object with the functions rebuild and pick',
      ['roundrobin', null, 1, {}, { pick () {} }, { pick () {}, rebuild: 1 }, { pick () {}, rebuild () {}, opened: 1 }, { pick () {}, rebuild () {}, closed: null }]],
    ['hashKey', '"ip", "uri", "header:<name>", "cookie:<name>" or a function of the request', ['', 'header', 'header:', 'cookie:a b', 'IP', null, 5]],
    ['sticky', 'an object or false', [true, null, 'peer']],
    ['sticky.cookie', 'the name of a cookie', ['', 'a b', 'a;b', 1]],
    ['loadReports', 'true or false', [1, null, 'yes']],
    ['limits.maxInflight', 'an integer from 0 to 1000000000', [-1, 1.5, '1', null, 2e9]],
    ['limits.queue', 'an integer from 0 to 1000000', [-1, 0.5, Infinity, false]],
    ['slowStart.minWeight', SHARE, [-0.1, 1.1, NaN, '0.1', null]],
    ['slowStart.aggression', 'a number above 0, at most 100', [0, -1, 100.1, Infinity, '1']],
    ['slowStart', 'an object', [false, true, [], 'x', new Map()]],
    ['check', 'an object or false', [true, null, 0, 'off', [], new Date(0)]],
    ['outlier', 'an object or false', [true, null, 1]],
    ['check.type', '"http" or "tcp"', ['udp', 'HTTP', null]],
    ['check.path', PATH, ['', 'health', '/a b', '/\u00e9', '/a\n', 1, false]],
    ['check.rise', COUNT, [0, 1001, 1.5, '2', NaN]],
    ['check.fall', COUNT, [0, 1001, 2.5, true]],
    ['check.status', 'a list of status codes or pairs [from, to], at least one', [[], 200, '200', { 0: 200 }, null]],
    ['check.jitter', SHARE, [-1, 2, '20%']],
    ['check.concurrency', 'an integer from 1 to 10000', [0, 10001, 1.5]],
    ['check.userAgent', 'visible ASCII text', ['', 'a\r\nx: y', '\u00e9', null, 1]],
    ['outlier.consecutive5xx', RUN, [-1, 1.5, 1000001, true, '5', null]],
    ['outlier.consecutiveErrors', RUN, [-1, NaN, true]],
    ['outlier.failureRate', 'a number from 0 to 1 or false', [-0.1, 1.1, 50, '50%', true]],
    ['outlier.minRequests', 'an integer from 1 to 9007199254740991', [0, 1.5, Infinity]],
    ['outlier.maxEjected', SHARE, [-1, 10, false]],
    ['outlier.latencyFactor', 'a number above 1, at most 1000 or false', [true, 1, 0, 0.5, 1000.5, NaN, Infinity, '3', null]],
    ['panic', SHARE, [-1, 1.01, 50, NaN, '0.5', false]],
    ['timeouts', 'an object', [false, 1000, []]],
    ['host', HOST, ['', 'a b', 'a/b', 'a\r\nx: y', 'http://a', 'user@a', 'a:port', true, null]],
    ['forwarded', 'true or false', ['true', 1, null]],
    ['debugHeader', 'true or false', ['true', 1, null]],
    ['pool', 'an object', [false, 5]],
    ['pool.connections', 'an integer from 1 to 100000', [0, 100001, 1.5, Infinity]],
    ['pool.allowH2', 'true or false', ['true', 1, null]],
    ['retry', 'an object or false', [true, null, 2, 'off', []]],
    ['retry.attempts', 'an integer from 0 to 10', [-1, 11, 1.5, '2', null, false]],
    ['retry.on', 'a list of "connect", "reset", "timeout" and status codes', ['connect', 503, null, { 0: 503 }, false]],
    ['retry.budget', 'an object', [false, 0.2, null, []]],
    ['retry.budget.ratio', 'a number from 0 to 10', [-0.1, 10.1, NaN, '20%', null, false]],
    ['retry.budget.perSecond', 'a number from 0 to 1000000', [-1, 1000001, Infinity, '10', false]],
    ['retry.bodyBytes', 'an integer from 0 to 16777216 (bytes)', [-1, 16777217, 0.5, '64k', null, false]],
    ['tls', 'an object', [false, true, null, KEY, []]],
    ['tls.rejectUnauthorized', 'true or false', ['false', 0, null]],
    ['tls.ca', 'PEM text or a Buffer of it', ['', '/etc/ca.pem', Buffer.from('x'), [CERT], true]],
    ['tls.cert', 'PEM text or a Buffer of it', ['/etc/cert.pem', 5]],
    ['tls.key', 'PEM text or a Buffer of it', ['/etc/key.pem', Buffer.from('x'), [KEY], 5]],
    ['tls.serverName', 'a string that is not empty and holds no control characters', ['', 'a\nb', 5, false]],
    ...durations.map((path): [string, string, unknown[]] => [path, DURATION, [0, -1, 2147483648, NaN, Infinity, '5000', null, [], false]])
  ]
  for (const [path, expected, values] of bad) {
    for (const value of values) {
      t.match(refusal(nested(path, value)), `option "${path}" must be ${expected}, got `, `${path} ${String(value)}`)
    }
  }
})

t.test('messages, word by word', async (t) => {
  const rows: Array<[unknown, string]> = [
    [{ check: { interval: 'abc' } }, 'option "check.interval" must be a number from 1 to 2147483647 (ms), got "abc"'],
    [{ check: { status: [[300, 200]] } }, 'option "check.status[0]" must be a status code or a pair [from, to], got [300,200]'],
    [{ check: { status: [200, [200, 300, 400]] } }, 'option "check.status[1]" must be a status code or a pair [from, to], got [200,300,400]'],
    [{ check: { status: [99] } }, 'option "check.status[0]" must be an integer from 100 to 599, got 99'],
    [{ check: { status: [[200]] } }, 'option "check.status[0]" must be an integer from 100 to 599, got undefined'],
    [{ check: { status: new Array(1) } }, 'option "check.status[0]" must be an integer from 100 to 599, got undefined'],
    [{ check: { status: ['2xx'] } }, 'option "check.status[0]" must be an integer from 100 to 599, got "2xx"'],
    [{ outlier: { maxEjection: 1000 } }, 'option "outlier.maxEjection" must be at least outlier.baseEjection (30000 ms), got 1000'],
    [{ outlier: { baseEjection: 400000 } }, 'option "outlier.maxEjection" must be at least outlier.baseEjection (400000 ms), got 300000'],
    [{ retry: { on: ['connect', 'connection'] } }, 'option "retry.on[1]" must be "connect", "reset", "timeout" or a status code from 400 to 599, got "connection"'],
    ...[399, 600, 502.5, NaN, '503', null, undefined].map((status): [unknown, string] =>
      [{ retry: { on: [status] } }, `option "retry.on[0]" must be "connect", "reset", "timeout" or a status code from 400 to 599, got ${typeof status === 'string' ? '"503"' : status}`]),
    [{ retry: { on: [502, 'reset', 503, 502] } }, 'option "retry.on" names 502 twice'],
    [{ retry: { on: ['reset', 'reset'] } }, 'option "retry.on" names "reset" twice'],
    [{ tls: { cert: CERT } }, 'options "tls.cert" and "tls.key" need each other'],
    [{ tls: { key: KEY } }, 'options "tls.cert" and "tls.key" need each other'],
    [{ tls: { key: 'hush' } }, 'option "tls.key" must be PEM text or a Buffer of it, got "[hidden]"'],
    [{ tls: { ca: `${CERT}${KEY}`.replaceAll('BEGIN', 'OPEN') } }, 'option "tls.ca" must be PEM text or a Buffer of it, got "[hidden]"'],
    [{ tls: KEY }, 'option "tls" must be an object, got "[hidden]"'],
    [{ tls: [KEY] }, 'option "tls" must be an object, got ["[hidden]"]'],
    [{ panic: () => 1 }, 'option "panic" must be a number from 0 to 1, got [function]'],
    [5, 'option "options" must be an object, got 5'],
    [[], 'option "options" must be an object, got []'],
    [null, 'option "options" must be an object, got null'],
    [undefined, 'option "options" must be an object, got undefined']
  ]
  for (const [raw, message] of rows) t.equal(refusal(raw), message)
  t.equal(refusal({ panic: 2 }, serviceDefaults, 'services.orders'), 'option "services.orders.panic" must be a number from 0 to 1, got 2')
  t.equal(refusal(1, serviceDefaults, 'services.orders'), 'option "services.orders" must be an object, got 1')
})

t.test('unknown names', async (t) => {
  const rows: Array<[unknown, string]> = [
    [{ chekc: {} }, 'unknown option "chekc", did you mean "check"?'],
    [{ Check: {} }, 'unknown option "Check", did you mean "check"?'],
    [{ check: { intervall: 5 } }, 'unknown option "check.intervall", did you mean "check.interval"?'],
    [{ outlier: { max_ejectd: 1 } }, 'unknown option "outlier.max_ejectd", did you mean "outlier.max_ejected"?'],
    [{ pool: { sockets: 5 } }, 'unknown option "pool.sockets", known: connections, keepAlive, allowH2'],
    [{ retry: { budget: { persecond: 5 } } }, 'unknown option "retry.budget.persecond", did you mean "retry.budget.perSecond"?'],
    [{ tls: { passphrase: 'hush' } }, 'unknown option "tls.passphrase", known: rejectUnauthorized, ca, cert, key, serverName'],
    [{ slow_start: { '': 5 } }, 'unknown option "slow_start.", known: minWeight, aggression'],
    [{ timeouts: { conect: undefined } }, 'unknown option "timeouts.conect", did you mean "timeouts.connect"?'],
    [{ panics: undefined }, 'unknown option "panics", did you mean "panic"?']
  ]
  for (const [raw, message] of rows) t.equal(refusal(raw), message)
  for (const name of ['etcd', 'routes', 'zone', 'constructor', '__proto__', 'toString', 'z'.repeat(99999)]) {
    const message = refusal(JSON.parse(`{"${name}":{}}`))
    t.match(message, /^unknown option ".*", known: balancer, hashKey, sticky, loadReports, slowStart, check, outlier, panic, limits, retry, timeouts, host, forwarded, debugHeader, pool, tls$/)
    t.ok(message.length < 250)
  }
})

t.test('both spellings at every depth, but not of one option', async (t) => {
  const camel = { slowStart: { minWeight: 0.2 }, check: { userAgent: 'x' }, outlier: { consecutive5xx: 7, maxEjected: 0.1, latencyFactor: 3 }, pool: { keepAlive: 9, allowH2: true }, retry: { budget: { perSecond: 3 }, bodyBytes: 5 }, tls: { rejectUnauthorized: false, serverName: 'a' } }
  const snake = { slow_start: { min_weight: 0.2 }, check: { user_agent: 'x' }, outlier: { consecutive_5xx: 7, max_ejected: 0.1, latency_factor: 3 }, pool: { keep_alive: 9, allow_h2: true }, retry: { budget: { per_second: 3 }, body_bytes: 5 }, tls: { reject_unauthorized: false, server_name: 'a' } }
  t.strictSame(read(snake), read(camel))
  t.equal(refusal({ slowStart: {}, slow_start: {} }), 'options "slowStart" and "slow_start" are the same, give one of them')
  t.equal(refusal({ pool: { keep_alive: 1, keepAlive: 1 } }), 'options "pool.keep_alive" and "pool.keepAlive" are the same, give one of them')
  t.strictSame(read({ slowStart: undefined, slow_start: { min_weight: 0.2 } }).slowStart, { minWeight: 0.2, aggression: 1 })
  t.equal(refusal({ slow_start: { min_weight: 2 } }), 'option "slow_start.min_weight" must be a number from 0 to 1, got 2')
})

t.test('a partial object is laid over what held before', async (t) => {
  const base = read({ check: { interval: 100, path: '/x' }, outlier: false, panic: 0.1, timeouts: { total: 5 } })
  const over = read({ check: { timeout: 50 }, timeouts: { connect: 3 } }, base)
  t.strictSame(over.check, { ...serviceDefaults.check, interval: 100, path: '/x', timeout: 50 })
  t.strictSame(over.timeouts, { connect: 3, headers: 30000, body: 30000, total: 5 })
  t.equal(over.outlier, false)
  t.equal(over.panic, 0.1)
  t.strictSame(read({ outlier: { interval: 7 } }, base).outlier, { ...serviceDefaults.outlier, interval: 7 }, 'over false: from the defaults')
  t.equal(read({ check: false }, base).check, false)
  t.strictSame(read({ check: { path: null, status: [200] } }, base).check, { ...serviceDefaults.check, interval: 100, status: [[200, 200]] })
  t.strictSame(base.timeouts, { connect: 1000, headers: 30000, body: 30000, total: 5 }, 'the base is as it was')
})

t.test('retry and tls over what held before', async (t) => {
  const base = read({ retry: { attempts: 1, on: ['reset'], budget: { ratio: 1 } }, tls: { ca: CERT, key: KEY, cert: CERT } })
  t.strictSame(read({ retry: { budget: { perSecond: 1 } } }, base).retry, { attempts: 1, on: ['reset'], budget: { ratio: 1, perSecond: 1 }, bodyBytes: 65536 })
  t.equal(read({ retry: false }, base).retry, false)
  t.strictSame(read({ retry: { attempts: 3 } }, read({ retry: false }, base)).retry, { ...serviceDefaults.retry, attempts: 3 }, 'over false: from the defaults')

  t.strictSame(read({ tls: { server_name: 'a' } }, base).tls, { rejectUnauthorized: true, ca: CERT, cert: CERT, key: KEY, serverName: 'a' })
  t.strictSame(read({ tls: { ca: null, cert: null, key: null } }, base).tls, serviceDefaults.tls, 'null takes back')
  t.strictSame(read({ tls: { cert: `${CERT}${CERT}` } }, base).tls.cert, `${CERT}${CERT}`, 'the key that is there will do')
  t.equal(refusal({ tls: { cert: null } }, base, 'services.a'), 'options "services.a.tls.cert" and "services.a.tls.key" need each other')
})

t.test('retry of one request', async (t) => {
  const base = serviceDefaults.retry
  const once = { attempts: 1 }
  for (const reader of [(value: unknown, base: ServiceSettings['retry']) => readRetry(value, 'retry', base), retryOf]) {
    t.equal(reader(false, base), false)
    t.strictSame(reader(once, base), { ...base, attempts: 1 })
    t.strictSame(reader(once, false), { ...base, attempts: 1 })
    t.throws(() => reader([], base), { message: 'option "retry" must be an object or false, got []' })
    t.throws(() => reader(true, base), { message: 'option "retry" must be an object or false, got true' })
    t.throws(() => reader({ attempts: 11 }, base), { message: 'option "retry.attempts" must be an integer from 0 to 10, got 11' })
  }
  const other = read({ retry: { on: ['reset'] } }).retry
  const settings = retryOf(once, base)
  t.equal(retryOf(once, base), settings, 'read once')
  t.strictSame(retryOf(once, other), { ...base, on: ['reset'], attempts: 1 }, 'but what it lies on has its say')
  t.strictSame(retryOf(once, base), settings)
})

t.test('a cookie to stay by needs a name and a secret, which no message shows', async t => {
  const SHORT = 'option "sticky.secret" must be text of at least 16 characters, or a list of such, the first of which signs, got "[hidden]"'
  const rows: Array<[unknown, string]> = [
    [{ sticky: { cookie: 'peer' } }, 'option "sticky" needs "cookie" and "secret"'],
    [{ sticky: { secret: SECRET } }, 'option "sticky" needs "cookie" and "secret"'],
    [{ sticky: { cookie: 'peer', secret: 'short' } }, SHORT],
    [{ sticky: { cookie: 'peer', secret: 5 } }, SHORT],
    [{ sticky: { cookie: 'peer', secret: [SECRET, 'short'] } }, SHORT.replace('secret"', 'secret[1]"')],
    [{ sticky: { cookie: 'peer', secret: [] } }, 'option "sticky.secret" must be at least one text, got []']
  ]
  for (const [raw, message] of rows) t.equal(refusal(raw), message)
  const base = readServiceSettings({ sticky: { cookie: 'peer', secret: SECRET } }, serviceDefaults, '')
  t.strictSame(readServiceSettings({ sticky: { cookie: 'other' } }, base, '').sticky, { cookie: 'other', secret: [SECRET] }, 'the other half stays')
})
