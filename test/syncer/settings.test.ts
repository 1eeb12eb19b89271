import t from 'tap'
import { readServiceSettings, serviceDefaults } from '../../lib/options.js'
import { Store } from '../../lib/store/store.js'
import { createCodec } from '../../lib/syncer/codec/codec.js'
import { Syncer } from '../../lib/syncer/syncer.js'
import { entry, PREFIX, Registry } from '../fixtures/registry.js'

const KEY = `${PREFIX}shop`

function worldOf (): Registry {
  const registry = new Registry()
  registry.put('shop/10.0.0.1:80')
  return registry
}

const panic = (registry: Registry): number | undefined => registry.store.get('shop')?.settings.panic

t.test('settings of a service are live, and end with their key', async t => {
  const registry = worldOf()
  t.equal(panic(registry), 0.5)
  const { stamps } = registry
  t.same(registry.put('shop', { panic: 0.9, check: { user_agent: 'x' } }), ['settings shop'])
  t.equal(panic(registry), 0.9)
  t.ok((registry.stamps['shop'] ?? 0) > (stamps['shop'] ?? 0), 'the next pick sees them')
  t.equal(registry.store.get('shop')?.revision, registry.revision)
  registry.put('shop', { slowStart: { minWeight: 0.3 } })
  t.equal(panic(registry), 0.5, 'each value stands for itself, over what is in code')
  t.same(registry.delete('shop'), ['settings shop'])
  t.equal(registry.store.get('shop')?.settings, serviceDefaults)
})

t.test('bad ones keep the last good ones, and are shown', async t => {
  const bad: Array<[unknown, RegExp]> = [
    [{ panic: 7 }, /services\.shop\.panic/], [{ panics: 0.5 }, /panics/], ['{"panic":', /address|JSON/], ['[]', /./], ['', /./], ['x'.repeat(70_000), /70000/]
  ]
  for (const [value, message] of bad) {
    const registry = worldOf()
    registry.put('shop', { panic: 0.9 })
    t.same(registry.put('shop', value), [], String(value).slice(0, 20))
    t.equal(panic(registry), 0.9, String(value).slice(0, 20))
    t.match(registry.syncer.invalidKeys.get(KEY), message)
    registry.put('shop', { panic: 0.8 })
    t.equal(panic(registry), 0.8)
    t.equal(registry.syncer.invalidKeys.size, 0)
    registry.put('shop', value)
    t.same(registry.delete('shop'), ['settings shop'], 'deleted while bad')
    t.equal(panic(registry), 0.5)
    t.equal(registry.syncer.invalidKeys.size, 0)
  }
})

t.test('bad from the start: those in code, and no service is made of it', async t => {
  const registry = new Registry()
  t.same(registry.put('shop', { panic: 7 }), [])
  t.equal(registry.store.get('shop'), undefined)
  registry.put('shop/10.0.0.1:80')
  t.equal(panic(registry), 0.5)
  t.same(registry.delete('shop'), [], 'there is nothing to end')
})

t.test('a service is known by its settings alone, also when its peers are gone', async t => {
  const registry = new Registry()
  registry.put('shop', { panic: 0.9 })
  t.equal(registry.store.get('shop')?.peers.size, 0)
  registry.put('shop/10.0.0.1:80')
  registry.delete('shop/10.0.0.1:80')
  t.equal(panic(registry), 0.9)
  registry.delete('shop')
  t.equal(registry.store.get('shop'), undefined)
})

t.test('settings before or after their peers, in one listing or one batch', async t => {
  const settings = entry('shop', { panic: 0.9 }, 1)
  const peer = entry('shop/10.0.0.1:80', '', 2)
  for (const entries of [[settings, peer], [peer, settings]]) {
    const registry = new Registry()
    registry.list(entries)
    t.equal(panic(registry), 0.9)
    const batch = new Registry()
    batch.apply(entries.map(entry => ({ type: 'put', entry })))
    t.equal(panic(batch), 0.9)
  }
})

t.test('a reader of settings that throws anything at all stops nothing', async t => {
  for (const thrown of [new Error('no'), 'text', null]) {
    const store = new Store(() => serviceDefaults)
    const codec = createCodec({ keyPrefix: PREFIX, format: 'plain', parse: JSON.parse })
    const syncer = new Syncer(store, codec, () => serviceDefaults, () => { throw thrown })
    t.equal([...syncer.list({ entries: [entry('shop', {}, 1), entry('shop/10.0.0.1:80', '', 2)], revision: 2n, storeId: '' }, { isSame: true, isBoot: true }, 0) ?? []].flat().length, 1)
    t.equal(syncer.invalidKeys.get(KEY), thrown instanceof Error ? 'no' : String(thrown))
  }
})

t.test('a format that takes the key for something else later ends the settings', async t => {
  const store = new Store(() => serviceDefaults)
  const decode = createCodec({ keyPrefix: PREFIX, format: 'plain', parse: JSON.parse }).decode
  const syncer = new Syncer(store, { decode: (it, previous) => it.value === '""' ? { kind: 'ignored' } : decode(it, previous) },
    () => serviceDefaults, (name, raw) => readServiceSettings(raw, serviceDefaults, name))
  t.equal([...syncer.list({ entries: [entry('shop', { panic: 0.9 }, 1), entry('shop/10.0.0.1:80', {}, 1)], revision: 1n, storeId: '' }, { isSame: true, isBoot: true }, 0) ?? []].length, 1)
  syncer.apply([{ type: 'put', entry: entry('shop', '""', 2) }], 0)
  t.equal(store.get('shop')?.settings.panic, 0.5)
})
