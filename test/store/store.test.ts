import fc from 'fast-check'
import t from 'tap'
import { identityOf, saysTheSame } from '../../lib/store/peer.js'
import { shortestWait } from '../../lib/store/settings.js'
import { Store } from '../../lib/store/store.js'
import { checks, outlier, peer, settings, T0, World } from '../fixtures/pure.js'

t.test('identity is scheme, host and port', async t => {
  t.equal(identityOf(peer('10.0.0.1:80')), 'http://10.0.0.1:80')
  t.not(identityOf(peer('a:1', { scheme: 'https' })), identityOf(peer('a:1')))
})

t.test('registrations say the same when only key, revision and lease differ', async t => {
  const one = peer('a')
  t.ok(saysTheSame(one, peer('a', { key: 'other', modRevision: 99n, lease: 5n })))
  const others = [{ weight: 2 }, { status: 'down' }, { slowStart: 1 }, { checkUrl: '/' }, { startAt: 1 }, { priority: 1 },
    { zone: 'z' }, { maxInflight: 1 }, { params: { x: [1, { y: null }] } }, { scheme: 'https' as const }, { port: 81 }]
  for (const fields of others) t.notOk(saysTheSame(one, peer('a', fields)), JSON.stringify(fields))
})

t.test('what was learned survives every change of the registration', async t => {
  const world = new World()
  const state = world.put('a', { slowStart: 1000 }, false)
  const learned = { inflight: 3, ejections: 2, debt: 0.5, statistics: {}, consecutive5xx: 1 }
  Object.assign(state, learned)
  const { stamp } = world.service
  world.now += 10
  t.equal(world.put('a', { weight: 7, slowStart: 1000 }, false), state)
  t.match(state, { ...learned, peer: { weight: 7 }, joinedAt: T0, registeredAt: T0 + 10, rampFrom: T0 })
  t.ok(world.service.stamp > stamp)
})

t.test('newcomers ramp, peers of the first listing do not', async t => {
  const world = new World()
  t.equal(world.put('a', {}, true).rampFrom, null)
  t.equal(world.put('b', {}, false).rampFrom, T0)
})

t.test('a removed peer takes everything with it', async t => {
  const world = new World()
  const state = world.put('a')
  const { stamp } = world.service
  t.equal(world.service.remove('http://a'), state)
  t.ok(world.service.stamp > stamp)
  t.equal(world.service.remove('http://a'), undefined, 'and is gone')
  t.equal(world.service.stamp, stamp + 1, 'nothing more to change')
  t.not(world.put('a'), state)
})

t.test('a peer is found by host:port, http before https', async t => {
  const { service } = new World()
  t.equal(service.find('a'), undefined)
  const tls = service.put(peer('a', { scheme: 'https' }), T0, true)
  t.equal(service.find('a'), tls)
  const plain = service.put(peer('a'), T0, true)
  t.equal(service.find('a'), plain)
  t.equal(service.peers.size, 2)
})

t.test('the store makes services on demand, with their settings, and forgets whom nobody names', async t => {
  const own = settings({ panic: 0.9 })
  const store = new Store(name => name === 'own' ? own : settings())
  t.equal(store.get('own'), undefined)
  const service = store.ensure('own')
  t.equal(store.ensure('own'), service)
  t.equal(store.get('own'), service)
  t.equal(service.settings, own)
  service.put(peer('a'), T0, true)
  t.notOk(store.prune('own'), 'it has a peer')
  service.remove('http://a')
  service.pinned = true
  t.notOk(store.prune('own'), 'a route names it')
  service.pinned = false
  const { stamp } = service
  service.configure(settings(), true)
  t.ok(service.stamp > stamp)
  t.notOk(store.prune('own'), 'the registry holds settings for it')
  service.configure(own, false)
  t.ok(store.prune('own'))
  t.notOk(store.prune('own'), 'it is forgotten already')
  t.equal(store.get('own'), undefined)
})

t.test('any text is a name, and services come sorted', async t => {
  const store = new Store(() => settings())
  for (const name of ['b', 'toString', '__proto__', 'a/b', 'a', 'constructor']) t.equal(store.ensure(name).name, name)
  t.same(store.sorted().map(({ name }) => name), ['__proto__', 'a', 'a/b', 'b', 'constructor', 'toString'])
  t.equal(Object.getPrototypeOf(store), Store.prototype)
  fc.assert(fc.property(fc.array(fc.string()), names => {
    const store = new Store(() => settings())
    for (const name of names) store.ensure(name)
    const sorted = store.sorted().map(({ name }) => name)
    return sorted.length === new Set(names).size && sorted.every((name, i) => i === 0 || name > (sorted[i - 1] as string))
  }), { seed: 1 })
})

t.test('the shortest wait is the shortest duration that anybody waits for', async t => {
  const cases: Array<[Parameters<typeof settings>[0], number]> = [
    [{}, 5000],
    [{ check: false }, 10_000],
    [{ check: false, outlier: outlier({ baseEjection: 20 }) }, 20],
    [{ check: checks({ interval: 50 }), outlier: false }, 50],
    [{ check: false, outlier: false }, Infinity]
  ]
  for (const [fields, expected] of cases) t.equal(shortestWait(settings(fields)), expected, JSON.stringify(fields))
})
