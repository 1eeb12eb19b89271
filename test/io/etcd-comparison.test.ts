import t from 'tap'
import { EtcdSource } from '../../lib/io/etcd/source.js'
import { Follower } from '../../lib/io/follower.js'
import { Registry } from '../../lib/syncer/registry.js'
import type { Feed } from '../../lib/syncer/source.js'
import { startEtcd, type TestEtcd } from '../fixtures/etcd.js'
import { Registry as World } from '../fixtures/registry.js'
import { until } from '../fixtures/wait.js'

const key = (id: string) => `/services/shop/${id}`

/** Follows etcd, comparing every 300 ms, with a feed that may be tampered with. */
async function follow (t: Parameters<typeof startEtcd>[0], etcd: TestEtcd, tamper: (feed: Feed) => Feed) {
  const world = new World('auto')
  const registry = new Registry('etcd')
  const source = new EtcdSource({ hosts: [etcd.endpoint], auth: null, tls: null, timeout: 2000 }, '/services/', 300)
  const told: string[] = []
  const tampered = { start: (feed: Feed) => source.start(tamper(feed)), ask: () => {}, amend: async () => await Promise.reject(new Error()), close: async () => await source.close() }
  const log = (_first: object | string, text?: string): void => { told.push(text ?? '') }
  const follower = new Follower(world.syncer, registry, tampered, null, '/services/', { changed: () => {}, told: () => {}, log: { info: () => {}, warn: log, error: log } })
  follower.start()
  t.teardown(async () => await follower.close())
  await until(() => registry.synced, { what: 'the listing' })
  return { world, registry, told }
}

t.test('a value that was lost on the way is found, counted and repaired', async t => {
  const etcd = await startEtcd(t)
  await etcd.put(key('127.0.0.1:1'), '{"weight": 1}')
  const { world, registry, told } = await follow(t, etcd, feed => ({
    ...feed,
    get position () { return feed.position },
    // Another value arrives than was sent; its revision and the number of keys are right, so no question can find it.
    apply: events => feed.apply(events.map(event => event.type === 'put' && event.entry.value.includes('9')
      ? { type: 'put', entry: { ...event.entry, value: '{"weight": 2}' } }
      : event))
  }))
  await etcd.put(key('127.0.0.1:1'), '{"weight": 9}')
  // The key that was put last is looked at with each question.
  await etcd.put(key('127.0.0.1:2'), '')
  await until(() => world.peers[0] === 'shop/127.0.0.1:1=2', { what: 'the wrong value' })
  await until(() => world.peers[0] === 'shop/127.0.0.1:1=9', { what: 'the repair' })
  t.equal(registry.resyncs.comparison, 1)
  t.match(told, ['what was held differed from the registry, and was repaired; please report this'])
  t.equal(registry.state(Date.now()), 'live')
})

t.test('the key that was put last is looked at with each question', async t => {
  const etcd = await startEtcd(t)
  const { world, registry } = await follow(t, etcd, feed => ({
    ...feed,
    get position () { return feed.position },
    comparing: () => { throw new Error('not now') },
    apply: events => feed.apply(events.map(event => event.type === 'put' ? { type: 'put', entry: { ...event.entry, value: '{"weight": 2}' } } : event))
  }))
  await etcd.put(key('127.0.0.1:1'), '{"weight": 9}')
  await until(() => world.peers[0] === 'shop/127.0.0.1:1=9', { what: 'the right value' })
  t.equal(registry.resyncs.replaced, 1, 'as if it were another store')
})

t.test('comparisons of a registry that changes all the time find nothing', async t => {
  const etcd = await startEtcd(t)
  const seen = { compared: 0 }
  const { world, registry, told } = await follow(t, etcd, feed => ({
    ...feed,
    get position () { return feed.position },
    compare: entries => { seen.compared++; return feed.compare(entries) }
  }))
  for (let i = 1; seen.compared < 3; i++) {
    await etcd.put(key(`127.0.0.1:${i % 50 + 1}`), `{"weight": ${i}}`)
    if (i % 3 === 0) await etcd.del(key(`127.0.0.1:${i % 7 + 1}`))
  }
  t.equal(registry.resyncs.comparison, 0)
  t.same(told, [])
  t.ok(world.peers.length > 10)
})
