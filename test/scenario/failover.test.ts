import { Socket } from 'node:net'
import type { FastifyRequest } from 'fastify'
import t from 'tap'
import type { UpstreamEtcdOptions } from '../../lib/index.js'
import type { Upstream } from '../../lib/picker/exchange.js'
import { startEtcd } from '../fixtures/etcd.js'
import { startGateway, type TestGateway } from '../fixtures/gateway.js'
import { startLoad, summary, type Asked, type Load } from '../fixtures/load.js'
import { startPeerProcesses, type PeerProcess } from '../fixtures/peer-process.js'
import { until } from '../fixtures/wait.js'

const routes = [{ prefix: '/', service: 'shop' }]
/** A process reads its connections in any order, and not all at once (ms). */
const SLACK = 25

type Trio = [PeerProcess, PeerProcess, PeerProcess]

interface Scene {
  readonly peers: Trio
  readonly gateway: TestGateway
  readonly load: Load
  /** What became of a request at the gateway, by its id. */
  readonly told: (id: string) => Upstream | null | undefined
}

/** Three peers, a gateway in front of them, and 500 requests a second. */
async function begin (t: Parameters<typeof startGateway>[0], options: Omit<UpstreamEtcdOptions, 'peers'> = {}, register = async (_peers: Trio) => {}): Promise<Scene> {
  const peers = await startPeerProcesses(t, 3) as Trio
  await register(peers)
  const registry = options.etcd === undefined ? { peers: { shop: Object.fromEntries(peers.map(({ id }) => [id, {}])) } } : {}
  const requests = new Map<string, FastifyRequest>()
  const gateway = await startGateway(t, { routes, ...registry, ...options }, app => {
    // Not onResponse: it is not told of answers that broke.
    app.addHook('onRequest', async request => { requests.set(String(request.headers['x-id']), request) })
  })
  const load = startLoad(t, gateway.url)
  await load.more(300)
  // A gateway is slow with its first requests.
  await until(() => load.results.length >= 250, { what: '250 answers' })
  return { peers, gateway, load, told: id => requests.get(id)?.upstream }
}

const failed = (results: readonly Asked[], method?: string) => results.filter(asked => !asked.isWhole && (method === undefined || asked.method === method))
const peerOf = ({ app }: TestGateway, { id }: PeerProcess) => app.upstreams.status().services[0]?.peers.find(peer => peer.id === id)

/** When (epoch ms) each POST, whose head goes with the first byte of its body, was given to the system for a peer, by id. */
function watchBodies (t: Parameters<typeof startGateway>[0]): Map<string, number> {
  const written = new Map<string, number>()
  const { prototype } = Socket
  const { write } = prototype
  prototype.write = function (this: Socket, ...args: Parameters<typeof write>) {
    const [text] = args
    // The load of this test has no such field.
    const isOurs = typeof text === 'string' && text.startsWith('POST ') && text.includes('\r\nx-forwarded-for: ')
    const [, id] = isOurs ? /\r\nx-id: (.*)\r\n/.exec(text) ?? [] : []
    if (id !== undefined) written.set(id, Date.now())
    return write.apply(this, args)
  } as typeof write
  t.teardown(() => { prototype.write = write })
  return written
}

/** Every peer has read a good part of the requests; without that nothing is shown. */
function allWorked (t: { ok: (value: unknown, message: string) => void }, peers: readonly PeerProcess[]): void {
  t.ok(peers.every(peer => peer.read().size > 50), `the peers read ${peers.map(peer => peer.read().size).join(', ')} requests`)
}

t.test('a peer killed with -9: no failed GET, no failed POST that it had not read', async t => {
  const written = watchBodies(t)
  const { peers, gateway, load, told } = await begin(t)
  const [dead] = peers
  await dead.kill()
  await load.more(700)
  const results = await load.stop()
  t.comment(summary(results))
  allWorked(t, peers)
  t.same(failed(results, 'GET'), [])
  const read = dead.read()
  const lost = failed(results, 'POST')
  for (const { id, status } of lost) t.match([status, told(id)?.attempts], [502, [{ peer: dead.id, error: 'reset' }]], `${id} was sent, and to the dead peer alone`)
  // What was written to a connection and not yet read when the peer died is in nobody's journal: it left after the last it read.
  const lastRead = Math.max(...[...read.values()].map(({ at }) => at))
  const unread = lost.filter(({ id }) => !read.has(id))
  t.ok(written.size > 50, `${written.size} POSTs were written`)
  t.comment(`${lost.length} failed POSTs, ${unread.length} of them on their way when the peer died`)
  t.same(unread.filter(({ id }) => !((written.get(id) ?? 0) > lastRead - SLACK)), [], 'it had read the others')
  t.match(peerOf(gateway, dead), { inflight: 0 })
})

t.test('a peer that hangs: no failed GET, no failed POST that had not reached it', async t => {
  const { peers, gateway, load, told } = await begin(t, {
    retry: { on: ['connect', 'reset', 'timeout', 502, 503, 504] },
    timeouts: { headers: 500 }
  })
  const [hung] = peers
  await hung.stop()
  await load.more(900)
  const results = await load.stop()
  t.comment(summary(results))
  allWorked(t, peers)
  t.same(failed(results, 'GET'), [])
  const lost = failed(results, 'POST')
  t.ok(lost.length > 0, 'POSTs that it has are not repeated')
  t.ok(results.some(({ id, method }) => method === 'GET' && told(id)?.attempts[0]?.error === 'timeout'), 'GETs that it has are')
  for (const { id, status } of lost) t.match([status, told(id)?.attempts], [504, [{ peer: hung.id, error: 'timeout' }]], id)
  t.match(peerOf(gateway, hung), { state: 'ejected', inflight: 0 })
  // What waited in its sockets it reads now.
  hung.resume()
  await until(() => lost.every(({ id }) => hung.read().has(id)), { what: 'all failed POSTs in its journal' })
})

t.test('a peer that resets once it has read the headers: no failed GET', async t => {
  const { peers, gateway, load, told } = await begin(t)
  const [bad] = peers
  await bad.tell({ mode: 'reset' })
  await load.more(700)
  const results = await load.stop()
  t.comment(summary(results))
  allWorked(t, peers.slice(1))
  t.same(failed(results, 'GET'), [])
  const read = bad.read()
  const lost = failed(results, 'POST')
  t.same(lost.filter(({ id }) => read.get(id)?.mode !== 'reset'), [], 'no failed POST that it had not read')
  for (const { id, status } of lost) t.match([status, told(id)?.attempts], [502, [{ peer: bad.id, error: 'reset' }]], id)
  t.match(peerOf(gateway, bad), { state: 'ejected', inflight: 0 })
})

t.test('a peer that resets in the middle of its answers: none of them looks complete, and nothing else fails', async t => {
  const { peers, gateway, load, told } = await begin(t)
  const [bad] = peers
  await bad.tell({ mode: 'half' })
  await load.more(700)
  const results = await load.stop()
  t.comment(summary(results))
  allWorked(t, peers.slice(1))
  const lost = failed(results)
  const halves = new Set([...bad.read()].filter(([, { mode }]) => mode === 'half').map(([id]) => id))
  t.same(lost.filter(({ id }) => !halves.has(id)), [], 'only those fail whose answer it began')
  const begun = lost.filter(({ status }) => status === 200)
  t.ok(begun.length >= 3, `${begun.length} answers broke off`)
  for (const { id, error, body } of begun) {
    t.match([error, body, told(id)?.attempts.length], [/aborted|ECONNRESET/, `${id} `, 1], `the client of ${id} knows`)
  }
  // Where the gateway had not seen the answer's headers yet when the connection broke.
  t.same(lost.filter(({ method, status }) => status !== 200 && (method !== 'POST' || status !== 502)), [])
  t.match(peerOf(gateway, bad), { state: 'ejected', inflight: 0, errors: { reset: halves.size, aborted: 0, timeout: 0 } })
})

t.test('a peer that refuses: nothing fails, whatever the method, without any budget', async t => {
  const peers = await startPeerProcesses(t, 3) as Trio
  const [gone] = peers
  await gone.kill()
  const gateway = await startGateway(t, {
    peers: { shop: Object.fromEntries(peers.map(({ id }) => [id, {}])) },
    routes,
    // It is asked again and again, by a third of the requests.
    outlier: false,
    retry: { budget: { ratio: 0, perSecond: 0 } }
  })
  const load = startLoad(t, gateway.url, 500, ['GET', 'POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'HEAD'])
  await load.more(500)
  await until(() => (peerOf(gateway, gone)?.errors.connect ?? 0) >= 150, { what: '150 refused connections' })
  await gone.start()
  await load.more(350)
  const results = await load.stop()
  t.comment(summary(results))
  t.same(failed(results), [])
  allWorked(t, peers)
})

t.test('peers that are drained, removed and added in etcd under load: nothing fails', async t => {
  const etcd = await startEtcd(t)
  const key = ({ id }: PeerProcess) => `/services/shop/${id}`
  const { peers, gateway, load, told } = await begin(t, { etcd: etcd.endpoint, outlier: false }, async peers => {
    for (const peer of peers) await etcd.put(key(peer), '{}')
  })
  const [, leaving, coming] = peers
  const show = () => gateway.app.upstreams.show('shop')
  const applied = async (change: Promise<bigint>) => {
    const revision = await change
    await until(() => BigInt(show().version) >= revision, { what: `revision ${revision}` })
  }
  for (const peer of peers) await peer.tell({ delay: 80 })
  await load.more(150)

  const { open } = await leaving.tell()
  t.ok(open > 5, `${open} requests are in flight at the peer that leaves`)
  await applied(etcd.del(key(leaving)))
  const left = Date.now()
  await applied(etcd.put(key(coming), '{"status":"drain"}'))
  t.notOk(show().peers.some(({ port }) => port === leaving.port))
  for (const peer of [leaving, coming]) await until(async () => (await peer.tell()).connections === 0, { what: 'the end of all connections to it' })
  await applied(etcd.put(key(coming), '{"status":"up"}'))
  await load.more(150)
  await applied(etcd.put(key(leaving), '{}'))
  await load.more(150)

  const results = await load.stop()
  t.comment(summary(results))
  t.same(failed(results), [])
  t.ok(results.every(({ id }) => told(id)?.attempts.length === 1), 'at the first attempt')
  const atLeaving = results.filter(({ id }) => told(id)?.peer === leaving.id)
  t.ok(atLeaving.some(({ sentAt, ms }) => sentAt < left && sentAt + ms > left), 'also those that were in flight')
  allWorked(t, peers)
})
