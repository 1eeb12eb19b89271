import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { once } from 'node:events'
import type { Socket } from 'node:net'
import v8 from 'node:v8'
import { Etcd3 } from 'etcd3'
import t from 'tap'
import { Client, Pool } from 'undici'
import { startEtcd, type TestEtcd } from '../fixtures/etcd.js'
import { startGateway, type TestGateway } from '../fixtures/gateway.js'
import { startPeer, type TestPeer } from '../fixtures/peer.js'
import { until } from '../fixtures/wait.js'

const routes = [{ prefix: '/', service: 'shop' }]
const key = (id: string) => `/services/shop/${id}`

/** How many objects of a class there are once what nobody holds is collected. */
const living = (kind: typeof Pool | typeof Client): number => v8.queryObjects(kind, { format: 'count' })
const sockets = (): number => process.getActiveResourcesInfo().filter(name => name === 'TCPSocketWrap').length

async function applied ({ app }: TestGateway, change: Promise<bigint>): Promise<void> {
  const revision = await change
  await until(() => BigInt(app.upstreams.show('shop').version) >= revision, { what: `revision ${revision}` })
}

/** Two peers that answer `/slow` when they are told to. */
async function begin (t: Parameters<typeof startPeer>[0]) {
  const etcd = await startEtcd(t)
  const waiting: ServerResponse[] = []
  const handler = (request: IncomingMessage, response: ServerResponse): void => {
    if (request.url === '/slow') waiting.push(response)
    else response.end('quick')
  }
  const peers: [TestPeer, TestPeer] = [await startPeer(t, { handler }), await startPeer(t, { handler })]
  for (const [priority, { id }] of peers.entries()) await etcd.put(key(id), JSON.stringify({ priority }))
  const gateway = await startGateway(t, { etcd: etcd.endpoint, routes, outlier: false })
  return { etcd, gateway, peers, waiting }
}

const ways: Record<string, (etcd: TestEtcd, id: string) => Promise<bigint>> = {
  'is removed': (etcd, id) => etcd.del(key(id)),
  'is drained': (etcd, id) => etcd.put(key(id), '{"status": "drain"}'),
  'is set down': (etcd, id) => etcd.put(key(id), '{"status": "down"}')
}

for (const [way, leave] of Object.entries(ways)) {
  t.test(`the connections of a peer that ${way} close after the last request under way`, async t => {
    const { etcd, gateway, peers: [leaving, staying], waiting } = await begin(t)
    const slow = Array.from({ length: 5 }, () => gateway.send('/slow'))
    await until(() => waiting.length === 5, { what: 'five requests under way' })
    await Promise.all(Array.from({ length: 5 }, () => gateway.send('/')))
    t.ok(leaving.connections >= 5)
    await applied(gateway, leave(etcd, leaving.id))
    await until(() => leaving.connections === 5, { what: 'the end of idle connections' })
    const before = leaving.hits
    for (let i = 0; i < 5; i++) t.equal((await gateway.send('/')).body, 'quick')
    t.equal(leaving.hits, before)
    for (const [i, response] of waiting.entries()) {
      response.end(`slow ${i}`)
      // Each with its request, not with the last of them.
      await until(() => leaving.connections === 4 - i, { what: `the end of connection ${i}` })
    }
    t.same((await Promise.all(slow)).map(({ status, body }) => `${status} ${body}`).sort(), ['200 slow 0', '200 slow 1', '200 slow 2', '200 slow 3', '200 slow 4'])
    t.equal(staying.hits, 5)

    await applied(gateway, etcd.put(key(leaving.id), '{}'))
    await gateway.send('/')
    t.equal(leaving.hits, before + 1, 'and when it is back it has new ones')
  })
}

t.test('10,000 peers that come and go, every fifth of them asked, leave no socket and no pool behind', async t => {
  // One listener on every address of the loopback network, so that each address is a peer.
  const open = new Set<Socket>()
  const asked = new Set<string>()
  const server = createServer((request, response) => {
    asked.add(request.socket.localAddress ?? '')
    response.end()
  })
  server.on('connection', socket => {
    open.add(socket)
    socket.once('close', () => open.delete(socket))
  })
  server.listen(0, '0.0.0.0')
  await once(server, 'listening')
  t.teardown(() => { server.close(); server.closeAllConnections() })
  const { port } = server.address() as { port: number }
  const etcd = await startEtcd(t)
  const client = new Etcd3({ hosts: etcd.endpoint })
  t.teardown(() => client.close())
  await etcd.put(key('127.0.0.1:1'), '{"status": "down"}')
  const gateway = await startGateway(t, { etcd: etcd.endpoint, routes, outlier: false, retry: false })

  const known = (): number => gateway.app.upstreams.show('shop').peers.length
  const round = 1000
  const part = 200
  for (let first = 0; first < 10_000; first += round) {
    const ids = Array.from({ length: round }, (_, i) => `127.1.${(first + i) / 250 | 0}.${1 + i % 250}:${port}`)
    for (let i = 0; i < round; i += 100) await client.if('none', 'Create', '==', 0).then(...ids.slice(i, i + 100).map(id => client.put(key(id)).value('{}'))).commit()
    await until(() => known() === round + 1, { what: 'a thousand peers more' })
    let left = part
    await Promise.all(Array.from({ length: 20 }, async () => { while (left-- > 0) await gateway.send('/') }))
    t.ok(open.size >= part, `${open.size} connections`)
    await client.delete().prefix(key('127.1.'))
    await until(() => known() === 1, { what: 'the end of them' })
    await until(() => [...open].every(({ localAddress }) => localAddress === '127.0.0.1'), { what: 'the end of all connections to peers' })
  }
  t.equal(asked.size, 10 * part, 'each request went to another peer')
  const left = { sockets: sockets(), pools: living(Pool), clients: living(Client) }
  // Those of the twenty clients of this test, in both directions.
  t.ok(left.sockets < 60 && left.pools <= 10 && left.clients <= 50, `${left.sockets} sockets, ${left.pools} pools and ${left.clients} clients are left`)
})
