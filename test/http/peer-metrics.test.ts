import t from 'tap'
import Fastify, { type FastifyInstance } from 'fastify'
import upstreamEtcd, { type UpstreamEtcdOptions } from '../../lib/index.js'
import { PEER_WORDS } from '../../lib/store/condition.js'
import { startPeer } from '../fixtures/peer.js'
import { until } from '../fixtures/wait.js'

type T = Parameters<typeof startPeer>[0]

async function gatewayFor (t: T, options: UpstreamEtcdOptions): Promise<FastifyInstance> {
  const app = Fastify()
  t.teardown(async () => { await app.close() })
  await app.register(upstreamEtcd, options)
  await app.ready()
  return app
}

async function textOf (app: FastifyInstance): Promise<string> {
  return (await app.inject({ path: '/_upstreams/metrics', headers: { host: 'localhost' } })).body
}

/** Name and labels → value; the same twice would make a scraper refuse all of it. */
async function read (t: { fail: (what: string) => unknown }, app: FastifyInstance): Promise<Map<string, number>> {
  const samples = new Map<string, number>()
  for (const line of (await textOf(app)).trimEnd().split('\n')) {
    if (line.startsWith('#')) continue
    const name = line.slice('fastify_upstream_'.length, line.lastIndexOf(' '))
    if (samples.has(name)) t.fail(`${name} twice`)
    samples.set(name, Number(line.slice(line.lastIndexOf(' ') + 1)))
  }
  return samples
}

/** The samples of a family, with only those labels that are not `service="shop"`. */
function family (samples: Map<string, number>, name: string): Record<string, number> {
  const own = [...samples].filter(([sample]) => sample.startsWith(`${name}{`))
  return Object.fromEntries(own.map(([sample, value]) => [sample.slice(name.length + 1, -1).replace('service="shop",', '').replace('service="shop"', ''), value]))
}

/** One request that ends at once, at whoever's turn it is not `but`. */
function send (app: FastifyInstance, status: (peer: string) => number, times = 1): void {
  for (let i = 0; i < times; i++) {
    const pick = app.upstreams.pick('shop')
    pick?.done({ status: status(pick.peer.id), ms: 1 })
  }
}

t.test('how peers and services are, and what health has made of them', async t => {
  const app = await gatewayFor(t, {
    peers: { shop: { '10.0.0.1:1': { weight: 4 }, '10.0.0.2:1': {}, '10.0.0.3:1': { status: 'drain' }, '10.0.0.4:1': {} } },
    outlier: { maxEjected: 0, interval: 1_000_000 },
    panic: 0.7
  })
  app.upstreams.cutdown('shop', '10.0.0.1:1', 0.25)
  const before = await read(t, app)
  t.same([...before.keys()].filter(name => /^(?:peer_ejections|peer_spared|health_checks)/.test(name)), [], 'what never happened has no samples')
  t.same(family(before, 'panic'), { '': 0 })
  const held = app.upstreams.pick('shop')
  send(app, peer => peer === '10.0.0.1:1' ? 200 : 503, 30)
  const samples = await read(t, app)
  const [out, kept] = family(samples, 'peer_eligible')['peer="10.0.0.2:1"'] === 0 ? ['10.0.0.2:1', '10.0.0.4:1'] : ['10.0.0.4:1', '10.0.0.2:1']
  const states = family(samples, 'peer_state')
  t.equal(Object.keys(states).length, 4 * PEER_WORDS.length)
  t.same(Object.keys(states).filter(name => states[name] === 1).sort(), [
    'peer="10.0.0.1:1",state="healthy"', `peer="${out}",state="ejected"`, 'peer="10.0.0.3:1",state="draining"', `peer="${kept}",state="degraded"`
  ].sort())
  t.same(family(samples, 'peer_eligible'), { 'peer="10.0.0.1:1"': 1, [`peer="${out}"`]: 0, 'peer="10.0.0.3:1"': 0, [`peer="${kept}"`]: 1 })
  t.same(family(samples, 'peer_weight'), {
    'peer="10.0.0.1:1",kind="configured"': 4,
    'peer="10.0.0.1:1",kind="effective"': 1,
    'peer="10.0.0.2:1",kind="configured"': 1,
    'peer="10.0.0.2:1",kind="effective"': 1,
    'peer="10.0.0.3:1",kind="configured"': 1,
    'peer="10.0.0.3:1",kind="effective"': 0,
    'peer="10.0.0.4:1",kind="configured"': 1,
    'peer="10.0.0.4:1",kind="effective"': 1
  })
  t.same(family(samples, 'peer_ejections_total'), { [`peer="${out}",reason="consecutive_5xx"`]: 1 })
  t.same(family(samples, 'peer_spared_total'), { [`peer="${kept}",reason="consecutive_5xx"`]: 1 })
  t.same(family(samples, 'panic'), { '': 1 }, 'two of three are fewer than 70 %')
  const inflight = family(samples, 'requests_in_flight')
  t.equal(inflight[`peer="${held?.peer.id}"`], 1)
  t.equal(Object.values(inflight).reduce((a, b) => a + b), 1)
})

t.test('checks, by how they ended', async t => {
  const [good, bad] = [await startPeer(t), await startPeer(t, { status: 500 })]
  const app = await gatewayFor(t, {
    peers: { shop: { [good.id]: {}, [bad.id]: {} }, other: { '10.0.0.1:1': {} } },
    check: false,
    services: { shop: { check: { path: '/up', interval: 20 } } }
  })
  const checks = async () => family(await read(t, app), 'health_checks_total')
  await until(async () => (await checks())[`peer="${good.id}",result="ok"`] === 3, { what: 'three checks' })
  const counts = await checks()
  t.same(Object.keys(counts).sort(), [good, bad].flatMap(({ id }) => [`peer="${id}",result="failed"`, `peer="${id}",result="ok"`]).sort(), 'of those that are checked')
  t.match(counts, { [`peer="${good.id}",result="failed"`]: 0, [`peer="${bad.id}",result="ok"`]: 0 })
  t.ok((counts[`peer="${bad.id}",result="failed"`] ?? 0) >= 1)
})

t.test('counters outlive outlier detection being turned off, and end with the peer', async t => {
  const { World, outlier, BAD } = await import('../fixtures/pure.js')
  const { judgementCounts } = await import('../../lib/health/judgement.js')
  const world = new World({ outlier: outlier({ maxEjected: 1 }) })
  for (const id of ['a', 'b', 'c']) world.put(id)
  world.tell('a', BAD, 5)
  world.service.configure({ ...world.service.settings, outlier: false }, true)
  world.wait(100)
  t.same([...judgementCounts(world.state('a'), 'eject')], [['consecutive_5xx', 1]])
  world.service.configure({ ...world.service.settings, outlier: outlier({ maxEjected: 1 }) }, true)
  world.tell('a', BAD, 5)
  t.same([...judgementCounts(world.state('a'), 'eject')], [['consecutive_5xx', 2]])
  t.equal(Number(world.state('a').ejected?.until) - world.now, 30_000, 'while how often it was ejected lately is forgotten')
  world.remove('a')
  world.put('a')
  t.same([...judgementCounts(world.state('a'), 'eject')], [])
})

t.test('one address by both schemes is two peers, of which the one by https is called by it', async t => {
  const app = await gatewayFor(t, {
    peers: { shop: { one: 'https://10.0.0.1:1', two: 'http://10.0.0.1:1', three: 'https://10.0.0.2:1' } },
    format: 'address'
  })
  const names = ['peer="https://10.0.0.1:1"', 'peer="10.0.0.1:1"', 'peer="10.0.0.2:1"']
  t.same(Object.keys(family(await read(t, app), 'peer_eligible')), names)
})

t.test('names that need escaping, and more than a chunk', async t => {
  const name = 'a "b"\\c/d'
  const app = await gatewayFor(t, {
    peers: {
      [name]: { '10.0.0.1:1': {} },
      shop: Object.fromEntries(Array.from({ length: 500 }, (_, i) => [`h${i}:${i + 1}`, {}]))
    }
  })
  const samples = await read(t, app)
  t.equal(samples.get('peer_eligible{service="a \\"b\\"\\\\c/d",peer="10.0.0.1:1"}'), 1)
  t.equal(family(samples, 'peer_state')['peer="h499:500",state="unknown"'], 1)
  t.equal(Object.keys(family(samples, 'peer_state')).length, 501 * PEER_WORDS.length)
  const text = await textOf(app)
  t.ok(text.length > 500_000)
  for (const family of text.split(/(?=# HELP )/)) {
    t.match(family, /^# HELP (\w+) [^\n]+\n# TYPE \1 (?:gauge|counter)\n(?:\1(?:\{\w+="(?:[^"\\\n]|\\[\\"n])*"(?:,\w+="(?:[^"\\\n]|\\[\\"n])*")*\})? \d+(?:\.\d+)?(?:e[+-]\d+)?\n)+$/)
  }
})
