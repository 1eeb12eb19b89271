import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { connect } from '../../lib/io/etcd/clients.js'
import { list, Pages } from '../../lib/io/etcd/listing.js'
import { startEtcd } from '../fixtures/etcd.js'
import { startGateway, type TestGateway } from '../fixtures/gateway.js'
import { freePort } from '../fixtures/port.js'
import { startTcpProxy } from '../fixtures/tcp-proxy.js'
import { until } from '../fixtures/wait.js'

const key = (id: string) => `/services/shop/${id}`
const registry = ({ app }: TestGateway) => app.upstreams.status().registry
const ports = ({ app }: TestGateway) => app.upstreams.show('shop').peers.map(({ port }) => port)
const routes = [{ prefix: '/shop', service: 'shop' }]

t.test('a user and a password; a wrong one is told', async t => {
  const etcd = await startEtcd(t, { auth: { username: 'gateway', password: 'secret' } })
  await etcd.put(key('127.0.0.1:1'), '{}')
  const auth = { username: 'gateway', password: 'secret' }
  const gateway = await startGateway(t, { etcd: { hosts: etcd.endpoint, auth }, routes })
  t.same(ports(gateway), [1])
  await etcd.put(key('127.0.0.1:2'), '{}')
  await until(() => ports(gateway).length === 2, { what: 'the second peer' })
  // The tokens of before the restart are unknown after it.
  await etcd.restart()
  await etcd.put(key('127.0.0.1:3'), '{}')
  await until(() => ports(gateway).length === 3, { what: 'the third peer', timeout: 20_000 })
  await until(() => registry(gateway).state === 'live' && registry(gateway).lastError === null, { what: 'a live registry', timeout: 20_000 })

  await t.rejects(startGateway(t, { etcd: { hosts: etcd.endpoint, auth: { ...auth, password: 'wrong' } }, start: { wait: 1000, onFail: 'throw' } }),
    { code: 'FST_UPSTREAM_SYNC', message: /authentication failed/ })
  await t.rejects(startGateway(t, { etcd: etcd.endpoint, start: { wait: 1000, onFail: 'throw' } }), { code: 'FST_UPSTREAM_SYNC', message: /user name is empty/ })
})

t.test('credentials that etcd does not ask for are no obstacle', async t => {
  const etcd = await startEtcd(t)
  await etcd.put(key('127.0.0.1:1'), '{}')
  const gateway = await startGateway(t, { etcd: { hosts: etcd.endpoint, auth: { username: 'gateway', password: 'secret' } }, routes })
  t.same(ports(gateway), [1])
})

t.test('TLS: certificates of both sides, a wrong authority, another name', async t => {
  const pem = async (name: string) => await readFile(new URL(`../fixtures/tls/${name}`, import.meta.url), 'utf8')
  const path = (name: string) => fileURLToPath(new URL(`../fixtures/tls/${name}`, import.meta.url))
  const port = await freePort()
  // The plain listener is how the fixture reaches it, the other one is what is tested.
  const etcd = await startEtcd(t, {
    args: [`--cert-file=${path('server.pem')}`, `--key-file=${path('server.key')}`, `--trusted-ca-file=${path('ca.pem')}`, '--client-cert-auth'],
    tlsPort: port
  })
  await etcd.put(key('127.0.0.1:1'), '{}')
  const tls = { ca: await pem('ca.pem'), cert: await pem('client.pem'), key: await pem('client.key') }
  const start = { wait: 2000, onFail: 'throw' as const }
  const hosts = `https://127.0.0.1:${port}`
  const gateway = await startGateway(t, { etcd: { hosts, tls }, routes })
  t.same(ports(gateway), [1])
  await etcd.put(key('127.0.0.1:2'), '{}')
  await until(() => ports(gateway).length === 2, { what: 'the second peer' })
  const named = await startGateway(t, { etcd: { hosts: `https://localhost:${port}`, tls: { ...tls, serverName: 'etcd.test' } }, routes, start })
  t.same(ports(named), [1, 2])
  await t.rejects(startGateway(t, { etcd: { hosts, tls: { ...tls, ca: await pem('other-ca.pem') } }, start }), { code: 'FST_UPSTREAM_SYNC', message: /certificate|issuer/ })
  await t.rejects(startGateway(t, { etcd: { hosts, tls: { ca: tls.ca } }, start }), { code: 'FST_UPSTREAM_SYNC' })
})

t.test('several hosts: one that is away is passed over', async t => {
  const etcd = await startEtcd(t)
  const proxies = [await startTcpProxy(t, etcd.port), await startTcpProxy(t, etcd.port), await startTcpProxy(t, etcd.port)] as const
  proxies[0].refuse()
  await etcd.put(key('127.0.0.1:1'), '{}')
  const gateway = await startGateway(t, { etcd: proxies.map(({ port }) => `http://127.0.0.1:${port}`), routes })
  t.same(ports(gateway), [1])
  proxies[1].refuse()
  proxies[1].cut()
  await etcd.put(key('127.0.0.1:2'), '{}')
  await until(() => ports(gateway).length === 2, { what: 'the second peer', timeout: 20_000 })
})

t.test('more keys than a page holds, and answers larger than the limit', async t => {
  const etcd = await startEtcd(t)
  const clients = connect({ hosts: [etcd.endpoint], auth: null, tls: null, timeout: 10_000 })
  t.teardown(() => clients.close())
  const value = JSON.stringify({ params: { pad: 'x'.repeat(4000) } })
  for (let i = 0; i < 6000; i += 100) {
    await clients.calls.kv.txn({
      success: Array.from({ length: 100 }, (_, j) => ({ request_put: { key: Buffer.from(key(`127.0.0.1:${i + j + 1}`)), value: Buffer.from(value) } }))
    })
  }
  const { entries, revision } = await list(clients.calls, '/services/', new Pages())
  t.equal(entries.length, 6000, '24 MB, in pages that fit')
  t.equal(new Set(entries.map(entry => entry.key)).size, 6000)
  t.ok(revision > 60n)
})

t.test('a transaction is seen whole or not at all', async t => {
  const etcd = await startEtcd(t)
  const clients = connect({ hosts: [etcd.endpoint], auth: null, tls: null, timeout: 10_000 })
  t.teardown(() => clients.close())
  const gateway = await startGateway(t, { etcd: etcd.endpoint, routes })
  const ops = (weight: number) => Array.from({ length: 100 }, (_, i) => ({
    request_put: { key: Buffer.from(key(`127.0.0.1:${i + 1}`)), value: Buffer.from(JSON.stringify({ weight })) }
  }))
  for (let weight = 1; weight <= 20; weight++) {
    await clients.calls.kv.txn({ success: ops(weight) })
    const weights = await until(() => {
      const seen = gateway.app.upstreams.show('shop').peers.map(peer => peer.weight)
      if (new Set(seen).size > 1) throw new Error('half of a transaction')
      return seen[0] === weight && seen
    }, { what: `weight ${weight}` })
    t.equal(weights.length, 100)
  }
})

t.test('a store that was replaced', async t => {
  const etcd = await startEtcd(t)
  const proxy = await startTcpProxy(t, etcd.port)
  for (let i = 1; i <= 3; i++) await etcd.put(key(`127.0.0.1:${i}`), '{}')
  const gateway = await startGateway(t, { etcd: `http://127.0.0.1:${proxy.port}`, routes })
  t.same(ports(gateway), [1, 2, 3])

  // An empty one takes its place on the same port.
  await etcd.kill()
  const empty = await startEtcd(t, { port: etcd.port })
  await until(() => /is not the one that was followed, and what is there now names no peer/.test(registry(gateway).lastError ?? ''),
    { what: 'the refusal', timeout: 20_000 })
  t.equal(registry(gateway).resyncs.replaced, 0, 'a listing that was refused is none')
  t.same(ports(gateway), [1, 2, 3], 'the peers are kept')
  // It passes the old cursor, by other keys and then by one registration: that is a registry again.
  for (let i = 0; i < 10; i++) await empty.put(`/elsewhere/${i}`, '')
  await empty.put(key('127.0.0.1:9'), '{}')
  await until(() => ports(gateway).join() === '9', { what: 'the new store', timeout: 20_000 })
  await until(() => registry(gateway).state === 'live', { what: 'a live registry', timeout: 20_000 })
  t.equal(registry(gateway).resyncs.replaced, 1)
  t.equal(registry(gateway).lastError, null)
  // From the same history an empty listing is obeyed.
  proxy.refuse()
  proxy.cut()
  await empty.del(key('127.0.0.1:9'))
  await proxy.accept()
  await until(() => ports(gateway).length === 0, { what: 'the end of the last peer', timeout: 20_000 })
})

t.test('however often the watch broke, etcd is asked once in three seconds', async t => {
  const etcd = await startEtcd(t)
  const proxy = await startTcpProxy(t, etcd.port)
  const gateway = await startGateway(t, { etcd: `http://127.0.0.1:${proxy.port}`, routes })
  for (let cut = 1; cut <= 6; cut++) {
    // News that arrive are the sign that the watch is there, and make the next pause a short one.
    await etcd.put(key(`127.0.0.1:${cut}`), '{}')
    await until(() => ports(gateway).length === cut, { what: `peer ${cut}`, timeout: 20_000 })
    proxy.cut()
    await until(() => registry(gateway).reconnects >= cut, { what: `reconnect ${cut}` })
  }
  const seen = new Set<string | null>()
  const verifications = async (n: number): Promise<void> => {
    seen.clear()
    await until(() => seen.add(registry(gateway).lastVerifiedAt).size > n, { what: `${n} verifications`, timeout: 30_000 })
  }
  await verifications(1)
  const started = performance.now()
  await verifications(2)
  t.ok(performance.now() - started > 3000, 'two of them are not nearer than one interval')
})

t.test('a token that runs out while the watch lives is fetched anew', async t => {
  const auth = { username: 'gateway', password: 'secret' }
  const etcd = await startEtcd(t, { auth, args: ['--auth-token-ttl=1'] })
  await etcd.put(key('127.0.0.1:1'), '{}')
  const gateway = await startGateway(t, { etcd: { hosts: etcd.endpoint, auth }, routes })
  const first = registry(gateway).lastVerifiedAt
  await until(() => registry(gateway).reconnects > 0, { what: 'a session under a new token', timeout: 20_000 })
  await until(() => registry(gateway).lastError === null && registry(gateway).lastVerifiedAt !== first, { what: 'a verified registry', timeout: 20_000 })
  t.equal(registry(gateway).state, 'live')
})

t.test('hosts that accept and never answer are passed over', async t => {
  const etcd = await startEtcd(t)
  const deaf = [await startTcpProxy(t, etcd.port), await startTcpProxy(t, etcd.port)]
  for (const proxy of deaf) proxy.stall()
  const hosts = [...deaf.map(({ port }) => `http://127.0.0.1:${port}`), etcd.endpoint]
  await etcd.put(key('127.0.0.1:1'), '{}')
  const gateway = await startGateway(t, { etcd: { hosts, timeout: 500 }, routes })
  await gateway.app.upstreams.whenReady([], { timeout: 15_000 })
  await etcd.put(key('127.0.0.1:2'), '{}')
  await until(() => ports(gateway).length === 2, { what: 'the second peer', timeout: 15_000 })
  t.same(Object.values(registry(gateway).resyncs), [0, 0, 0, 0])
})

t.test('emptied and compacted while away: kept, and why', async t => {
  const etcd = await startEtcd(t)
  const proxy = await startTcpProxy(t, etcd.port)
  await etcd.put(key('127.0.0.1:1'), '{}')
  const gateway = await startGateway(t, { etcd: `http://127.0.0.1:${proxy.port}`, routes })
  proxy.refuse()
  proxy.cut()
  await etcd.del(key('127.0.0.1:1'))
  const revision = await etcd.put('/elsewhere', '')
  await etcd.etcdctl('compact', String(revision))
  await proxy.accept()
  await until(() => /compacted away, and what is there now names no peer/.test(registry(gateway).lastError ?? ''), { what: 'the reason', timeout: 20_000 })
  t.same(ports(gateway), [1])
  await etcd.put(key('127.0.0.1:2'), '{}')
  await until(() => ports(gateway).join() === '2', { what: 'the next peer', timeout: 20_000 })
})

t.test('a store that was replaced by one with the same keys at the same revisions', async t => {
  const etcd = await startEtcd(t)
  const fill = async (of: typeof etcd, weights: readonly number[]): Promise<void> => {
    for (const [i, weight] of weights.entries()) await of.put(key(`127.0.0.1:${i + 1}`), JSON.stringify({ weight }))
  }
  await fill(etcd, [1, 1, 1])
  const gateway = await startGateway(t, { etcd: etcd.endpoint, routes })
  const weights = () => gateway.app.upstreams.show('shop').peers.map(({ weight }) => weight).join()
  t.equal(weights(), '1,1,1')
  await etcd.kill()
  // The last key is the same to the letter; only the others tell the stores apart.
  await fill(await startEtcd(t, { port: etcd.port }), [7, 9, 1])
  await until(() => weights() === '7,9,1', { what: 'what the new store says', timeout: 20_000 })
})
