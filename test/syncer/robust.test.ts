import t from 'tap'
import { Registry as RegistryState, STALE_AFTER } from '../../lib/syncer/registry.js'
import { seeded, T0 } from '../fixtures/pure.js'
import { entry, Registry } from '../fixtures/registry.js'

const GOOD = ['10.0.0.1:80', '10.0.0.2:80', '10.0.0.3:80']

t.test('1,000 malformed registrations change nothing for the good ones', async t => {
  const random = seeded(20240611)
  const pieces = ['{', '}', '"weight"', ':', '-1', '1e999', 'null', '[', ']', '\u0000', '"__proto__"', '{"status":5}', '�', ',', '{"weight":"x"}', '\\u0000']
  const junk = (): string => Array.from({ length: 1 + Math.floor(random() * 8) }, () => pieces[Math.floor(random() * pieces.length)]).join('')
  const keys = [() => `shop/${junk()}`, () => `shop/10.0.0.${300 + Math.floor(random() * 99)}:80`, () => 'shop/10.0.0.9:99999', () => `${junk()}/x`, () => `bad/${junk()}:x`]
  const registry = new Registry('auto')
  registry.list(GOOD.map((id, i) => entry(`shop/${id}`, { weight: i + 1 }, i + 1)))
  const { peers } = registry
  const { stamp } = registry.store.ensure('shop')
  for (let i = 0; i < 1000; i++) {
    const path = keys[i % keys.length]?.() ?? ''
    if (GOOD.some(id => path === `shop/${id}`) || path === 'shop') continue
    registry.put(path, junk())
  }
  t.same(registry.peers.filter(peer => peer.startsWith('shop/')), peers)
  t.equal(registry.store.get('shop')?.stamp, stamp)
  t.ok(registry.syncer.invalidKeys.size > 100)
  t.same(registry.put('shop/10.0.0.1:80', { weight: 9 }), ['changed shop/10.0.0.1:80'], 'and the good ones go on')
})

t.test('bad values for good keys keep the last good ones', async t => {
  const registry = new Registry()
  registry.list(GOOD.map((id, i) => entry(`shop/${id}`, { weight: i + 2 }, i + 1)))
  const { peers } = registry
  for (const value of ['{"weight":-1}', '{"weight":[]}', 'x'.repeat(65_537)]) {
    for (const id of GOOD) registry.put(`shop/${id}`, value)
    t.same(registry.peers, peers, value.slice(0, 20))
    t.equal(registry.syncer.invalidKeys.size, 3)
  }
})

/** Applies `events` to a service of `n` peers; how often its peers were looked at one by one, and reached directly. */
function looks (n: number, events: (registry: Registry) => void): { walks: number, reaches: number } {
  const registry = new Registry()
  registry.list(Array.from({ length: n }, (_, i) => entry(`shop/10.${i >> 16}.${(i >> 8) & 255}.${i & 255}:80`, { weight: 2 }, i + 1)), true, BigInt(n))
  const { peers } = registry.store.ensure('shop')
  const seen = { walks: 0, reaches: 0 }
  for (const walk of ['values', 'keys', 'entries', 'forEach', Symbol.iterator] as const) {
    const real = peers[walk]
    Object.defineProperty(peers, walk, { value: (...args: []) => { seen.walks++; return Reflect.apply(real, peers, args) } })
  }
  for (const reach of ['get', 'set', 'delete', 'has'] as const) {
    const real = peers[reach]
    Object.defineProperty(peers, reach, { value: (...args: [string]) => { seen.reaches++; return Reflect.apply(real, peers, args) } })
  }
  events(registry)
  return seen
}

t.test('one event costs the same, however many peers the service has', async t => {
  const events = (registry: Registry): void => {
    registry.put('shop/10.0.0.1:80', { weight: 3 })
    registry.put('shop/10.0.0.1:80', { weight: 3 })
    registry.put('shop/10.99.0.1:80', {})
    registry.delete('shop/10.99.0.1:80')
    registry.put('shop', { panic: 0.2 })
    registry.delete('shop')
    registry.put('shop/10.0.0.1:80', 'no JSON')
  }
  const few = looks(2, events)
  t.equal(few.walks, 0, 'nobody walks through them')
  t.ok(few.reaches > 0 && few.reaches < 20)
  t.same(looks(10_000, events), few)
})

t.test('how the registry is', async t => {
  const etcd = new RegistryState('etcd')
  t.equal(etcd.state(T0), 'syncing')
  etcd.lastError = 'etcd: refused'
  t.equal(etcd.state(T0), 'syncing')
  etcd.verified(T0)
  t.same([etcd.state(T0), etcd.state(T0 + STALE_AFTER), etcd.state(T0 + STALE_AFTER + 1)], ['live', 'live', 'stale'])
  t.equal(etcd.lastError, null)
  etcd.verified(T0 + 60_000)
  t.equal(etcd.state(T0 + 60_000), 'live')
  const embedded = new RegistryState('static')
  t.equal(embedded.state(T0), 'syncing')
  embedded.verified(T0)
  t.equal(embedded.state(T0 + 1e9), 'static', 'there is nothing to go stale')
})
