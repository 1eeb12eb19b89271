import t from 'tap'
import { entry, Registry } from '../fixtures/registry.js'

const listing = [
  entry('shop', { panic: 0.7 }, 1),
  entry('shop/10.0.0.1:80', { weight: 1 }, 2),
  entry('shop/10.0.0.2:80', { weight: 2 }, 3)
]

/** Compares, with `between` done while the listing is on its way; what changed, and how many keys differed. */
function compare (registry: Registry, entries: typeof listing, between: () => void = () => {}): { changes: string[], found: number } {
  registry.syncer.comparing(true)
  between()
  const slices = registry.syncer.compare(entries, registry.now)
  const changes: string[] = []
  for (;;) {
    const { done, value } = slices.next()
    if (done === true) {
      registry.syncer.comparing(false)
      return { changes, found: value }
    }
    changes.push(...value.map(change => `${change.type} ${change.service.name}`))
  }
}

t.test('nothing differs: no change, no stamp, no event', async t => {
  const registry = new Registry()
  registry.list(listing)
  const { stamps } = registry
  const events = { ...registry.syncer.events }
  t.same(compare(registry, listing), { changes: [], found: 0 })
  t.same(registry.stamps, stamps)
  t.same(registry.syncer.events, events)
})

t.test('what differs is repaired and counted: another value, a key too few, a key too many', async t => {
  const registry = new Registry()
  registry.list([...listing, entry('shop/10.0.0.3:80', '', 4)])
  const other = [entry('shop', { panic: 0.7 }, 1), entry('shop/10.0.0.1:80', { weight: 5 }, 2), entry('shop/10.0.0.2:80', { weight: 2 }, 30), entry('new/10.0.0.9:80', '', 5)]
  t.same(compare(registry, other), { changes: ['changed shop', 'added new', 'removed shop'], found: 4 })
  t.same(registry.peers, ['new/10.0.0.9:80=1', 'shop/10.0.0.1:80=5', 'shop/10.0.0.2:80=2'])
})

t.test('what the watch told meanwhile is right, whatever the listing says', async t => {
  const registry = new Registry()
  registry.list(listing)
  const between = (): void => {
    registry.put('shop/10.0.0.1:80', { weight: 9 })
    registry.delete('shop/10.0.0.2:80')
    registry.put('shop/10.0.0.3:80')
  }
  t.same(compare(registry, listing, between), { changes: [], found: 0 })
  t.same(registry.peers, ['shop/10.0.0.1:80=9', 'shop/10.0.0.3:80=1'])
  // Of an earlier time.
  t.same(compare(registry, listing).found, 3)
})

t.test('a long comparison lets others have their turn, and so does a long listing', async t => {
  const many = Array.from({ length: 45_000 }, (_, i) => entry(`s${i % 100}/10.${i >> 16}.${i >> 8 & 255}.${i & 255}:80`, '', i + 1))
  const registry = new Registry()
  const terms = { isSame: true, isBoot: true }
  const slices = [...registry.syncer.list({ entries: many, revision: 50_000n, storeId: 's' }, terms, 0) ?? []]
  t.ok(slices.length > 45)
  t.ok(Math.max(...slices.map(({ length }) => length)) <= 1000)
  t.equal(registry.peers.length, 45_000)
  t.same([...registry.syncer.list({ entries: many, revision: 50_001n, storeId: 's' }, terms, 0) ?? []], [[], [], []], 'and nothing is done again')
  t.same([...registry.syncer.compare(many, 0)], [[], [], []])
})

t.test('a listing of up to a thousand changes is seen whole', async t => {
  const registry = new Registry()
  registry.list(listing)
  const changed = Array.from({ length: 999 }, (_, i) => entry(`s/10.0.1.${i % 250}:${80 + i}`, '', 100 + i))
  const slices = [...registry.syncer.list({ entries: [...listing, ...changed], revision: 2000n, storeId: 's' }, { isSame: true, isBoot: false }, 0) ?? []]
  t.same(slices.map(({ length }) => length), [999])
})

t.test('how far everything is applied: the watch says, or a question', async t => {
  const registry = new Registry()
  t.equal(registry.syncer.reached, 0n)
  registry.list(listing)
  t.equal(registry.syncer.reached, 100n)
  registry.syncer.prove(150n)
  t.equal(registry.syncer.reached, 150n)
  t.equal(registry.syncer.position?.cursor, 100n, 'the watch goes on from where it was')
  registry.syncer.prove(120n)
  t.equal(registry.syncer.reached, 150n)
  registry.syncer.advance(200n)
  t.equal(registry.syncer.reached, 200n)
  registry.list([entry('shop/10.0.0.1:80', '', 3)], false, 7n)
  t.equal(registry.syncer.reached, 7n, 'another store counts anew')
})

t.test('what was put and deleted is counted, and what was bad', async t => {
  const registry = new Registry()
  registry.list(listing)
  registry.put('shop/10.0.0.1:80', { weight: 'heavy' })
  registry.put('shop/nothing', 'x')
  registry.delete('shop/10.0.0.2:80')
  registry.delete('shop/unknown:80')
  t.same(registry.syncer.events, { put: 5, delete: 1, invalid: 2 })
})

t.test('from another history equal settings are no change either', async t => {
  const registry = new Registry()
  registry.list(listing)
  const { stamps } = registry
  const later = listing.map(it => ({ ...it, modRevision: it.modRevision + 1000n }))
  t.same(registry.list(later, false, 2000n), [])
  t.same(registry.stamps, stamps)
  t.equal(registry.store.get('shop')?.settings.panic, 0.7)
  registry.put('shop', { panic: 7 })
  const bad = [entry('shop', { panic: 7 }, 3000), ...later.slice(1)]
  registry.list(bad, false, 3000n)
  t.match(registry.syncer.invalidKeys.get('/services/shop'), /panic/, 'what was bad is still told')
})

t.test('entries are kept as they came when somebody writes them down', async t => {
  const keeping = new Registry('plain', true)
  keeping.list(listing)
  keeping.put('shop/10.0.0.2:80', { weight: 7 })
  keeping.delete('shop/10.0.0.1:80')
  t.same(keeping.syncer.entries(), [listing[0], entry('shop/10.0.0.2:80', { weight: 7 }, 101)])
  const registry = new Registry()
  registry.list(listing)
  t.same(registry.syncer.entries(), [])
})

t.test('what a question has shown to be over is not gone through again', async t => {
  const registry = new Registry()
  registry.list(listing)
  // At 102 there is no such key: it was put at 101 and deleted at 102, and the watch is late.
  registry.syncer.prove(102n)
  t.same(registry.put('shop/10.0.0.9:80'), [])
  t.equal(registry.state('shop', '10.0.0.9:80'), undefined)
  t.equal(registry.syncer.position?.cursor, 101n, 'and the watch goes on')
  t.same(registry.delete('shop/10.0.0.9:80'), [])
  t.same(registry.put('shop/10.0.0.9:80'), ['added shop/10.0.0.9:80'])
})

t.test('the first listing after a snapshot looks at values, not at revisions alone', async t => {
  const registry = new Registry()
  registry.list(listing)
  const other = [...listing.slice(0, 2), entry('shop/10.0.0.2:80', { weight: 9 }, 3)]
  t.same(registry.list(other), ['changed shop/10.0.0.2:80'])
})
