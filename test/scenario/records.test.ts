import t, { type Test } from 'tap'
import type { UpstreamRecord } from '../../lib/http/news/records.js'
import { startEtcd } from '../fixtures/etcd.js'
import { startGateway, type TestGateway } from '../fixtures/gateway.js'
import { look } from '../fixtures/viewer.js'
import { until } from '../fixtures/wait.js'

const address = (n: number): string => `10.0.0.${n}:80`

async function follow (t: Pick<Test, 'teardown'>, endpoint: string): Promise<TestGateway & { heard: UpstreamRecord[], words: () => string[] }> {
  const gateway = await startGateway(t, { etcd: endpoint, check: false, services: { pinned: {} } })
  const heard: UpstreamRecord[] = []
  for (const type of ['peer', 'service', 'registry'] as const) gateway.app.upstreams.on(type, record => { heard.push(record) })
  const words = (): string[] => heard.filter(({ type }) => type !== 'registry').map(({ service, peer, event }) => [service, peer, event].filter(word => word !== null).join(' '))
  return { ...gateway, heard, words }
}

t.test('keys of one transaction are all in force when the first of them is told', async t => {
  const etcd = await startEtcd(t)
  const { app: { upstreams }, heard, words } = await follow(t, etcd.endpoint)
  const seen: unknown[] = []
  const end = upstreams.on('peer', () => {
    end()
    seen.push(upstreams.show('shop').peers.length, upstreams.show('cart').peers.length, upstreams.status().services.map(({ name, peersTotal }) => [name, peersTotal]))
  })
  const revision = await etcd.putAll(new Map([1, 2, 3].flatMap(n => [[`/services/shop/${address(n)}`, '{}'], [`/services/cart/${address(n)}`, '{}']] as const)))
  await upstreams.applied(revision)
  t.same(seen, [3, 3, [['cart', 3], ['pinned', 0], ['shop', 3]]])
  t.same([...words()].sort(), [...[1, 2, 3].flatMap(n => [`cart ${address(n)} added`, `shop ${address(n)} added`]), 'cart added', 'shop added', ...words().filter(word => word.startsWith('pinned'))].sort())
  t.ok(heard.filter(({ event, type }) => event === 'added' && type === 'peer').every(record => record.revision === String(revision)))
})

t.test('one peer from its first key to the last, and the service that is known by it', async t => {
  const etcd = await startEtcd(t)
  const { app: { upstreams }, heard } = await follow(t, etcd.endpoint)
  const key = `/services/shop/${address(1)}`
  // One after the other: what comes in one answer of the watch is in force before any of it is told.
  await upstreams.applied(await etcd.put(key, '{"weight": 1}'))
  await upstreams.applied(await etcd.put(key, '{"weight": 3, "status": "down"}'))
  await upstreams.applied(await etcd.put('/services/shop', '{"panic": 0.1}'))
  await upstreams.applied(await etcd.del('/services/shop'))
  await upstreams.applied(await etcd.del(key))
  await upstreams.applied(await etcd.put(`/services/pinned/${address(1)}`, '{}'))
  await upstreams.applied(await etcd.del(`/services/pinned/${address(1)}`))
  const of = (service: string): UpstreamRecord[] => heard.filter(record => record.service === service && record.event !== 'state')
  t.match(of('shop').map(({ type, event, reason, state }) => [type, event, reason, state]), [
    ['peer', 'added', null, 'unknown'],
    ['service', 'added', null, 'healthy'],
    ['peer', 'changed', 'weight 1 → 3, status up → down', 'maintenance'],
    ['service', 'settings', null, 'empty'],
    ['service', 'settings', null, 'empty'],
    ['peer', 'removed', null, null],
    ['service', 'removed', null, null]
  ])
  t.same(of('pinned').map(({ event }) => event), ['added', 'removed'], 'one that is named in code neither comes nor goes')
  t.equal(new Set(heard.map(({ id }) => id)).size, heard.length)
})

t.test('etcd goes and comes back: trouble and its end, each once, also in the stream', async t => {
  const etcd = await startEtcd(t)
  await etcd.put(`/services/shop/${address(1)}`, '{}')
  const { app: { upstreams }, heard, url } = await follow(t, etcd.endpoint)
  await upstreams.whenReady()
  const viewer = await look(t, url)
  await viewer.next('snapshot')
  const from = heard.length
  const of = (event: string): UpstreamRecord | undefined => heard.slice(from).find(record => record.type === 'registry' && record.event === event)
  await etcd.kill()
  await until(() => of('state')?.state === 'stale', { what: 'stale', timeout: 20_000 })
  await etcd.restart()
  await until(() => heard.some(({ type, event, state }, i) => i >= from && type === 'registry' && event === 'state' && state === 'live'), { what: 'live again', timeout: 20_000 })
  const records = heard.slice(from).filter(({ type }) => type === 'registry')
  t.same(records.map(({ event, state }) => `${event} ${state}`), ['error live', 'state stale', 'clear live', 'state live'])
  t.match(records[0], { service: null, peer: null, scheme: null, reason: /\w+ .*\w+/ })
  t.equal(records[2]?.reason, null)
  await until(() => viewer.records.length >= heard.length - from, { what: 'the same in the stream' })
  t.strictSame(viewer.records.filter(({ type }) => type === 'registry'), records)
  await etcd.replace()
  await etcd.put(`/services/other/${address(2)}`, '{}')
  await until(() => of('resync'), { what: 'another store', timeout: 20_000 })
  t.match(of('resync'), { cause: 'replaced', reason: 'listed again: replaced' })
})
