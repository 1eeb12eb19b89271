import t from 'tap'
import { entry, PREFIX, Registry } from '../fixtures/registry.js'

const listing = (weightOfB = 2) => [
  entry('shop', { panic: 0.7 }, 1),
  entry('shop/10.0.0.1:80', { weight: 1 }, 2),
  entry('shop/10.0.0.2:80', { weight: weightOfB }, 3),
  entry('a/b/10.0.0.3:80', '', 4)
]

t.test('the first listing', async t => {
  const registry = new Registry()
  t.equal(registry.syncer.position, null)
  t.same(registry.list(listing()), ['settings shop', 'added shop/10.0.0.1:80', 'added shop/10.0.0.2:80', 'added a/b/10.0.0.3:80'])
  t.same(registry.peers, ['a/b/10.0.0.3:80=1', 'shop/10.0.0.1:80=1', 'shop/10.0.0.2:80=2'])
  t.equal(registry.store.get('shop')?.settings.panic, 0.7)
  t.equal(registry.state('shop', '10.0.0.1:80')?.rampFrom, null, 'nobody ramps up who was there before')
})

t.test('a relisting that changes nothing changes nothing, stamps included', async t => {
  const registry = new Registry()
  registry.list(listing())
  const { stamps } = registry
  const states = [...registry.store.get('shop')?.peers.values() ?? []]
  t.same(registry.list(listing(), true, 200n), [])
  t.same(registry.stamps, stamps)
  t.same([...registry.store.get('shop')?.peers.values() ?? []].map((state, i) => state === states[i]), [true, true])
  t.equal(registry.syncer.position?.cursor, 200n)
})

t.test('from another history what says the same is no change either', async t => {
  const registry = new Registry()
  registry.list(listing().slice(1))
  const { stamps } = registry
  const later = listing().slice(1).map(it => ({ ...it, modRevision: it.modRevision + 1000n, lease: 7n }))
  t.same(registry.list(later, false, 2000n), [])
  t.same(registry.stamps, stamps)
  t.equal(registry.state('shop', '10.0.0.1:80')?.peer.modRevision, 1002n)
})

t.test('from another history the same revision may hold another value', async t => {
  const registry = new Registry()
  registry.list(listing())
  t.same(registry.list(listing(9), false)?.filter(change => !change.startsWith('settings')), ['changed shop/10.0.0.2:80'])
})

t.test('a relisting is applied as a difference', async t => {
  const registry = new Registry()
  registry.list(listing())
  const kept = registry.state('shop', '10.0.0.1:80')
  const others = registry.stamps['a/b']
  registry.now += 60_000
  const changes = registry.list([
    entry('shop', { panic: 0.7 }, 1), entry('shop/10.0.0.1:80', { weight: 5 }, 150),
    entry('shop/10.0.0.9:80', '', 151), entry('a/b/10.0.0.3:80', '', 4)
  ], true, 200n)
  t.same(changes, ['changed shop/10.0.0.1:80', 'added shop/10.0.0.9:80', 'removed shop/10.0.0.2:80'])
  t.equal(registry.state('shop', '10.0.0.1:80'), kept, 'what was learned of it stays')
  t.equal(registry.stamps['a/b'], others)
  t.equal(registry.state('shop', '10.0.0.9:80')?.rampFrom, registry.now, 'who came later ramps up')
  t.equal(registry.store.get('shop')?.revision, 200n)
})

t.test('a service whose last key is gone is forgotten, unless somebody names it', async t => {
  const registry = new Registry()
  registry.list([entry('a/10.0.0.1:80', '', 1), entry('b/10.0.0.1:80', '', 2)])
  registry.store.ensure('b').pinned = true
  t.same(registry.delete('a/10.0.0.1:80'), ['removed a/10.0.0.1:80'])
  registry.delete('b/10.0.0.1:80')
  t.equal(registry.store.get('a'), undefined)
  t.equal(registry.store.get('b')?.peers.size, 0)
})

t.test('an empty listing from another history is refused, from the same one it is obeyed', async t => {
  const nothing = [[], [entry('shop', { panic: 0.1 }, 900)], [entry('shop/x', 'no address', 901)]]
  for (const entries of nothing) {
    const registry = new Registry()
    registry.list(listing())
    const before = registry.syncer.position
    t.equal(registry.list(entries, false, 900n), null)
    t.equal(registry.peers.length, 3)
    t.equal(registry.store.get('shop')?.settings.panic, 0.7)
    t.same(registry.syncer.position, before)
    t.equal(registry.list([entry('new/10.9.9.9:80', '', 902)], false, 902n)?.length, 5, 'one registration is a registry')
    t.same(registry.peers, ['new/10.9.9.9:80=1'])
  }
  const registry = new Registry()
  registry.list(listing())
  t.equal(registry.list([], true, 900n)?.length, 4)
  t.same(registry.peers, [])
  t.same(registry.list([], false, 5n), [], 'nothing is known that could be lost')
  registry.list([entry('shop', { panic: 0.7 }, 6)])
  t.same(registry.list([entry('shop', { panic: 0.8 }, 7)], false, 7n), ['settings shop'], 'nor is a service without peers')
})

t.test('a registry that is empty from the start is a registry', async t => {
  const registry = new Registry()
  t.same(registry.list([], false, 7n), [])
  t.same(registry.syncer.position, { cursor: 7n, reached: 7n, keys: 0, storeId: 'store', newest: null })
})

t.test('position and anchors: the last revision applied, and keys that are held', async t => {
  const registry = new Registry()
  registry.list(listing())
  t.match(registry.syncer.position, { cursor: 100n, keys: 4, storeId: 'store', newest: { key: `${PREFIX}a/b/10.0.0.3:80`, modRevision: 4n } })
  const anchors = () => registry.syncer.anchors().map(({ key, modRevision }) => `${key.slice(PREFIX.length)}@${modRevision}`)
  t.same(anchors(), ['shop@1', 'shop/10.0.0.1:80@2', 'shop/10.0.0.2:80@3', 'a/b/10.0.0.3:80@4'])
  const [, before] = registry.syncer.anchors()
  registry.put('shop/10.0.0.1:80', { weight: 9 })
  t.not(registry.syncer.anchors().find(({ modRevision }) => modRevision === 101n)?.digest, before?.digest, 'what it holds is part of it')
  registry.delete('shop')
  t.match(registry.syncer.position, { cursor: 102n, keys: 3, storeId: 'store', newest: { key: `${PREFIX}shop/10.0.0.1:80`, modRevision: 101n } })
  registry.delete('shop/10.0.0.1:80')
  t.equal(registry.syncer.position?.newest, null)
})

t.test('the anchors of many keys: those changed last, whatever the order of a listing, and some from all over', async t => {
  const registry = new Registry()
  // In the order of keys, as etcd lists them; every fifth was changed late.
  registry.list(Array.from({ length: 200 }, (_, i) => entry(`many/10.1.0.${i}:80`, '', i % 5 === 3 ? 1000 + i : 1 + i)), true, 2000n)
  const anchors = registry.syncer.anchors()
  t.ok(anchors.length > 28 && anchors.length <= 32)
  t.same(anchors.slice(-16).map(({ modRevision }) => Number(modRevision)), Array.from({ length: 16 }, (_, i) => 1123 + 5 * i))
  const others = anchors.slice(0, -16).map(({ modRevision }) => Number(modRevision))
  t.ok(others.some(revision => revision < 30) && others.some(revision => revision > 150))
  // Of one transaction, so that none is later.
  const equal = new Registry()
  equal.list(Array.from({ length: 100 }, (_, i) => entry(`many/10.1.0.${i}:80`, '', 7)))
  t.ok(equal.syncer.anchors().length > 28)
})

t.test('what is known of a value by its size alone is no anchor', async t => {
  const registry = new Registry()
  const large = { ...entry('shop/10.0.0.9:80', '', 50), size: 70_000 }
  registry.list([...listing(), large])
  registry.apply([{ type: 'put', entry: { ...large, modRevision: 101n } }])
  t.notOk(registry.syncer.anchors().some(({ key }) => key === large.key))
  t.equal(registry.syncer.position?.newest?.key, `${PREFIX}a/b/10.0.0.3:80`)
  t.equal(registry.syncer.position?.keys, 5)
})

t.test('a notice that nothing changed moves the cursor, and only forward', async t => {
  const registry = new Registry()
  registry.syncer.advance(50n)
  t.equal(registry.syncer.position, null, 'there is none before the first listing')
  registry.list(listing())
  registry.syncer.advance(150n)
  t.equal(registry.syncer.position?.cursor, 150n)
  registry.syncer.advance(120n)
  t.equal(registry.syncer.position?.cursor, 150n)
})
