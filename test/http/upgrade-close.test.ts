import { once } from 'node:events'
import { performance } from 'node:perf_hooks'
import t from 'tap'
import { startEtcd } from '../fixtures/etcd.js'
import { startGateway, type TestGateway } from '../fixtures/gateway.js'
import { portOf } from '../fixtures/raw.js'
import { agreed, asking, openWs, RawClient, startUpgradePeer, startWsPeer } from '../fixtures/upgrades.js'
import { until } from '../fixtures/wait.js'

const routes = [{ prefix: '/shop', service: 'shop', websocket: true }]
const of = (...peers: Array<{ id: string }>) => ({ shop: Object.fromEntries(peers.map(({ id }) => [id, {}])) })
const inflight = ({ app }: TestGateway): number | undefined => app.upstreams.status().services[0]?.inflight

/** How long something takes, in ms. */
async function timed (work: PromiseLike<unknown>): Promise<number> {
  const started = performance.now()
  await work
  return performance.now() - started
}

/** A client that shakes hands and then says nothing, not even that it has heard. */
async function mute (t: Parameters<typeof startWsPeer>[0], gateway: TestGateway): Promise<RawClient> {
  const client = new RawClient(t, portOf(gateway.url))
  client.socket.write(asking('/shop', 'websocket', 'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n'))
  await until(() => client.tail !== '', { what: 'first message' })
  return client
}

t.test('drained by an operator: both sides are told 1001, and nobody else', async t => {
  const peers = [await startWsPeer(t), await startWsPeer(t)] as const
  const gateway = await startGateway(t, { peers: of(...peers), routes })
  const clients = []
  for (let i = 0; i < 4; i++) clients.push(await openWs(t, `${gateway.url}/shop`))
  const served = await Promise.all(clients.map(async client => (await client.text()).startsWith(peers[0].id)))
  const took = await timed(gateway.app.upstreams.drain('shop', peers[0].id))
  t.ok(took < 900, `drained after ${took} ms, when all had answered`)
  const gone = clients.filter((_, i) => served[i] === true)
  const kept = clients.filter((_, i) => served[i] !== true)
  t.equal(gone.length, 2)
  t.same(await Promise.all(gone.map(({ closed }) => closed)), [1001, 1001])
  await until(() => peers[0].codes.length === 2)
  t.same(peers[0].codes, [1001, 1001])
  for (const client of kept) {
    client.ws.send('still here')
    t.equal(await client.text(), 'still here')
  }
  t.same(gateway.app.upstreams.status().services[0]?.peers.map(({ inflight }) => inflight).sort(), [0, 2])
  t.match(await (await openWs(t, `${gateway.url}/shop`)).text(), peers[1].id)
})

t.test('who does not answer is cut off after a second', async t => {
  let told = Buffer.alloc(0)
  const peer = await startUpgradePeer(t, (_request, socket) => {
    socket.on('error', () => {}).on('data', chunk => { told = Buffer.concat([told, chunk]) })
    // The beginning of a frame, and the rest of it with one more when it is asked for.
    socket.write(`${agreed('websocket')}\x82\x05he`, 'latin1')
    finish = () => socket.write('llo\x82\x01!\x82\x04', 'latin1')
  })
  let finish = (): void => {}
  const gateway = await startGateway(t, { peers: of(peer), routes })
  const client = await mute(t, gateway)
  t.equal(client.tail, '\x82\x05he')
  const drained = timed(gateway.app.upstreams.drain('shop', peer.id))
  await until(() => told.length >= 8)
  t.same([told[0], told[1]], [0x88, 0x82])
  t.equal(((told.readUInt16BE(6) ^ told.readUInt16BE(2))), 1001, 'masked')
  t.equal(client.tail, '\x82\x05he', 'a frame under way is not interrupted')
  finish()
  await until(() => client.tail.length > 4)
  t.equal(client.tail, '\x82\x05hello\x82\x01!\x88\x02\x03\xe9', 'whole frames, then Close without a mask')
  const took = await drained
  t.ok(took > 900 && took < 2500, `${took} ms`)
  await until(() => client.hasEnded)
})

t.test('an upgrade that is agreed to after the peer was drained ends at once', async t => {
  let agree = (): void => {}
  const peer = await startUpgradePeer(t, (_request, socket) => {
    socket.on('error', () => {}).on('end', () => socket.end()).resume()
    agree = () => socket.write(agreed('foo'))
  })
  const gateway = await startGateway(t, { peers: of(peer), routes })
  const client = new RawClient(t, portOf(gateway.url))
  client.socket.write(asking('/shop', 'foo'))
  await until(() => peer.open.size === 1)
  const drained = gateway.app.upstreams.drain('shop', peer.id)
  agree()
  await until(() => client.hasEnded)
  t.match(client.got, /^HTTP\/1\.1 101 /)
  client.socket.end()
  await drained
  t.equal(inflight(gateway), 0)
})

t.test('the registry says drain, then that the peer is gone', async t => {
  const etcd = await startEtcd(t)
  const peers = [await startWsPeer(t), await startWsPeer(t)] as const
  for (const { id } of peers) await etcd.put(`/services/shop/${id}`, '{}')
  const gateway = await startGateway(t, { etcd: etcd.endpoint, routes })
  const open = async () => {
    const client = await openWs(t, `${gateway.url}/shop`)
    return { client, peer: (await client.text()).startsWith(peers[0].id) ? peers[0] : peers[1] }
  }
  const [first, second] = [await open(), await open()]
  t.not(first.peer, second.peer)
  await etcd.put(`/services/shop/${first.peer.id}`, '{"status":"drain"}')
  t.equal(await first.client.closed, 1001)
  await until(() => first.peer.codes.length === 1)
  t.same(first.peer.codes, [1001])
  t.equal(second.client.ws.readyState, second.client.ws.OPEN)

  const third = await open()
  t.equal(third.peer, second.peer)
  await etcd.del(`/services/shop/${second.peer.id}`)
  t.same(await Promise.all([second.client.closed, third.client.closed]), [1001, 1001])
  await until(() => second.peer.codes.length === 2)
  t.same(second.peer.codes, [1001, 1001])
})

t.test('app.close() with all kinds of connections open', async t => {
  const polite = await startWsPeer(t)
  const app = await startGateway(t, { peers: of(polite), routes })
  const client = await openWs(t, `${app.url}/shop`)
  const quick = await timed(app.app.close())
  t.ok(quick < 900, `${quick} ms with nobody but those who answer`)
  t.equal(await client.closed, 1001)
  await until(() => polite.codes.length === 1)
  t.same(polite.codes, [1001])

  for (const forceCloseConnections of [true, false]) {
    const peer = await startWsPeer(t)
    const silent = await startUpgradePeer(t, (_request, socket) => { socket.on('error', () => {}).on('end', () => socket.end()).resume() })
    const raw = await startUpgradePeer(t, (_request, socket) => { socket.on('error', () => {}).resume().write(agreed('foo')) })
    const gateway = await startGateway(t, {
      peers: { ...of(peer), silent: { [silent.id]: {} }, raw: { [raw.id]: {} } },
      routes: [...routes, { prefix: '/silent', service: 'silent', websocket: true }, { prefix: '/raw', service: 'raw', websocket: true }]
    }, () => {}, { forceCloseConnections })
    const client = await openWs(t, `${gateway.url}/shop`)
    const muted = await mute(t, gateway)
    const waiting = new RawClient(t, portOf(gateway.url))
    waiting.socket.write(asking('/silent', 'foo'))
    const other = new RawClient(t, portOf(gateway.url))
    other.socket.write(asking('/raw', 'foo'))
    await until(() => silent.open.size === 1 && other.got !== '')
    const took = await timed(gateway.app.close())
    t.comment(`${Math.round(took)} ms`)
    t.ok(took < 4500, `forceCloseConnections ${forceCloseConnections}: ${took} ms`)
    t.equal(await client.closed, 1001)
    await until(() => other.isClosed || other.hasEnded)
    await until(() => muted.hasEnded && waiting.hasEnded)
    await until(() => peer.open.size + silent.open.size === 0)
  }
})

t.test('a client that comes while the app closes is told to go elsewhere', async t => {
  const peer = await startWsPeer(t)
  const gateway = await startGateway(t, { peers: of(peer), routes })
  const held = await mute(t, gateway)
  const early = new RawClient(t, portOf(gateway.url))
  await once(early.socket, 'connect')
  await until(async () => await new Promise(resolve => gateway.app.server.getConnections((_error, count) => resolve(count === 2))))
  const closing = gateway.app.close()
  await until(() => held.tail.includes('\x88\x02'))
  early.socket.write(asking('/shop', 'foo'))
  await closing
  t.notMatch(early.got, / 101 /)
  t.equal(peer.asked.length, 1)
})
