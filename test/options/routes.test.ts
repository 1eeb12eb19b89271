import Fastify from 'fastify'
import t from 'tap'
import { errors } from '../../lib/errors.js'
import { readOptions, serviceDefaults, type RouteOptions, type Settings } from '../../lib/options.js'

const base = { prefix: '/shop', service: 'shop' }
const plain = { rewritePrefix: '/', methods: null, constraints: null, websocket: false, hooks: {} }

function read (routes: unknown, more: object = {}): Settings {
  return readOptions({ peers: {}, routes, ...more })
}

function refusal (routes: unknown, more: object = {}): string {
  try {
    read(routes, more)
  } catch (error) {
    if (error instanceof errors.BAD_OPTION) return error.message
    throw error
  }
  return 'accepted'
}

t.test('routes', async (t) => {
  const byHost = () => 'shop'
  const hook = async () => {}
  const constraints = { host: /shop/, version: '1.x', custom: { deep: [1] } }
  const rows: Array<[Record<string, unknown>, Record<string, unknown>]> = [
    [{}, {}],
    [{ prefix: '/' }, { prefix: '/' }],
    [{ prefix: '/v1/:tenant/caf\u00e9' }, { prefix: '/v1/:tenant/caf\u00e9' }],
    [{ service: 'group/shop' }, { service: 'group/shop' }],
    [{ service: byHost }, { service: byHost }],
    [{ rewritePrefix: '/api/v2' }, { rewritePrefix: '/api/v2' }],
    [{ methods: ['GET', 'M-SEARCH'] }, { methods: ['GET', 'M-SEARCH'] }],
    [{ constraints }, { constraints }],
    [{ websocket: false }, {}],
    [{ websocket: true }, { websocket: true }],
    [{ onRequest: hook, onSend: [hook, hook], onError: [] }, { hooks: { onRequest: hook, onSend: [hook, hook] } }],
    [{ preHandler: undefined }, {}]
  ]
  for (const [given, expected] of rows) t.strictSame(read([{ ...base, ...given }]).routes, [{ ...base, ...plain, ...expected }])
  t.strictSame(read([base, { ...base, prefix: '/b' }]).routes.map((route) => route.prefix), ['/shop', '/b'], 'in order')
})

t.test('bad routes', async (t) => {
  const path = 'a path that starts with "/"'
  const name = 'a service\'s name, not empty and without control characters'
  const rows: Array<[unknown, string]> = [
    [{}, 'option "routes" must be a list of routes, got {}'],
    [[5], 'option "routes[0]" must be an object, got 5'],
    [new Array(1), 'option "routes[0]" must be an object, got undefined'],
    [[{ service: 'a' }], `option "routes[0].prefix" must be ${path}, got undefined`],
    [[base, { prefix: '/b' }], `option "routes[1].service" must be ${name}, got undefined`],
    [[{ ...base, prefix: 'shop' }], `option "routes[0].prefix" must be ${path}, got "shop"`],
    [[{ ...base, prefix: '' }], `option "routes[0].prefix" must be ${path}, got ""`],
    [[{ ...base, prefix: '/a/*' }], `option "routes[0].prefix" must be ${path}, got "/a/*"`],
    [[{ ...base, prefix: '/a b' }], `option "routes[0].prefix" must be ${path}, got "/a b"`],
    [[{ ...base, prefix: '/a?b' }], `option "routes[0].prefix" must be ${path}, got "/a?b"`],
    [[{ ...base, service: '' }], `option "routes[0].service" must be ${name}, got ""`],
    [[{ ...base, service: ['a'] }], `option "routes[0].service" must be ${name}, got ["a"]`],
    [[{ ...base, rewritePrefix: '' }], `option "routes[0].rewritePrefix" must be ${path}, got ""`],
    [[{ ...base, rewritePrefix: '/a#b' }], `option "routes[0].rewritePrefix" must be ${path}, got "/a#b"`],
    [[{ ...base, methods: 'GET' }], 'option "routes[0].methods" must be a list of at least one method, got "GET"'],
    [[{ ...base, methods: [] }], 'option "routes[0].methods" must be a list of at least one method, got []'],
    [[{ ...base, methods: ['GET', 'put'] }], 'option "routes[0].methods[1]" must be a method in upper case, got "put"'],
    [[{ ...base, constraints: [] }], 'option "routes[0].constraints" must be an object, got []'],
    [[{ ...base, websocket: 'yes' }], 'option "routes[0].websocket" must be true or false, got "yes"'],
    [[{ ...base, websocket: null }], 'option "routes[0].websocket" must be true or false, got null'],
    [[{ ...base, retry: { body_bytes: -1 } }], 'option "routes[0].retry.body_bytes" must be an integer from 0 to 16777216 (bytes), got -1'],
    [[{ ...base, onRequest: 'x' }], 'option "routes[0].onRequest" must be a function or a list of functions, got "x"'],
    [[{ ...base, onSend: [() => {}, null] }], 'option "routes[0].onSend[1]" must be a function or a list of functions, got null'],
    [[{ ...base, onReady () {} }], 'unknown option "routes[0].onReady", did you mean "routes[0].onSend"?'],
    [[{ ...base, method: ['GET'] }], 'unknown option "routes[0].method", did you mean "routes[0].methods"?'],
    [[{ ...base, rewrite_prefix: '/' }], 'unknown option "routes[0].rewrite_prefix", did you mean "routes[0].rewritePrefix"?'],
    [[{ ...base, panic: 2 }], 'option "routes[0].panic" must be a number from 0 to 1, got 2'],
    [[{ ...base, slow_start: { min_weight: 2 } }], 'option "routes[0].slow_start.min_weight" must be a number from 0 to 1, got 2'],
    [[{ ...base, service: () => 'a', check: false }], 'option "routes[0].check" needs a service given by name, not by a function']
  ]
  for (const [routes, message] of rows) t.equal(refusal(routes), message)
})

t.test('Fastify takes the hooks and constraints as they are', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  const seen: string[] = []
  const route: RouteOptions = {
    ...base,
    constraints: { host: 'shop.test' },
    onRequest: async (request) => { seen.push(request.url) },
    preHandler: [async (_request, reply) => { reply.header('x-seen', 'yes') }]
  }
  for (const { prefix, hooks, constraints } of read([route]).routes) {
    app.route({ method: 'GET', url: prefix, handler: async () => 'ok', ...hooks, ...constraints !== null && { constraints } })
  }
  const response = await app.inject({ url: '/shop', headers: { host: 'shop.test' } })
  t.equal(response.headers['x-seen'], 'yes')
  t.strictSame(seen, ['/shop'])
})

t.test('services', async (t) => {
  const { service, services } = read([], { panic: 0.1, check: { interval: 7 }, services: { a: { check: { fall: 9 } }, b: {}, 'c/d': { host: 'peer', check: false } } })
  t.strictSame(service, { ...serviceDefaults, panic: 0.1, check: { ...serviceDefaults.check, interval: 7 } })
  t.strictSame([...services], [
    ['a', { ...service, check: { ...service.check, fall: 9 } }],
    ['b', service],
    ['c/d', { ...service, host: 'peer', check: false }]
  ])
  const rows: Array<[unknown, string]> = [
    [[], 'option "services" must be an object, got []'],
    [{ a: null }, 'option "services.a" must be an object, got null'],
    [{ '': {} }, 'option "services" must be a service\'s name, not empty and without control characters, got ""'],
    [{ a: { chekc: {} } }, 'unknown option "services.a.chekc", did you mean "services.a.check"?'],
    [{ a: { timeouts: { total: 0 } } }, 'option "services.a.timeouts.total" must be a number from 1 to 2147483647 (ms), got 0']
  ]
  for (const [services, message] of rows) t.equal(refusal([], { services }), message)
})

t.test('a route\'s options are laid over its service\'s', async (t) => {
  const { services, service } = read([
    { ...base, check: { interval: 5 }, panic: 0.9 },
    { ...base, prefix: '/b', check: { fall: 4 }, forwarded: false, panic: 0.9 },
    { ...base, prefix: '/c', service: 'bare' },
    { ...base, prefix: '/d', service: () => 'shop' }
  ], { panic: 0.1, services: { shop: { panic: 0.2, check: { rise: 7 } }, other: {} } })
  t.strictSame([...services.keys()], ['shop', 'other', 'bare'], 'and every service that a route names is there')
  t.strictSame(services.get('shop'), { ...service, panic: 0.9, forwarded: false, check: { ...serviceDefaults.check, interval: 5, fall: 4, rise: 7 } })
  t.strictSame(services.get('bare'), service)
  t.equal(service.panic, 0.1)
})

t.test('routes that contradict each other', async (t) => {
  const pairs: Array<[key: string, one: object, other: object]> = [
    ['panic', { panic: 0.1 }, { panic: 0.2 }],
    ['panic', { panic: 0.5 }, { panic: 0.2 }],
    ['check', { check: { interval: 5 } }, { check: { interval: 6 } }],
    ['check', { check: false }, { check: { interval: 6 } }],
    ['check', { check: { interval: 6 } }, { check: false }],
    ['slowStart', { slow_start: { min_weight: 0 } }, { slowStart: { minWeight: 1 } }],
    ['retry', { retry: { on: [502] } }, { retry: { on: [503] } }],
    ['retry', { retry: false }, { retry: {} }],
    ['tls', { tls: { rejectUnauthorized: false } }, { tls: { reject_unauthorized: true } }],
    ['host', { forwarded: true, host: 'a' }, { forwarded: true, host: 'b' }]
  ]
  for (const [key, one, other] of pairs) {
    const routes = [{ prefix: '/x', service: 'x' }, { ...base, ...one }, { ...base, prefix: '/b' }, { ...base, prefix: '/c', ...other }]
    t.equal(refusal(routes), `option "routes[1].${key}" contradicts another route to service "shop"`)
    t.equal(refusal(routes.map((route, index) => index === 1 ? { ...route, service: 'elsewhere' } : route)), 'accepted')
  }
  t.equal(refusal([{ ...base, check: { interval: 5 } }, { ...base, prefix: '/b', check: { interval: 5, fall: 2 } }]), 'accepted')
  t.equal(refusal([{ ...base, check: { interval: 5 } }, { ...base, prefix: '/b', check: { fall: 2 } }], { check: false }), 'accepted')
})
