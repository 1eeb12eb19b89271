import { Ajv2020, type AnySchemaObject } from 'ajv/dist/2020.js'
import t, { type Test } from 'tap'
import upstreamEtcd, { statusSchema } from '../../lib/index.js'
import { PEER_WORDS } from '../../lib/store/condition.js'
import { startGateway, type TestGateway } from '../fixtures/gateway.js'
import { startPeer } from '../fixtures/peer.js'
import { freePort } from '../fixtures/port.js'
import { until } from '../fixtures/wait.js'

const validate = new Ajv2020({ strict: true, allErrors: true }).compile(statusSchema)

/** The status as a client reads it, which has to be valid. */
async function validStatus (t: Test, gateway: TestGateway, what: string): Promise<Json> {
  const status = JSON.parse((await gateway.send('/_upstreams')).body)
  t.ok(validate(status), `${what}: ${JSON.stringify(validate.errors)}`)
  t.ok(validate(JSON.parse(JSON.stringify(gateway.app.upstreams.status()))), `${what}, in code`)
  return status
}

interface Json { [name: string]: unknown }

function isObject (value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

t.test('whatever happens to peers, the status is as the schema says', async t => {
  const [good, failing, checked, leaving] = await Promise.all([
    startPeer(t, { handler: (_request, response) => response.writeHead(200, { 'endpoint-load-metrics': 'TEXT cpu_utilization=0.25, rps_fractional=120, named_metrics.queue=0.5' }).end('ok') }),
    startPeer(t, { status: 500 }),
    startPeer(t, { status: 503 }),
    startPeer(t)
  ])
  const gone = `127.0.0.1:${await freePort()}`
  const gateway = await startGateway(t, {
    peers: {
      shop: {
        [good.id]: { weight: 2.5, zone: 'eu', priority: 0, start_at: 1_700_000_000, params: { rack: { row: [7, null] }, token: 'x' } },
        [failing.id]: {},
        [leaving.id]: {},
        [gone]: {},
        '127.0.0.1:9': { status: 'down', max_inflight: 3 }
      },
      checked: { [checked.id]: { checkurl: '/up' }, [good.id]: { checkurl: '/up', slow_start: 30 } },
      quiet: { '[::1]:1': { scheme: 'https' } }
    },
    services: { empty: {}, own: { balancer: { name: 'mine', rebuild: () => {}, pick: () => { throw new Error('Bearer x') } } } },
    routes: [{ prefix: '/shop', service: 'shop' }],
    check: { interval: 30, fall: 1, rise: 1 },
    outlier: { consecutive5xx: 3, consecutiveErrors: 3, maxEjected: 1 },
    retry: false,
    loadReports: true,
    panic: 0,
    inspect: { actions: { authorize: () => 'me' } }
  })
  await validStatus(t, gateway, 'at first')
  await gateway.sendMany(30, '/shop')
  await until(() => gateway.app.upstreams.status().services[0]?.peers.every(({ check }) => check !== null), { what: 'checks' })
  const act = async (id: string, wish: object): Promise<void> => {
    const { status } = await gateway.send(`/_upstreams/services/shop/peers/${id}`, { method: 'PATCH', headers: { 'content-type': 'application/json', 'x-upstreams-action': '1' }, body: JSON.stringify(wish) })
    t.equal(status, 200)
  }
  await act(leaving.id, { status: 'drain', reason: 'new disk' })
  await act(good.id, { weight: 5 })
  gateway.app.upstreams.shed('quiet', 0.5)
  const { services } = gateway.app.upstreams.status()
  const words = new Set(services.flatMap(({ peers }) => peers.map(({ state }) => state)))
  for (const word of ['maintenance', 'draining', 'down', 'ejected', 'healthy', 'unknown'] as const) t.ok(words.has(word), `one is ${word}: ${[...words].join()}`)
  t.match(services.flatMap(({ peers }) => peers).find(({ id, load }) => id === good.id && load !== null), { load: { named: { queue: 0.5 } }, weight: { override: { weight: 5 } } })
  await everyFieldCounts(t, await validStatus(t, gateway, 'in the end'))
  const { peers = [] } = services[0] ?? {}
  for (const { responses } of peers) responses.other = 1
  t.ok(validate({ ...gateway.app.upstreams.status(), services: [{ ...services[0], peers }] }), 'statuses outside 1xx…5xx may be counted')
})

/** Takes each field out once, and puts one too many in everywhere. */
async function everyFieldCounts (t: Test, status: Json): Promise<void> {
  const seen = new Set<string>()
  const visit = (value: unknown, schema: AnySchemaObject, path: string): void => {
    if (Array.isArray(value)) for (const item of value) visit(item, schema['items'], `${path}[]`)
    if (!isObject(value) || schema['properties'] === undefined) return
    for (const [name, inner] of Object.entries(value)) {
      const field = value[name]
      if (name !== 'other' && !seen.has(`${path}.${name}`)) {
        Reflect.deleteProperty(value, name)
        t.notOk(validate(status), `without ${path}.${name}`)
        Object.assign(value, { [name]: field })
        seen.add(`${path}.${name}`)
      }
      visit(inner, schema['properties'][name], `${path}.${name}`)
    }
    if (seen.has(path)) return
    seen.add(path)
    Object.assign(value, { extra: 1 })
    t.notOk(validate(status), `with ${path}.extra`)
    Reflect.deleteProperty(value, 'extra')
  }
  visit(status, statusSchema, '')
  for (const path of ['.services[].peers[].load.weight', '.services[].peers[].weight.override.until', '.services[].peers[].check.error', '.registry.resyncs.missed', '.services[].peers[].responses.1xx']) t.ok(seen.has(path), `${path} was there`)
  t.ok(validate(status), 'and it is as it was')
}

t.test('the schema explains every field', async t => {
  const visit = (schema: AnySchemaObject, path: string): void => {
    t.ok(typeof schema['description'] === 'string' && schema['description'] !== '', path)
    if (schema['properties'] !== undefined) {
      t.type(schema['title'], 'string', path)
      t.equal(schema['additionalProperties'], false, path)
      for (const [name, inner] of Object.entries<AnySchemaObject>(schema['properties'])) {
        t.equal(schema['required'].includes(name), name !== 'other', `${path}.${name}`)
        visit(inner, `${path}.${name}`)
      }
    }
    if (schema['items'] !== undefined) visit(schema['items'], `${path}[]`)
    t.ok(Object.isFrozen(schema))
  }
  visit(statusSchema, 'status')
  t.match(statusSchema, { $id: /^urn:/, $schema: /2020-12/, title: String })
  t.same(statusSchema.properties.services.items.properties.peers.items.properties.state.enum, PEER_WORDS)
  t.equal((upstreamEtcd as unknown as { statusSchema: unknown }).statusSchema, statusSchema, 'require() has it, too')
})

t.test('it is served to whom the status is', async t => {
  const gateway = await startGateway(t, { peers: {}, inspect: { path: '/status' } })
  const { status, headers, body } = await gateway.send('/status/schema')
  t.equal(status, 200)
  t.match(headers, { 'content-type': /^application\/schema\+json/ })
  t.same(JSON.parse(body), statusSchema)
  t.equal((await gateway.send('/status/schema', { headers: { via: 'x' } })).status, 404)
  await validStatus(t, await startGateway(t, { peers: {} }), 'of nothing')
})
