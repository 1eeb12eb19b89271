import fc from 'fast-check'
import t from 'tap'
import { startEtcd } from '../fixtures/etcd.js'
import { startGateway } from '../fixtures/gateway.js'
import { startPeer } from '../fixtures/peer.js'
import { until } from '../fixtures/wait.js'

const PREFIX = '/services/'

const table: Array<[string, string]> = [
  ['shop/127.0.0.1:0', '{}'],
  ['shop/127.0.0.1:65536', '{}'],
  ['shop/256.1.1.1:80', '{}'],
  ['shop/a b:80', '{}'],
  ['shop/evil\r\nx: y:80', '{}'],
  ['shop/[::1:80', '{}'],
  ['shop/nobody', ''],
  ['shop/nobody2', 'text'],
  ['shop/nobody3', '[1,2]'],
  ['other/x', '{"panic":2}'],
  ['deep/y', `{"check":${'{"a":'.repeat(200)}1${'}'.repeat(200)}}`],
  ['big/z', 'x'.repeat(70_000)],
  ['__proto__', '{"panic":"no"}'],
  ['constructor/prototype', '{"__proto__":{"polluted":true}}'],
  ['', '{}'],
  ['/', '{}']
]

t.test('a thousand malformed registrations change nothing for the good ones', async t => {
  const etcd = await startEtcd(t)
  const peers = [await startPeer(t), await startPeer(t)] as const
  await etcd.put(`${PREFIX}shop/${peers[0].id}`, '{"weight": 1}')
  await etcd.put(`${PREFIX}shop/${peers[1].id}`, '{"weight": 2}')
  const gateway = await startGateway(t, { etcd: etcd.endpoint, routes: [{ prefix: '/shop', service: 'shop' }] })
  const good = gateway.app.upstreams.show('shop')

  const garbage = fc.sample(fc.record({
    key: fc.oneof(
      fc.string({ unit: 'binary', maxLength: 30 }),
      fc.constantFrom('shop/', 'shop/::', 'shop/:80', 'shop/x:y:z', 'shop/-:80', 'shop/127.0.0.1:99999', 'shop/http://a:80', 'a/b/c/d')
    ).filter(key => !key.includes('\0')),
    value: fc.oneof(fc.json(), fc.string({ unit: 'binary' }), fc.constant('{"weight":'), fc.constant('\u{1F4A9}'))
  }), { numRuns: 1000, seed: 20261122 })
  // Under a folder of their own, but for those that aim at the good service by a key without an address.
  const entries = [...garbage.map(({ key, value }, i) => [key.startsWith('shop/') ? `${key}#${i}` : `junk${i}/${key}`, value] as const), ...table]
  let last = 0n
  for (const [key, value] of entries) last = await etcd.put(PREFIX + key, value)
  last = await etcd.put(`${PREFIX}after/127.0.0.1:1`, '{}')
  await until(() => BigInt(String(gateway.app.upstreams.status().registry.revision)) >= last, { what: 'the last of them' })

  t.same(gateway.app.upstreams.show('shop'), good, 'the good ones are as they were')
  const answers = await gateway.sendMany(6, '/shop')
  t.same(answers.map(({ status }) => status), [200, 200, 200, 200, 200, 200])
  t.same(peers.map(({ hits }) => hits), [2, 4])
  t.equal(gateway.app.upstreams.show('after').peers.length, 1, 'and those that came after are there')
  t.equal(({} as { polluted?: boolean }).polluted, undefined)

  const page = JSON.parse((await gateway.send('/_upstreams')).body)
  t.ok(page.registry.invalidKeys.length > 500, `${page.registry.invalidKeys.length} invalid keys are told`)
  t.equal((await gateway.send('/_upstreams?text')).status, 200)
  for (const service of page.services) {
    const path = `/_upstreams/services/${encodeURIComponent(service.name)}`
    if (service.name.length < 90) t.match((await gateway.send(path)).status, 200, path)
  }

  for (const [key] of entries) await etcd.del(PREFIX + key)
  last = await etcd.del(`${PREFIX}after/127.0.0.1:1`)
  await until(() => BigInt(String(gateway.app.upstreams.status().registry.revision)) >= last, { what: 'the last deletion' })
  t.same(gateway.app.upstreams.status().registry.invalidKeys, [])
  t.same(gateway.app.upstreams.status().services.map(({ name }) => name), ['shop'], 'nothing of them is left')
})

t.test('settings of a service in etcd are live; bad ones keep the last good ones', async t => {
  const etcd = await startEtcd(t)
  const peer = await startPeer(t)
  const key = `${PREFIX}shop`
  await etcd.put(`${key}/${peer.id}`, '{}')
  const gateway = await startGateway(t, { etcd: etcd.endpoint, routes: [{ prefix: '/shop', service: 'shop' }], services: { shop: { panic: 0.3, host: 'code.example' } } })
  const settings = async () => JSON.parse((await gateway.send('/_upstreams/services/shop')).body).settings
  t.match(await settings(), { panic: 0.3, host: 'code.example' })
  await etcd.put(key, '{"host": "etcd.example", "slow_start": {"min_weight": 0.5}, "check": {"path": "/up", "interval": 30}}')
  await until(async () => (await settings()).host === 'etcd.example', { what: 'the settings from etcd' })
  t.match(await settings(), { panic: 0.3, slowStart: { minWeight: 0.5, aggression: 1 }, check: { path: '/up', interval: 30, timeout: 1000 } })
  await gateway.send('/shop')
  t.equal(peer.requests.at(-1)?.headers.host, 'etcd.example')
  await until(() => peer.requests.some(({ url, headers }) => url === '/up' && headers.host === 'etcd.example'), { what: 'a check by the new settings' })

  await etcd.put(key, '{"host": "worse.example", "panik": 1}')
  const { invalidKeys } = await until(() => {
    const { registry } = gateway.app.upstreams.status()
    return registry.invalidKeys.length > 0 && registry
  }, { what: 'the bad settings' })
  t.match(invalidKeys, [{ key, error: /unknown option "services\.shop\.panik", did you mean "services\.shop\.panic"/ }])
  t.match(await settings(), { host: 'etcd.example' })

  await etcd.del(key)
  await until(async () => (await settings()).host === 'code.example', { what: 'the settings in code' })
  t.equal(gateway.app.upstreams.status().registry.invalidKeys.length, 0)
})
