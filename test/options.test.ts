import fc from 'fast-check'
import t from 'tap'
import { errors } from '../lib/errors.js'
import { readOptions, readServiceSettings, serviceDefaults, type UpstreamEtcdOptions } from '../lib/options.js'
import { pem } from './fixtures/pem.js'

function refusal (raw: unknown): string {
  try {
    readOptions(raw)
  } catch (error) {
    if (error instanceof errors.BAD_OPTION) return error.message
    throw error
  }
  return 'accepted'
}

/** Every object below, map entries included; functions and odd values are the caller's. */
function * objects (value: unknown): Generator<object> {
  if (typeof value !== 'object' || value === null || value instanceof RegExp) return
  yield value
  for (const inner of value instanceof Map ? value.values() : Object.values(value)) yield * objects(inner)
}

/** Uses every option there is; also shows that the types let users write them. */
function everything (): UpstreamEtcdOptions {
  return {
    peers: { shop: { '10.0.0.1:80': { weight: 3, params: { tags: ['a'] } } } },
    keyPrefix: '/v1/',
    format: () => [{ service: 'shop', host: 'a', port: 80, weight: 2 }],
    start: { wait: 0, onFail: 'throw' },
    balancer: 'round-robin',
    slowStart: { minWeight: 0.5, aggression: 2 },
    check: {
      type: 'http',
      path: '/health',
      interval: 1,
      timeout: 2,
      rise: 3,
      fall: 4,
      status: [200, [300, 399]],
      jitter: 0,
      concurrency: 1,
      userAgent: 'x'
    },
    outlier: {
      consecutive5xx: false,
      consecutiveErrors: 0,
      interval: 1,
      failureRate: false,
      minRequests: 1,
      baseEjection: 1,
      maxEjection: 1,
      maxEjected: 1,
      latencyFactor: false
    },
    panic: 0,
    retry: { attempts: 1, on: ['connect', 'timeout', 503], budget: { ratio: 1, perSecond: 2 }, bodyBytes: 0 },
    timeouts: { connect: 1, headers: 2, body: 3, total: 4 },
    host: 'peer',
    forwarded: false,
    debugHeader: true,
    pool: { connections: 1, keepAlive: 1, allowH2: true },
    tls: { rejectUnauthorized: false, ca: pem('ca.pem'), cert: pem('client.pem'), key: pem('client.key'), serverName: 'a' },
    services: { shop: { check: false, retry: false }, other: { outlier: { minRequests: 5 } } },
    routes: [{
      prefix: '/shop',
      service: 'shop',
      rewritePrefix: '/x',
      methods: ['GET'],
      constraints: { host: /shop/, deep: { list: [1] } },
      websocket: true,
      onRequest: async () => {},
      preHandler: [async () => {}],
      panic: 0.25
    }, { prefix: '/any', service: (request) => request.hostname }],
    inspect: { path: '/up', access: 'all', open: ['ready', 'metrics'], actions: false, onRequest: [async () => {}] },
    statsWindow: 3600
  }
}

t.test('the defaults are those of the contract', async (t) => {
  t.strictSame(readOptions({ etcd: 'http://127.0.0.1:2379' }), {
    etcd: { hosts: ['http://127.0.0.1:2379'], auth: null, tls: null, timeout: 2000 },
    peers: null,
    keyPrefix: '/services/',
    format: 'auto',
    snapshotFile: null,
    start: { wait: 3000, onFail: 'degraded' },
    zone: null,
    service: serviceDefaults,
    services: new Map(),
    routes: [],
    inspect: { path: '/_upstreams', access: 'loopback', open: ['ready'], actions: false, hooks: {} },
    statsWindow: 60
  })
})

t.test('good values', async (t) => {
  const format = () => []
  const rows: Array<[string, unknown, unknown?]> = [
    ['keyPrefix', '/'], ['keyPrefix', 'a/'], ['keyPrefix', '/v1/testing services/'],
    ['format', 'auto'], ['format', 'plain'], ['format', 'grpc'], ['format', 'address'], ['format', 'go-micro'], ['format', 'kitex'],
    ['format', 'kratos'], ['format', 'vulcand'], ['format', 'skydns'], ['format', 'traefik'], ['format', 'apisix'], ['format', format],
    ['start', { wait: 600000, onFail: 'throw' }], ['start', { wait: 0 }, { wait: 0, onFail: 'degraded' }], ['start', { onFail: 'throw' }, { wait: 3000, onFail: 'throw' }],
    ['statsWindow', 1], ['statsWindow', 3600]
  ]
  const base = readOptions({ peers: {} })
  for (const [name, value, becomes = value] of rows) t.strictSame(readOptions({ peers: {}, [name]: value }), { ...base, [name]: becomes })
  t.strictSame(readOptions({ peers: {}, slow_start: { min_weight: 0 } }).service.slowStart, { minWeight: 0, aggression: 1 })
})

t.test('bad values', async (t) => {
  const prefix = 'option "keyPrefix" must be a string that ends with "/" and holds no control characters, got'
  const format = 'option "format" must be "auto", "plain", "grpc", "address", "go-micro", "kitex", "kratos", "vulcand", "skydns", "traefik", "apisix" or a function (key, value) => registrations, got'
  const rows: Array<[string, unknown, string]> = [
    ['keyPrefix', '', `${prefix} ""`], ['keyPrefix', '/services', `${prefix} "/services"`], ['keyPrefix', 'a\n/', `${prefix} "a\\n/"`],
    ['keyPrefix', '/\n', `${prefix} "/\\n"`], ['keyPrefix', null, `${prefix} null`], ['keyPrefix', ['/'], `${prefix} ["/"]`],
    ['format', 'consul', `${format} "consul"`], ['format', 'toString', `${format} "toString"`], ['format', null, `${format} null`],
    ['start', 3000, 'option "start" must be an object, got 3000'],
    ['start', { wait: 600001 }, 'option "start.wait" must be a number from 0 to 600000 (ms), got 600001'],
    ['start', { wait: '3s' }, 'option "start.wait" must be a number from 0 to 600000 (ms), got "3s"'],
    ['start', { onFail: 'exit' }, 'option "start.onFail" must be "degraded" or "throw", got "exit"'],
    ['start', { on_fail: 'throw' }, 'unknown option "start.on_fail", did you mean "start.onFail"?'],
    ['statsWindow', 0, 'option "statsWindow" must be an integer from 1 to 3600 (s), got 0'],
    ['statsWindow', 60.5, 'option "statsWindow" must be an integer from 1 to 3600 (s), got 60.5'],
    ['statsWindow', 3601, 'option "statsWindow" must be an integer from 1 to 3600 (s), got 3601'],
    ['check', { interval: 'abc' }, 'option "check.interval" must be a number from 1 to 2147483647 (ms), got "abc"']
  ]
  for (const [name, value, message] of rows) t.equal(refusal({ peers: {}, [name]: value }), message)
  for (const raw of [null, [], 'http://h', 5, () => {}, new (class Options { peers = {} })()]) t.match(refusal(raw), /^option "options" must be an object, got /)
  t.equal(refusal(undefined), 'option "options" must be an object, got undefined')
})

t.test('unknown names', async (t) => {
  const rows: Array<[string, string | null]> = [
    ['chekc', 'check'], ['ectd', 'etcd'], ['peer', 'peers'], ['keyprefix', 'keyPrefix'], ['key_prefix', 'keyPrefix'], ['rotues', 'routes'],
    ['outliers', 'outlier'], ['slow_strat', 'slow_start'], ['statWindow', 'statsWindow'],
    ['hash_kye', 'hash_key'], ['prefix', null], ['', null]
  ]
  for (const [name, near] of rows) {
    t.match(refusal({ peers: {}, [name]: undefined }), near === null
      ? `unknown option "${name}", known: etcd, peers, keyPrefix, format, snapshotFile, start, zone, inspect, statsWindow, services, routes, balancer, hashKey, sticky, loadReports, slowStart, check,`
      : `unknown option "${name}", did you mean "${near}"?`)
  }
})

t.test('the caller\'s object is read and not touched, and later changes to it change nothing', async (t) => {
  const untouched = everything()
  const raw = { ...untouched }
  const before = JSON.stringify(raw)
  const settings = readOptions(raw)
  t.strictSame(raw, untouched)
  t.equal(JSON.stringify(raw), before)
  for (const object of objects(raw)) t.notOk(Object.isFrozen(object))

  const words = JSON.stringify(settings)
  const mine = new Set(objects(raw))
  for (const object of objects(settings)) t.notOk(mine.has(object), 'nothing is shared')
  for (const object of mine) {
    for (const key of Object.keys(object)) Reflect.deleteProperty(object, key)
  }
  t.equal(JSON.stringify(settings), words)
})

t.test('settings are frozen, all the way down', async (t) => {
  const samples = [
    {}, everything(), { peers: undefined, etcd: { hosts: ['https://a'], auth: { username: 'a', password: 'b' }, tls: {} } }, { etcd: 'https://a', peers: undefined },
    { check: false, outlier: false, retry: false, inspect: false, services: { a: { check: {}, outlier: {}, retry: { on: [500], budget: {} } } } }
  ]
  for (const sample of samples) {
    for (const object of objects(readOptions({ peers: {}, ...sample }))) t.ok(Object.isFrozen(object))
  }
  for (const object of objects(readServiceSettings({ timeouts: { total: 1 } }, serviceDefaults, ''))) t.ok(Object.isFrozen(object))
})

t.test('everything at once', async (t) => {
  const settings = readOptions(everything())
  t.equal(settings.service.panic, 0)
  t.equal(settings.services.get('shop')?.panic, 0.25)
  t.equal(settings.services.get('shop')?.check, false)
  t.match(settings.services.get('other')?.outlier, { minRequests: 5, consecutive5xx: 0, failureRate: 0 })
  t.strictSame(settings.service.check && settings.service.check.status, [[200, 200], [300, 399]])
  t.equal(settings.inspect && settings.inspect.path, '/up')
})

t.test('any JSON gives settings or FST_UPSTREAM_BAD_OPTION, never anything else', async (t) => {
  const names = [
    'etcd', 'peers', 'keyPrefix', 'format', 'start', 'inspect', 'statsWindow', 'services', 'routes', 'balancer', 'slowStart', 'slow_start', 'check',
    'outlier', 'panic', 'timeouts', 'host', 'forwarded', 'debugHeader', 'debug_header', 'pool', 'retry', 'on', 'budget', 'websocket', 'key', 'cert', 'hosts', 'auth', 'tls', 'username', 'password', 'wait', 'interval', 'status', 'prefix',
    'service', 'methods', 'constraints', 'onRequest', 'path', 'open', 'minWeight', 'min_weight', '__proto__', 'constructor', 'a:1'
  ]
  const leaf = fc.oneof(fc.constantFrom<unknown>(0, 1, 0.5, -1, 5000, true, false, null, '', '/', '/a', 'GET', 'http', 'h:1', 'https://h', 'ready'), fc.string(), fc.double())
  const { tree } = fc.letrec<{ tree: unknown }>((tie) => ({
    tree: fc.oneof({ depthSize: 'small', withCrossShrink: true }, leaf, fc.array(tie('tree'), { maxLength: 3 }),
      fc.dictionary(fc.oneof({ arbitrary: fc.constantFrom(...names), weight: 9 }, { arbitrary: fc.string(), weight: 1 }), tie('tree'), { maxKeys: 4 }))
  }))
  const outcome = (read: () => object): 'settings' | 'refused' => {
    try {
      for (const object of objects(read())) if (!Object.isFrozen(object)) throw new Error('not frozen')
      return 'settings'
    } catch (error) {
      if (error instanceof errors.BAD_OPTION && error.code === 'FST_UPSTREAM_BAD_OPTION' && error.message.length < 600) return 'refused'
      throw error
    }
  }
  const seen = new Set<string>()
  fc.assert(fc.property(fc.oneof(tree, fc.anything()), fc.constantFrom(...names), (value, name) => {
    const before = fc.stringify(value)
    const plain = typeof value === 'object' && value !== null && !Array.isArray(value) ? value : {}
    seen.add(outcome(() => readOptions(value)))
    seen.add(outcome(() => readOptions({ peers: {}, [name]: value })))
    seen.add(outcome(() => readOptions({ ...plain, peers: { a: value } })))
    seen.add(outcome(() => readServiceSettings(value, serviceDefaults, 'services.a')))
    return fc.stringify(value) === before
  }), { seed: 20240607, numRuns: 3000 })
  t.strictSame([...seen].sort(), ['refused', 'settings'])
})

t.test('the snapshot file', async (t) => {
  const etcd = 'http://127.0.0.1:2379'
  t.equal(readOptions({ etcd, snapshotFile: './peers' }).snapshotFile, './peers')
  for (const bad of ['', 'a\0b', 1, null, {}]) t.match(refusal({ etcd, snapshotFile: bad }), '"snapshotFile" must be the path of a file', String(bad))
  t.match(refusal({ peers: {}, snapshotFile: 'x' }), 'it needs "etcd"')
})
