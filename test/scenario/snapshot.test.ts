import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { startEtcd } from '../fixtures/etcd.js'
import { startGateway, type TestGateway } from '../fixtures/gateway.js'
import { startPeer } from '../fixtures/peer.js'
import { freePort } from '../fixtures/port.js'
import { startTcpProxy } from '../fixtures/tcp-proxy.js'
import { until } from '../fixtures/wait.js'

const key = (id: string) => `/services/shop/${id}`
const routes = [{ prefix: '/shop', service: 'shop' }]
const registry = ({ app }: TestGateway) => app.upstreams.status().registry

async function fileFor (t: Test): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'snapshot-'))
  t.teardown(async () => { await rm(folder, { recursive: true, force: true }) })
  return join(folder, 'peers')
}

/** What is logged at `warn` and above. */
function logged () {
  const lines: string[] = []
  const stream = new Writable({ write (line, _encoding, done) { lines.push(JSON.parse(String(line)).msg); done() } })
  return { lines, server: { logger: { level: 'warn', stream } } }
}

t.test('etcd away: the gateway starts by the file, serves, and goes on when etcd is back', async t => {
  const snapshotFile = await fileFor(t)
  const port = await freePort()
  const etcd = await startEtcd(t, { port })
  const [peer, other] = [await startPeer(t), await startPeer(t)]
  await etcd.put('/services/shop', '{"panic": 0.3}')
  await etcd.put(key(peer.id), '{"weight": 3, "slow_start": 60}')
  const first = await startGateway(t, { etcd: etcd.endpoint, routes, snapshotFile })
  await first.app.close()
  await etcd.kill()

  const gateway = await startGateway(t, { etcd: etcd.endpoint, routes, snapshotFile, start: { wait: 100, onFail: 'throw' } })
  const { upstreams } = gateway.app
  t.match(registry(gateway), { state: 'snapshot', lastError: /connection refused/ })
  t.ok(Number(registry(gateway).stalenessMs) >= 0 && registry(gateway).lastVerifiedAt !== null, 'as old as it is')
  t.equal((await gateway.send('/shop')).status, 200)
  t.match(await gateway.send('/_upstreams/ready'), { status: 200 })
  t.equal(upstreams.ready, true)
  await upstreams.whenReady('shop', { timeout: 1000 })
  await t.rejects(upstreams.applied(1, { timeout: 50 }), { code: 'FST_UPSTREAM_SYNC' }, 'what is old is applied to nothing')
  t.match(upstreams.status().services[0], { peersTotal: 1, peers: [{ id: peer.id, state: 'healthy', weight: { configured: 3, effective: 3 } }] })
  t.equal(JSON.parse((await gateway.send('/_upstreams/services/shop')).body).settings.panic, 0.3)

  await etcd.restart()
  await etcd.put(key(other.id), '{"slow_start": 60}')
  await until(() => registry(gateway).state === 'live', { what: 'the live registry', timeout: 20_000 })
  await until(() => upstreams.show('shop').peers.length === 2, { what: 'the second peer' })
  t.equal(upstreams.status().services[0]?.peers.find(({ id }) => id === peer.id)?.responses['2xx'], 1, 'what was learned of it stays')
})

t.test('a registry that came with the start is no crowd of newcomers', async t => {
  const snapshotFile = await fileFor(t)
  const etcd = await startEtcd(t)
  await etcd.put(key('127.0.0.1:1'), '{"slow_start": 60}')
  await (await startGateway(t, { etcd: etcd.endpoint, snapshotFile })).app.close()
  await etcd.put(key('127.0.0.1:2'), '{"slow_start": 60}')
  const { app } = await startGateway(t, { etcd: etcd.endpoint, snapshotFile })
  t.same(app.upstreams.status().services[0]?.peers.map(({ weight }) => weight.effective), [1, 1])
  t.same(Object.values(app.upstreams.status().registry.resyncs), [0, 0, 0, 0])
})

t.test('written soon after a change, also when changes never stop, and once more at the end', async t => {
  const snapshotFile = await fileFor(t)
  const etcd = await startEtcd(t)
  const { app } = await startGateway(t, { etcd: etcd.endpoint, snapshotFile })
  const revision = async (): Promise<bigint> => BigInt(JSON.parse((await readFile(snapshotFile, 'utf8').catch(() => '{"revision":0}\n')).split('\n')[0] ?? '').revision)
  const seen = new Set<bigint>()
  let behind = 0n
  for (let i = 1; i <= 300; i++) {
    const now = await etcd.put(key('127.0.0.1:1'), JSON.stringify({ weight: i }))
    const written = await revision()
    seen.add(written)
    if (i > 200 && now - written > behind) behind = now - written
    await sleep(10)
  }
  t.ok(seen.size >= 4, `${seen.size} versions of the file`)
  t.ok(behind < 200n, `at most ${behind} of 300 changes behind`)
  const last = await etcd.put(key('127.0.0.1:1'), '{"weight": 1000}')
  await app.upstreams.applied(last)
  await app.close()
  t.equal(await revision(), last)
})

t.test('trouble with the file is one line that names it', async t => {
  const snapshotFile = await fileFor(t)
  const etcd = await startEtcd(t)
  await etcd.put(key('127.0.0.1:1'), '')
  await writeFile(snapshotFile, 'not a snapshot')
  const reading = logged()
  const gateway = await startGateway(t, { etcd: etcd.endpoint, snapshotFile }, undefined, reading.server)
  t.equal(reading.lines.length, 1)
  t.match(reading.lines[0], new RegExp(`the snapshot file ${snapshotFile} is not used: it is no snapshot`))
  t.equal(registry(gateway).state, 'live')
  await gateway.app.close()
  t.match(await readFile(snapshotFile, 'utf8'), /^\{"format":"fastify-upstream-etcd snapshot"/, 'and it is replaced by a good one')

  const folder = `${snapshotFile}-folder`
  await mkdir(folder)
  const writing = logged()
  const unwritable = await startGateway(t, { etcd: etcd.endpoint, snapshotFile: folder }, undefined, writing.server)
  await until(() => writing.lines.some(line => line.includes('cannot be written')), { what: 'the line' })
  for (let i = 0; i < 5; i++) await unwritable.app.upstreams.applied(await etcd.put(key('127.0.0.1:1'), `{"weight": ${i}}`))
  t.equal(writing.lines.filter(line => line.includes(`the snapshot file ${folder} cannot be written`)).length, 1)
  t.equal(unwritable.app.upstreams.show('shop').peers[0]?.weight, 4)
})

t.test('an etcd that has forgotten everything does not empty the gateway, nor its file', async t => {
  const snapshotFile = await fileFor(t)
  const port = await freePort()
  const etcd = await startEtcd(t, { port })
  const peer = await startPeer(t)
  await etcd.put(key(peer.id), '')
  await (await startGateway(t, { etcd: etcd.endpoint, snapshotFile })).app.close()
  const before = await readFile(snapshotFile, 'utf8')
  await etcd.kill()
  const empty = await startEtcd(t, { port })
  const gateway = await startGateway(t, { etcd: empty.endpoint, routes, snapshotFile, start: { wait: 100 } })
  await until(() => /names no peer/.test(registry(gateway).lastError ?? ''), { what: 'the refusal' })
  t.match(registry(gateway), { state: 'snapshot', lastError: /the store is not the one that was followed/ })
  t.equal((await gateway.send('/shop')).status, 200)
  await sleep(1000)
  t.equal(await readFile(snapshotFile, 'utf8'), before)
  await empty.put(key('127.0.0.1:9'), '')
  await until(() => gateway.app.upstreams.show('shop').peers[0]?.port === 9, { what: 'the new registry', timeout: 20_000 })
})

t.test('closing says until when that was known; a gateway that knew nothing new leaves the file to others', async t => {
  const snapshotFile = await fileFor(t)
  const etcd = await startEtcd(t)
  const proxy = await startTcpProxy(t, etcd.port)
  await etcd.put(key('127.0.0.1:1'), '')
  const head = async () => JSON.parse((await readFile(snapshotFile, 'utf8')).split('\n')[0] ?? '')
  const stale = await startGateway(t, { etcd: `http://127.0.0.1:${proxy.port}`, snapshotFile })
  await until(async () => await head().catch(() => false), { what: 'the file' })
  proxy.close()
  await until(() => registry(stale).state === 'stale', { what: 'the stale registry', timeout: 20_000 })
  const other = await startGateway(t, { etcd: etcd.endpoint, snapshotFile })
  const last = await etcd.put(key('127.0.0.1:2'), '')
  await other.app.upstreams.applied(last)
  await until(async () => BigInt((await head()).revision) === last, { what: 'its snapshot' })
  await stale.app.close()
  t.equal(BigInt((await head()).revision), last)
  const { verifiedAt } = await head()
  await until(() => Date.parse(registry(other).lastVerifiedAt ?? '') > verifiedAt + 1, { what: 'another verification' })
  await other.app.close()
  t.ok((await head()).verifiedAt > verifiedAt)
})
