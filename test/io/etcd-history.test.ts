import { generateKeyPairSync } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { connect } from '../../lib/io/etcd/clients.js'
import { list, Pages } from '../../lib/io/etcd/listing.js'
import { startEtcd } from '../fixtures/etcd.js'
import { startGateway, type TestGateway } from '../fixtures/gateway.js'
import { startTcpProxy } from '../fixtures/tcp-proxy.js'
import { until } from '../fixtures/wait.js'

const key = (id: string) => `/services/shop/${id}`
const registry = ({ app }: TestGateway) => app.upstreams.status().registry
const ports = ({ app }: TestGateway) => app.upstreams.show('shop').peers.map(({ port }) => port)
const routes = [{ prefix: '/shop', service: 'shop' }]

t.test('an older state of the store that has passed our revision, and lacks one change in the middle', async t => {
  const etcd = await startEtcd(t)
  const ids = Array.from({ length: 60 }, (_, i) => `127.0.0.1:${100 + i}`)
  const fill = async (of: typeof etcd): Promise<void> => { for (const id of ids) await of.put(key(id), '{"weight": 1}') }
  await fill(etcd)
  // Before the gateway comes, so that it lists it among all others.
  const changed = await etcd.put(key('127.0.0.1:130'), '{"weight": 5}')
  const gateway = await startGateway(t, { etcd: etcd.endpoint, routes })
  const weight = () => gateway.app.upstreams.show('shop').peers.find(({ port }) => port === 130)?.weight
  t.equal(weight(), 5)
  await etcd.kill()
  const restored = await startEtcd(t, { port: etcd.port })
  await fill(restored)
  for (let i = 0; i < 5; i++) await restored.put('/elsewhere', '')
  t.ok(await restored.put('/elsewhere', '') > changed)
  // Nothing is applied that the other store has not said.
  await gateway.app.upstreams.applied(await restored.put('/elsewhere', ''), { timeout: 20_000 })
  t.equal(weight(), 1)
  t.equal(registry(gateway).resyncs.replaced, 1)
})

t.test('a revision of another store is not taken for one of this', async t => {
  const etcd = await startEtcd(t)
  for (let i = 1; i <= 9; i++) await etcd.put(key(`127.0.0.1:${i}`), '{}')
  const gateway = await startGateway(t, { etcd: etcd.endpoint, routes })
  await etcd.kill()
  const other = await startEtcd(t, { port: etcd.port })
  await until(() => /not the one that was followed/.test(registry(gateway).lastError ?? ''), { what: 'the refusal', timeout: 20_000 })
  const first = await other.put(key('127.0.0.1:77'), '{}')
  await gateway.app.upstreams.applied(first, { timeout: 20_000 })
  t.same(ports(gateway), [77])
})

t.test('keys that are no text, and one that looks like them: nothing is listed again for them', async t => {
  const etcd = await startEtcd(t)
  const proxy = await startTcpProxy(t, etcd.port)
  const clients = connect({ hosts: [etcd.endpoint], auth: null, tls: null, timeout: 10_000 })
  t.teardown(() => clients.close())
  const put = async (name: Buffer): Promise<void> => { await clients.calls.kv.put({ key: Buffer.concat([Buffer.from('/services/'), name]), value: Buffer.from('{}') }) }
  await put(Buffer.from([0xff, 0xfe]))
  await put(Buffer.from(`(not UTF-8: ${Buffer.from('/services/').toString('hex')}fffe)`))
  await etcd.put(key('127.0.0.1:1'), '{}')
  const gateway = await startGateway(t, { etcd: `http://127.0.0.1:${proxy.port}`, routes })
  const inStep = async (): Promise<void> => { await gateway.app.upstreams.applied(await etcd.put('/elsewhere', ''), { timeout: 10_000 }) }
  await inStep()
  for (let round = 1; round <= 2; round++) {
    proxy.cut()
    await until(() => registry(gateway).reconnects === round, { what: `reconnect ${round}` })
    await inStep()
  }
  t.same(Object.values(registry(gateway).resyncs), [0, 0, 0, 0])
  t.equal(registry(gateway).invalidKeys.length, 2)
})

t.test('values that are too large to be looked at are not asked for when it reconnects', async t => {
  const etcd = await startEtcd(t)
  const proxy = await startTcpProxy(t, etcd.port)
  for (let i = 1; i <= 14; i++) await etcd.put(key(`127.0.0.1:${i}`), `"${'x'.repeat(1_400_000)}"`)
  await etcd.put(key('127.0.0.1:99'), '{}')
  const gateway = await startGateway(t, { etcd: `http://127.0.0.1:${proxy.port}`, routes })
  await gateway.app.upstreams.applied(await etcd.put('/elsewhere', ''), { timeout: 10_000 })
  proxy.cut()
  await until(() => registry(gateway).reconnects === 1, { what: 'the watch' })
  await gateway.app.upstreams.applied(await etcd.put(key('127.0.0.1:100'), '{}'), { timeout: 10_000 })
  t.same(ports(gateway), [99, 100].toSorted())
})

t.test('pages that come too slowly are made smaller', async t => {
  const etcd = await startEtcd(t)
  const clients = connect({ hosts: [etcd.endpoint], auth: null, tls: null, timeout: 10_000 })
  t.teardown(() => clients.close())
  for (let i = 0; i < 1000; i += 100) {
    await clients.calls.kv.txn({ success: Array.from({ length: 100 }, (_, j) => ({ request_put: { key: Buffer.from(key(`127.0.0.1:${i + j + 1}`)), value: Buffer.from(`{"params":"${'x'.repeat(50)}"}`) } })) })
  }
  const limits: number[] = []
  const { kv } = clients.calls
  // As on a path where 150 keys take as long as a call may.
  const slow = {
    kv: {
      range: async (question: Parameters<typeof kv.range>[0]) => {
        limits.push(Number(question?.limit))
        if (Number(question?.limit) > 150) throw new Error('4 DEADLINE_EXCEEDED: Deadline exceeded after 2s')
        return await kv.range(question)
      }
    }
  } as unknown as typeof clients.calls
  const pages = new Pages()
  for (let attempt = 1; attempt <= 4; attempt++) {
    const listing = await list(slow, '/services/', pages).catch((error: Error) => error.message)
    if (typeof listing === 'string') t.match(listing, /DEADLINE/, 'the first page of an attempt tells of it at once')
    else t.equal(new Set(listing.entries.map(entry => entry.key)).size, 1000)
  }
  t.same(limits.slice(0, 4), [5000, 1250, 313, 79])
})

t.test('tokens that a change of any user makes worthless', async t => {
  const folder = await mkdtemp(join(tmpdir(), 'jwt-'))
  t.teardown(async () => { await rm(folder, { recursive: true, force: true }) })
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048, publicKeyEncoding: { type: 'spki', format: 'pem' }, privateKeyEncoding: { type: 'pkcs8', format: 'pem' } })
  await writeFile(join(folder, 'key'), privateKey)
  await writeFile(join(folder, 'pub'), publicKey)
  const auth = { username: 'gateway', password: 'secret' }
  const etcd = await startEtcd(t, { auth, args: [`--auth-token=jwt,pub-key=${join(folder, 'pub')},priv-key=${join(folder, 'key')},sign-method=RS256,ttl=10m`] })
  await etcd.put(key('127.0.0.1:1'), '{}')
  const gateway = await startGateway(t, { etcd: { hosts: etcd.endpoint, auth }, routes })
  await etcd.etcdctl('role', 'add', 'someone-else')
  const revision = BigInt(JSON.parse(await etcd.etcdctl('put', '/elsewhere', '', '-w', 'json')).header.revision)
  await gateway.app.upstreams.applied(revision, { timeout: 20_000 })
  t.match(registry(gateway), { state: 'live', lastError: null })
})
