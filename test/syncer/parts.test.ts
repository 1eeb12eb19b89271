import fc from 'fast-check'
import t from 'tap'
import { IGNORED, invalid } from '../../lib/syncer/codec/decoded.js'
import type { Entry } from '../../lib/syncer/source.js'
import { Parts } from '../../lib/syncer/parts.js'
import { decode } from '../fixtures/decoding.js'
import { entry, PREFIX, Registry } from '../fixtures/registry.js'

const at = (server: string | number, field: string, service = 'web') => `${service}/loadbalancer/servers/${server}/${field}`
const URL0 = at(0, 'url')
const WEIGHT0 = at(0, 'weight')

/** Listed and empty, so that what comes is news. */
function worldOf (format: 'auto' | 'traefik' = 'traefik'): Registry {
  const registry = new Registry(format)
  registry.list([])
  return registry
}

for (const format of ['traefik', 'auto'] as const) {
  t.test(`a peer is there once its url is (${format})`, async t => {
    const registry = worldOf(format)
    t.same(registry.put(WEIGHT0, '5'), [], 'a weight alone is nobody')
    t.same(registry.peers, [])
    t.equal(registry.store.get('web'), undefined)
    t.same(registry.put(URL0, 'http://10.0.0.1:80'), ['added web/10.0.0.1:80'])
    t.same(registry.peers, ['web/10.0.0.1:80=5'])
    t.same(registry.put(WEIGHT0, '7'), ['changed web/10.0.0.1:80'])
    t.same(registry.put(WEIGHT0, '7'), [], 'the same again')
    t.same(registry.peers, ['web/10.0.0.1:80=7'])
    t.same(registry.delete(WEIGHT0), ['changed web/10.0.0.1:80'])
    t.same(registry.peers, ['web/10.0.0.1:80=1'])
    t.same(registry.put(at(0, 'preservePath'), 'true'), [])
    t.same(registry.put('web/loadbalancer/healthcheck/path', '/health'), [])
    t.same(registry.delete(URL0), ['removed web/10.0.0.1:80'])
    t.same(registry.peers, [])
    t.equal(registry.store.get('web'), undefined)
    t.equal(registry.syncer.invalidKeys.size, 0)
  })
}

t.test('without its url a peer is gone, whatever its weight', async t => {
  const registry = worldOf()
  registry.put(URL0, 'http://10.0.0.1:80')
  registry.put(WEIGHT0, '5')
  t.same(registry.delete(URL0), ['removed web/10.0.0.1:80'])
  t.same(registry.put(URL0, 'http://10.0.0.2:80'), ['added web/10.0.0.2:80'])
  t.same(registry.peers, ['web/10.0.0.2:80=5'], 'its weight is still there')
})

t.test('a registration is its url\'s', async t => {
  const registry = worldOf()
  registry.put(URL0, 'https://10.0.0.1/base')
  registry.put(WEIGHT0, '5')
  const peer = registry.state('web', '10.0.0.1:443')?.peer
  t.ok(Object.isFrozen(peer))
  t.same({ ...peer }, {
    id: '10.0.0.1:443',
    host: '10.0.0.1',
    port: 443,
    scheme: 'https',
    weight: 5,
    status: 'up',
    slowStart: 0,
    checkUrl: null,
    startAt: null,
    priority: 0,
    zone: null,
    maxInflight: 0,
    params: { path: '/base' },
    key: PREFIX + URL0,
    modRevision: 101n,
    lease: 0n
  })
})

t.test('a peer that changes its url takes the old one along, after the new one is there', async t => {
  const registry = worldOf()
  registry.put(URL0, 'http://10.0.0.1:80')
  registry.put(WEIGHT0, '5')
  const before = registry.state('web', '10.0.0.1:80')
  t.same(registry.put(URL0, 'http://10.0.0.2:80'), ['added web/10.0.0.2:80', 'removed web/10.0.0.1:80'])
  t.same(registry.peers, ['web/10.0.0.2:80=5'])
  t.same(registry.put(URL0, 'https://10.0.0.2:80'), ['added web/10.0.0.2:80', 'removed web/10.0.0.2:80'], 'http and https are two')
  registry.put(URL0, 'http://10.0.0.1:80')
  t.not(registry.state('web', '10.0.0.1:80'), before)
  const state = registry.state('web', '10.0.0.1:80')
  registry.put(WEIGHT0, '6')
  registry.put(URL0, 'http://10.0.0.1:80/v2')
  t.equal(registry.state('web', '10.0.0.1:80'), state, 'one peer through every change of its fields')
  t.equal(state?.peer.weight, 6)
})

t.test('of two keys of one transaction nobody sees half', async t => {
  const put = (path: string, value: string) => ({ type: 'put', entry: entry(path, value, 101) } as const)
  const gone = (path: string) => ({ type: 'delete', key: PREFIX + path, modRevision: 102n } as const)
  for (const order of [[URL0, WEIGHT0], [WEIGHT0, URL0]]) {
    const registry = worldOf()
    t.same(registry.apply(order.map(path => put(path, path === URL0 ? 'http://10.0.0.1:80' : '5'))), ['added web/10.0.0.1:80'], 'one piece of news')
    t.same(registry.peers, ['web/10.0.0.1:80=5'])
    t.equal(registry.store.get('web')?.revision, 101n)
    const state = registry.state('web', '10.0.0.1:80')
    t.same(registry.apply([gone(URL0), put(URL0, 'http://10.0.0.1:80')]), [], 'gone and back')
    t.same(registry.apply([gone(URL0), gone(WEIGHT0), put(WEIGHT0, '6'), put(URL0, 'http://10.0.0.1:80')]), ['changed web/10.0.0.1:80'])
    t.equal(registry.state('web', '10.0.0.1:80'), state)
    t.same(registry.apply(order.map(gone)), ['removed web/10.0.0.1:80'])
    t.equal(registry.syncer.position?.keys, 0)
  }
})

t.test('a bad part keeps the last good one, and is listed for its own key', async t => {
  const registry = worldOf()
  registry.put(URL0, 'http://10.0.0.1:80')
  registry.put(WEIGHT0, '5')
  const bad: Array<[path: string, value: string]> = [
    [WEIGHT0, 'x'], [WEIGHT0, '-1'], [WEIGHT0, ''], [WEIGHT0, 'x'.repeat(65_537)],
    [URL0, '10.0.0.1:80'], [URL0, ''], [URL0, '{}'], [URL0, 'x'.repeat(65_537)]
  ]
  for (const [path, value] of bad) {
    t.same(registry.put(path, value), [])
    t.same(registry.peers, ['web/10.0.0.1:80=5'], value.slice(0, 20))
    t.same([...registry.syncer.invalidKeys.keys()], [PREFIX + path])
    t.same(registry.put(path, path === URL0 ? 'http://10.0.0.1:80' : '5'), [])
    t.equal(registry.syncer.invalidKeys.size, 0)
  }
  registry.put(WEIGHT0, 'x')
  t.same(registry.delete(WEIGHT0), ['changed web/10.0.0.1:80'], 'deleted while bad')
  t.same(registry.peers, ['web/10.0.0.1:80=1'])
  t.equal(registry.syncer.invalidKeys.size, 0)
  registry.put(URL0, 'x')
  t.same(registry.delete(URL0), ['removed web/10.0.0.1:80'])
})

t.test('bad from the start', async t => {
  const registry = worldOf()
  registry.put(WEIGHT0, 'x')
  registry.put(at(1, 'url'), 'x')
  registry.put(URL0, 'http://10.0.0.1:80')
  t.same(registry.peers, ['web/10.0.0.1:80=1'])
  t.same([...registry.syncer.invalidKeys.keys()], [PREFIX + WEIGHT0, PREFIX + at(1, 'url')])
  registry.put(WEIGHT0, '3')
  t.same(registry.put(at(1, 'url'), 'http://10.0.0.2:80'), ['added web/10.0.0.2:80'])
  t.same(registry.peers, ['web/10.0.0.1:80=3', 'web/10.0.0.2:80=1'])
})

t.test('a relisting is a difference, and one of parts only is a registry', async t => {
  const entries = [entry(URL0, 'http://10.0.0.1:80', 1), entry(WEIGHT0, '5', 2)]
  const registry = new Registry('traefik')
  t.same(registry.list(entries), ['added web/10.0.0.1:80'])
  t.equal(registry.state('web', '10.0.0.1:80')?.rampFrom, null, 'it was there at boot')
  const { stamps } = registry
  t.same(registry.list(entries, true, 200n), [])
  t.same(registry.list(entries, false, 300n), [], 'from another history too')
  t.same(registry.stamps, stamps)
  t.equal(registry.list([entry(WEIGHT0, '5', 2)], false, 400n), null, 'a weight alone is no peer')
  t.equal(registry.list([entry(URL0, 'x', 2)], false, 400n), null)
  t.same(registry.list([entry(URL0, 'http://10.0.0.1:80', 1)], true, 400n), ['changed web/10.0.0.1:80'])
  t.same(registry.peers, ['web/10.0.0.1:80=1'])
  t.equal(registry.store.get('web')?.revision, 400n)
})

t.test('whatever the order of a listing, it ends in the same peers', async t => {
  const servers = fc.uniqueArray(fc.record({
    service: fc.constantFrom('web', 'a/b'),
    server: fc.constantFrom('0', '1', 'x:1'),
    field: fc.constantFrom('url', 'weight', 'preservePath'),
    url: fc.constantFrom('http://10.0.0.1:80', 'http://10.0.0.2:80', 'https://10.0.0.1:80', 'x'),
    weight: fc.constantFrom('1', '2', '3', 'x'),
    revision: fc.integer({ min: 1, max: 3 })
  }), { selector: ({ service, server, field }) => at(server, field, service), maxLength: 12 })
  const shuffled = servers.chain(list => fc.tuple(fc.constant(list), fc.shuffledSubarray(list, { minLength: list.length })))
  let most = 0
  fc.assert(fc.property(shuffled, fc.boolean(), (lists, byEvents) => {
    const [first, second] = lists.map(list => {
      const entries = list.map(({ service, server, field, url, weight, revision }): Entry =>
        entry(at(server, field, service), field === 'weight' ? weight : url, revision))
      const registry = new Registry('auto')
      registry.list(byEvents ? [] : entries)
      if (byEvents) for (const it of entries) registry.apply([{ type: 'put', entry: it }])
      most = Math.max(most, registry.peers.length)
      return JSON.stringify([registry.peers, [...registry.syncer.invalidKeys.keys()].sort()])
    })
    if (first !== second) throw new Error(`${first}, but ${second}`)
  }), { seed: 20240611, numRuns: 1000 })
  t.ok(most >= 3, `at most ${most} peers`)
})

t.test('whatever comes, the peers are those of the keys that are there', async t => {
  const event = fc.record({
    server: fc.constantFrom('0', '1', '2'), field: fc.constantFrom('url', 'weight'), value: fc.option(fc.integer({ min: 1, max: 3 })), ends: fc.boolean()
  })
  fc.assert(fc.property(fc.array(event, { maxLength: 30 }), events => {
    const registry = worldOf()
    const keys = new Map<string, number>()
    let batch: Parameters<Registry['apply']>[0][number][] = []
    for (const { server, field, value, ends } of events) {
      const path = at(server, field)
      registry.revision++
      if (value === null) keys.delete(path)
      else keys.set(path, value)
      // Each server has its own three addresses: two keys for one peer are Claims' business.
      const text = field === 'url' ? `http://10.0.${server}.${value}:80` : String(value)
      batch.push(value === null
        ? { type: 'delete', key: PREFIX + path, modRevision: registry.revision }
        : { type: 'put', entry: entry(path, text, registry.revision) })
      if (!ends) continue
      registry.apply(batch)
      batch = []
      const expected = ['0', '1', '2'].filter(it => keys.has(at(it, 'url')))
        .map(it => `web/10.0.${it}.${keys.get(at(it, 'url'))}:80=${keys.get(at(it, 'weight')) ?? 1}`)
      if (registry.peers.join() !== expected.sort().join()) throw new Error(`${registry.peers} instead of ${expected}`)
    }
  }), { seed: 20240611, numRuns: 1000 })
  t.pass()
})

t.test('of two keys of one transaction that name one peer, the same counts always', async t => {
  const entries = [entry(URL0, 'http://10.0.0.1:80', 5), entry(WEIGHT0, '2', 5), entry(at(1, 'url'), 'http://10.0.0.1:80', 5), entry(at(1, 'weight'), '3', 5)]
  for (const list of [entries, entries.toReversed()]) {
    const registry = new Registry('traefik')
    registry.list(list)
    t.same(registry.peers, ['web/10.0.0.1:80=3'])
    registry.delete(at(1, 'url'))
    t.same(registry.peers, ['web/10.0.0.1:80=2'])
  }
})

t.test('parts by themselves', async t => {
  const parts = new Parts()
  const weigh = (weight: string) => decode('traefik', WEIGHT0, weight)
  t.same(parts.take(), [])
  parts.delete('nobody', 1n)
  parts.put('nobody', IGNORED, 1n)
  parts.put('nobody', invalid('x'), 1n)
  t.same(parts.take(), [], 'what is no part is nothing to it')
  parts.put('w', weigh('5'), 1n)
  parts.put('u', decode('traefik', URL0, 'http://10.0.0.1:80'), 2n)
  const [first, ...more] = parts.take()
  t.same(more, [])
  t.match(first, { was: null, is: { service: 'web', peer: { id: '10.0.0.1:80', weight: 5 } }, revision: 2n })
  t.same(parts.take(), [], 'told once')
  parts.put('w', weigh('x'), 3n)
  parts.put('w', invalid('too long'), 3n)
  t.same(parts.take(), [], 'the last good one stays')
  parts.put('w', IGNORED, 4n)
  t.match(parts.take(), [{ was: { peer: { weight: 5 } }, is: { peer: { weight: 1 } }, revision: 4n }], 'a key that is no part any more')
  parts.delete('u', 5n)
  t.match(parts.take(), [{ was: { peer: { weight: 1 } }, is: null, revision: 5n }])
  parts.put('w', weigh('5'), 6n)
  t.match(parts.take(), [{ was: null, is: null, revision: 6n }], 'it begins anew')
})

t.test('what has no key any more is forgotten', async t => {
  const parts = new Parts()
  for (const value of ['http://10.0.0.1:80', 'http://10.0.0.2:80', 'x']) parts.put('u', decode('traefik', URL0, value), 1n)
  parts.put('w', decode('traefik', WEIGHT0, 'x'), 1n)
  t.equal(parts.size, 1)
  parts.delete('u', 2n)
  parts.take()
  t.equal(parts.size, 1, 'a bad weight is still a key')
  parts.delete('w', 3n)
  parts.take()
  t.equal(parts.size, 0)
})

t.test('an event costs the same, however many servers there are', async t => {
  const looked = (servers: number): number => {
    const parts = new Parts()
    for (let i = 0; i < servers; i++) parts.put(`u${i}`, decode('traefik', at(i, 'url'), 'http://10.0.0.1:80'), 1n)
    parts.take()
    parts.put('u0', decode('traefik', at(0, 'url'), 'http://10.0.0.2:80'), 2n)
    parts.put('w1', decode('traefik', at(1, 'weight'), '3'), 2n)
    return parts.take().length
  }
  t.equal(looked(3), 2)
  t.equal(looked(3000), 2)
})
