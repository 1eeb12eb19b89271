import fc from 'fast-check'
import t from 'tap'
import type { Change } from '../../lib/syncer/syncer.js'
import { entry, PREFIX, Registry } from '../fixtures/registry.js'

/** Keys are ids, values say which peer and weight: several keys may name one peer. */
function aliased (): Registry {
  return new Registry((_key, value) => {
    const { peers } = JSON.parse(value)
    return peers
  })
}
const a = (weight = 1) => ({ service: 'shop', host: '10.0.0.1', port: 80, weight })
const b = (weight = 1) => ({ ...a(weight), host: '10.0.0.2' })

t.test('one peer from put to delete', async t => {
  const registry = new Registry()
  registry.list([])
  t.same(registry.put('shop/10.0.0.1:80', { weight: 2 }), ['added shop/10.0.0.1:80'])
  t.same(registry.put('shop/10.0.0.1:80', { weight: 2 }), [], 'the same again')
  t.same(registry.put('shop/10.0.0.1:80', { weight: 3 }), ['changed shop/10.0.0.1:80'])
  t.equal(registry.store.get('shop')?.revision, 103n)
  t.same(registry.delete('shop/10.0.0.1:80'), ['removed shop/10.0.0.1:80'])
  t.same(registry.delete('shop/10.0.0.1:80'), [], 'and once is enough')
})

t.test('deleting a key that nobody knows harms nobody', async t => {
  const registry = new Registry()
  registry.list([entry('shop/10.0.0.1:80', '', 1), entry('shop/10.0.0.2:80', '', 2)])
  const { stamps } = registry
  for (const path of ['shop/10.0.0.3:80', 'shop', 'shop/', 'other/10.0.0.1:80', '']) t.same(registry.delete(path), [], path)
  t.same(registry.stamps, stamps)
  t.same(registry.peers, ['shop/10.0.0.1:80=1', 'shop/10.0.0.2:80=1'])
})

t.test('two keys name one peer: the later revision wins, its deletion falls back to the other', async t => {
  const registry = aliased()
  registry.put('k1', { peers: [a(1)] })
  const state = registry.state('shop', '10.0.0.1:80')
  t.same(registry.put('k2', { peers: [a(2)] }), ['changed shop/10.0.0.1:80'])
  t.same(registry.peers, ['shop/10.0.0.1:80=2'])
  t.same(registry.delete('k2'), ['changed shop/10.0.0.1:80'])
  t.same(registry.peers, ['shop/10.0.0.1:80=1'])
  registry.put('k2', { peers: [a(2)] })
  t.same(registry.delete('k1'), [], 'the one that did not count')
  t.equal(registry.state('shop', '10.0.0.1:80'), state, 'one peer all along')
  t.same(registry.delete('k2'), ['removed shop/10.0.0.1:80'])
})

t.test('the order of a listing does not matter for that', async t => {
  const entries = [entry('k1', { peers: [a(1)] }, 9), entry('k2', { peers: [a(2)] }, 5), entry('k3', { peers: [a(3)] }, 7)]
  for (const order of [[0, 1, 2], [2, 1, 0], [1, 2, 0], [1, 0, 2]]) {
    const registry = aliased()
    registry.list(order.flatMap(i => entries[i] ?? []))
    t.same(registry.peers, ['shop/10.0.0.1:80=1'])
  }
})

t.test('two keys in two spellings of one address', async t => {
  const registry = new Registry()
  registry.put('shop/[::1]:80', { weight: 1 })
  t.same(registry.put('shop/[0:0:0:0:0:0:0:1]:80', { weight: 2 }), ['changed shop/[::1]:80'])
  t.same(registry.delete('shop/[0:0:0:0:0:0:0:1]:80'), ['changed shop/[::1]:80'])
})

t.test('http and https at one address are two peers', async t => {
  const registry = new Registry((_key, value) => JSON.parse(value))
  t.equal(registry.put('k', [a(1), { ...a(2), scheme: 'https' }]).length, 2)
})

t.test('a key that changes its address takes the old one along, after the new one is there', async t => {
  const registry = aliased()
  registry.put('k', { peers: [a()] })
  t.same(registry.put('k', { peers: [b()] }), ['added shop/10.0.0.2:80', 'removed shop/10.0.0.1:80'])
  t.same(registry.put('k', { peers: [a(), b()] }), ['added shop/10.0.0.1:80'])
  t.same(registry.put('k', { peers: [{ ...a(), service: 'other' }] }), ['added other/10.0.0.1:80', 'removed shop/10.0.0.1:80', 'removed shop/10.0.0.2:80'])
  t.equal(registry.store.get('shop'), undefined)
  t.same(registry.put('k', { peers: [] }), ['removed other/10.0.0.1:80'])
  t.same(registry.peers, [])
})

t.test('whatever comes, the peers are those of the latest word on each', async t => {
  const weight = fc.integer({ min: 1, max: 9 })
  const value = fc.array(fc.record({ service: fc.constantFrom('s', 't'), host: fc.constantFrom('10.0.0.1', '10.0.0.2'), port: fc.constantFrom(1, 2), weight }), { maxLength: 3 })
  const event = fc.record({ key: fc.constantFrom('k1', 'k2', 'k3'), peers: fc.option(value) })
  fc.assert(fc.property(fc.array(event, { maxLength: 30 }), events => {
    const registry = aliased()
    const keys = new Map<string, { at: number, peers: readonly { service: string, host: string, port: number, weight: number }[] }>()
    events.forEach(({ key, peers }, at) => {
      keys.delete(key)
      if (peers !== null) keys.set(key, { at, peers })
      if (peers === null) registry.delete(key)
      else registry.put(key, { peers })
      // A key that is put again is the latest one, whether or not it says something new.
      const expected = new Map<string, number>()
      for (const { peers } of [...keys.values()].sort((x, y) => x.at - y.at)) {
        for (const { service, host, port, weight } of peers) expected.set(`${service}/${host}:${port}`, weight)
      }
      const told = [...expected].map(([id, weight]) => `${id}=${weight}`).sort()
      if (registry.peers.join() !== told.join()) throw new Error(`${registry.peers} instead of ${told}`)
    })
    const listed = aliased()
    listed.list([...keys].map(([key, { at, peers }]) => entry(key, { peers }, at + 1)))
    if (listed.peers.join() !== registry.peers.join()) throw new Error(`${registry.peers}, but listed ${listed.peers}`)
  }), { seed: 20240611, numRuns: 500 })
  t.pass()
})

t.test('invalid keys come and go', async t => {
  const registry = new Registry()
  registry.put('shop/10.0.0.1:80', { weight: 3 })
  registry.put('shop/10.0.0.1:80', { weight: -1, slow_start: 'x' })
  t.match(registry.syncer.invalidKeys.get(`${PREFIX}shop/10.0.0.1:80`), /weight.*; .*slow_start/)
  t.same(registry.peers, ['shop/10.0.0.1:80=3'], 'the last good value stays')
  registry.put('shop/nonsense:99999', '')
  registry.put('shop/other', 'text')
  t.same([...registry.syncer.invalidKeys.keys()].map(key => key.slice(PREFIX.length)), ['shop/10.0.0.1:80', 'shop/nonsense:99999', 'shop/other'])
  registry.put('shop/10.0.0.1:80', { weight: 4 })
  registry.delete('shop/nonsense:99999')
  t.same([...registry.syncer.invalidKeys.keys()], [`${PREFIX}shop/other`])
  registry.list([entry('shop/10.0.0.1:80', { weight: 4 }, registry.revision)], true, 999n)
  t.same([...registry.syncer.invalidKeys], [])
})

t.test('a change tells the registration before it', async t => {
  const registry = new Registry()
  registry.put('shop/10.0.0.1:80', { weight: 2 })
  const change = (value: unknown): Change[] => registry.syncer.apply([{ type: 'put', entry: entry('shop/10.0.0.1:80', value, ++registry.revision) }], registry.now)
  const [first] = change({ weight: 3 })
  t.match(first, { type: 'changed', was: { weight: 2, modRevision: 1n }, state: { peer: { weight: 3, modRevision: 2n } } })
  t.same(change({ weight: 3 }), [], 'the same again is no change')
  const [second] = change({ weight: 4 })
  t.match(second, { type: 'changed', was: { weight: 3, modRevision: 3n }, state: { peer: { weight: 4, modRevision: 4n } } }, 'but its revision is the last one')
  registry.delete('shop/10.0.0.1:80')
  t.notOk('was' in (change({ weight: 4 })[0] ?? {}), 'who comes again was not there before')
})
