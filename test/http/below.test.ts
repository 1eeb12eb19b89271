import swagger from '@fastify/swagger'
import Fastify, { type FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import upstreamEtcd, { type UpstreamEtcdOptions } from '../../lib/index.js'
import { startGateway } from '../fixtures/gateway.js'
import { startPeer } from '../fixtures/peer.js'
import { until } from '../fixtures/wait.js'

const SECURITY = { 'x-content-type-options': 'nosniff', 'referrer-policy': 'no-referrer', 'cross-origin-resource-policy': 'same-origin', 'x-frame-options': 'DENY' }
const ROUTES = ['', '/', '?text', '/schema', '/services/shop', '/services/shop/explain', '/services/shop/report', '/tps', '/metrics', '/ready']
const ACTION = { 'content-type': 'application/json', 'x-upstreams-action': '1' }
const options: UpstreamEtcdOptions = { peers: { shop: { '127.0.0.1:1': {} } }, check: false, inspect: { actions: { authorize: () => 'me' } } }

async function injectable (t: Test, inspect: UpstreamEtcdOptions['inspect'] = options.inspect, prepare: (app: FastifyInstance) => void = () => {}): Promise<FastifyInstance> {
  const app = Fastify()
  t.teardown(async () => await app.close())
  prepare(app)
  await app.register(upstreamEtcd, { ...options, ...(inspect !== undefined && { inspect }) })
  return app
}

t.test('every answer carries security headers', async t => {
  const app = await injectable(t)
  for (const path of ROUTES) {
    for (const method of ['GET', 'HEAD'] as const) t.match(await app.inject({ method, url: `/_upstreams${path}` }), { statusCode: 200, headers: SECURITY }, `${method} ${path}`)
  }
  t.match(await app.inject({ url: '/_upstreams', headers: { 'if-none-match': '*' } }), { statusCode: 304, headers: SECURITY })
  t.match(await app.inject('/_upstreams/services/nobody'), { statusCode: 404, headers: SECURITY })
  t.match(await app.inject('/_upstreams/tps?seconds=x'), { statusCode: 400, headers: SECURITY })
  const patch = { method: 'PATCH', url: '/_upstreams/services/shop/peers/127.0.0.1:1' } as const
  t.match(await app.inject(patch), { statusCode: 403, headers: SECURITY })
  t.match(await app.inject({ ...patch, headers: ACTION, payload: '{' }), { statusCode: 400, headers: SECURITY })
  t.match(await app.inject({ ...patch, headers: ACTION, payload: '{"weight":2}' }), { statusCode: 200, headers: SECURITY })
  const hooked = await injectable(t, { onRequest: (_request, reply) => { reply.code(401).send() } })
  t.match(await hooked.inject('/_upstreams'), { statusCode: 401, headers: SECURITY }, 'also where a hook of the user refuses')
  t.match(await hooked.inject('/_upstreams/ready'), { statusCode: 200, headers: SECURITY }, 'and where nobody is asked')
})

t.test('what may not be found looks as if it were not there', async t => {
  const helmet = (app: FastifyInstance): void => { app.addHook('onRequest', async (_request, reply) => { reply.header('x-frame-options', 'SAMEORIGIN') }) }
  for (const prepare of [() => {}, helmet]) {
    const app = await injectable(t, { open: [] }, prepare)
    const missing = await app.inject('/nowhere')
    for (const path of ROUTES) {
      const { statusCode, headers, body } = await app.inject({ url: `/_upstreams${path}`, remoteAddress: '10.0.0.9' })
      t.equal(statusCode, 404, path)
      t.same(Object.keys(headers), Object.keys(missing.headers), path)
      t.equal(headers['x-frame-options'], missing.headers['x-frame-options'])
      t.equal(JSON.parse(body).message, `Route GET:/_upstreams${path} not found`)
    }
    t.equal((await app.inject({ method: 'PATCH', url: '/_upstreams/services/shop/peers/127.0.0.1:1', headers: ACTION, payload: '{}', remoteAddress: '10.0.0.9' })).statusCode, 404)
  }
})

t.test('hooks of the user are called once for each request, in their order', async t => {
  const called: string[] = []
  const note = (name: string) => async (): Promise<void> => { called.push(name) }
  const app = await injectable(t, { access: 'loopback', onRequest: [note('first'), note('second')], preHandler: note('preHandler'), onSend: note('onSend'), onResponse: note('onResponse') })
  for (const method of ['GET', 'HEAD'] as const) {
    for (const path of ['', '/', '/schema', '/metrics']) {
      called.length = 0
      t.equal((await app.inject({ method, url: `/_upstreams${path}` })).statusCode, 200)
      await until(() => called.length >= 5)
      t.same(called, ['first', 'second', 'preHandler', 'onSend', 'onResponse'], `${method} ${path}`)
    }
  }
  called.length = 0
  await app.inject({ url: '/_upstreams', remoteAddress: '10.0.0.9' })
  await app.inject('/_upstreams/ready')
  t.notOk(called.includes('first') || called.includes('preHandler'), 'none that lets in for whom the guard keeps out, none for what is open')
})

t.test('API documentation does not list what is below inspect.path', async t => {
  const kinds = [{ openapi: {} }, { swagger: {} }]
  for (const kind of kinds) {
    for (const isAwaited of [true, false]) {
      for (const exposeHeadRoutes of [false, true]) {
        const app = Fastify()
        t.teardown(async () => await app.close())
        const registered = app.register(swagger, { ...kind, exposeHeadRoutes })
        if (isAwaited) await registered
        app.register(upstreamEtcd, { ...options, routes: [{ prefix: '/shop', service: 'shop' }] })
        app.register(async child => { child.get('/own', { schema: { summary: 'mine' } }, async () => 'ok') })
        await app.ready()
        const paths = Object.keys(app.swagger().paths ?? {})
        t.same(paths.filter(path => path.startsWith('/_upstreams')), [], JSON.stringify({ kind, isAwaited }))
        t.ok(paths.includes('/own'))
        t.ok(paths.some(path => path.startsWith('/shop')), 'proxied routes are listed as ever')
        t.equal((await app.inject('/_upstreams')).statusCode, 200)
      }
    }
  }
})

t.test('asking how things are is no traffic', async t => {
  const peer = await startPeer(t)
  const gateway = await startGateway(t, { ...options, peers: { shop: { [peer.id]: {} } }, routes: [{ prefix: '/shop', service: 'shop' }] })
  for (const path of [...ROUTES, '/services/nobody']) await gateway.send(`/_upstreams${path}`)
  await gateway.send(`/_upstreams/services/shop/peers/${peer.id}`, { method: 'PATCH', headers: ACTION, body: '{"weight":2}' })
  const requests = async (): Promise<string[]> => (await gateway.send('/_upstreams/metrics')).body.split('\n').filter(line => /^fastify_upstream_(requests_total|request_duration_seconds_count|retries_total)/.test(line) && !line.endsWith(' 0'))
  t.same(await requests(), [])
  await gateway.send('/shop')
  for (const path of ROUTES) await gateway.send(`/_upstreams${path}`)
  await until(() => gateway.app.upstreams.tps(10) > 0, { what: 'the end of the second' })
  t.ok(Math.abs(gateway.app.upstreams.tps(10) - 0.1) < 1e-9, 'one request to the service')
  t.equal(peer.hits, 1)
  for (const line of await requests()) t.match(line, / 1$/)
  t.match(gateway.app.upstreams.status(), { totals: { inflight: 0 }, services: [{ peers: [{ responses: { '2xx': 1, '4xx': 0 } }] }] })
})
