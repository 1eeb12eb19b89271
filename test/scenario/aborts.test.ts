import type { IncomingMessage, ServerResponse } from 'node:http'
import { connect, type Socket } from 'node:net'
import t, { type Test } from 'tap'
import type { UpstreamEtcdOptions } from '../../lib/index.js'
import { startGateway } from '../fixtures/gateway.js'
import { startPeer, type TestPeer } from '../fixtures/peer.js'
import { until } from '../fixtures/wait.js'

const CLIENTS = 200

type T = Parameters<typeof startGateway>[0]

interface Scene {
  readonly peers: readonly TestPeer[]
  /** Requests that are open at the peers. */
  readonly open: () => number
  /** 200 clients, unless said, that have each sent `head`. */
  readonly arrive: (head: string, more?: (client: Socket) => void, count?: number) => Socket[]
  /** Bytes that all clients have received. */
  readonly received: () => number
  /** All leave at the same moment; what is left after a second is told. */
  readonly leave: (t: Pick<Test, 'same' | 'comment'>, clients: readonly Socket[]) => Promise<void>
}

async function begin (t: T, handler: (request: IncomingMessage, response: ServerResponse, peer: number) => void, options: Omit<UpstreamEtcdOptions, 'etcd'> = {}): Promise<Scene> {
  let open = 0
  let bytes = 0
  const counted = (peer: number) => (request: IncomingMessage, response: ServerResponse): void => {
    open++
    response.once('close', () => { open-- })
    request.on('error', () => {})
    handler(request, response, peer)
  }
  const peers = [await startPeer(t, { handler: counted(0) }), await startPeer(t, { handler: counted(1) }), await startPeer(t, { handler: counted(2) })]
  const gateway = await startGateway(t, {
    peers: { shop: Object.fromEntries(peers.map(({ id }, i) => [id, { priority: i === 0 ? 0 : 1 }])) },
    routes: [{ prefix: '/', service: 'shop' }],
    outlier: false,
    pool: { connections: CLIENTS },
    ...options
  })
  const told = () => gateway.app.upstreams.status().services[0]
  return {
    peers,
    open: () => open,
    received: () => bytes,
    arrive: (head, more = () => {}, count = CLIENTS) => Array.from({ length: count }, () => {
      const client = connect(Number(new URL(gateway.url).port), '127.0.0.1')
      client.on('error', () => {})
      client.on('data', chunk => { bytes += chunk.length })
      client.write(`${head}\r\nhost: x\r\n\r\n`)
      more(client)
      return client
    }),
    leave: async (t, clients) => {
      const left = performance.now()
      for (const client of clients) client.destroy()
      await until(() => open === 0 && told()?.inflight === 0, { what: 'end of all upstream requests', timeout: 1000 })
      t.comment(`nothing was open after ${(performance.now() - left).toFixed(0)} ms`)
      const sums = { connect: 0, timeout: 0, reset: 0, aborted: 0 }
      for (const { errors } of told()?.peers ?? []) for (const kind of Object.keys(sums) as Array<keyof typeof sums>) sums[kind] += errors[kind]
      t.same(sums, { connect: 0, timeout: 0, reset: 0, aborted: clients.length }, 'they count against nobody')
      t.same(told()?.peers.map(({ inflight }) => inflight), [0, 0, 0])
    }
  }
}

t.test('200 clients leave before headers', async t => {
  const scene = await begin(t, request => { request.resume() })
  const clients = scene.arrive('GET / HTTP/1.1')
  await until(() => scene.open() === CLIENTS, { what: '200 open requests' })
  await scene.leave(t, clients)
})

t.test('200 clients leave in the middle of a streamed answer', async t => {
  const scene = await begin(t, (_request, response) => {
    response.writeHead(200, { 'content-type': 'text/plain' })
    const timer = setInterval(() => response.write('one more line\n'), 20)
    response.once('close', () => clearInterval(timer))
  })
  const clients = scene.arrive('GET / HTTP/1.1')
  await until(() => scene.open() === CLIENTS && scene.received() > CLIENTS * 200, { what: '200 answers under way' })
  await scene.leave(t, clients)
})

t.test('clients that do not read leave in the middle of a large answer', async t => {
  let written = 0
  const scene = await begin(t, (_request, response) => {
    response.writeHead(200, { 'content-type': 'application/octet-stream' })
    const chunk = Buffer.alloc(65_536)
    const more = (): void => {
      do written += chunk.length
      while (!response.destroyed && response.write(chunk))
    }
    response.on('drain', more)
    more()
  })
  // Each of them fills the buffers of four sockets: some will do.
  const clients = scene.arrive('GET / HTTP/1.1', client => client.pause(), 30)
  await until(() => scene.open() === 30, { what: '30 open requests' })
  let before = -1
  // Nothing moves any more once all buffers are full.
  await until(async () => {
    await new Promise(resolve => setTimeout(resolve, 50))
    const same = written === before
    before = written
    return same
  }, { what: 'standstill' })
  await scene.leave(t, clients)
})

t.test('200 clients leave in the middle of an upload', async t => {
  let bytes = 0
  const scene = await begin(t, request => { request.on('data', chunk => { bytes += chunk.length }) })
  const clients = scene.arrive('POST / HTTP/1.1\r\ncontent-length: 100000', client => client.write('x'.repeat(1000)))
  await until(() => scene.open() === CLIENTS && bytes === CLIENTS * 1000, { what: '200 uploads under way' })
  await scene.leave(t, clients)
})

t.test('200 clients leave while another peer is tried and a first answer is held', async t => {
  // The first peer is asked first and answers 503, in full or for ever; the others say nothing.
  let turn = 0
  const scene = await begin(t, (request, response, peer) => {
    request.resume()
    if (peer > 0) return
    response.writeHead(503, { 'content-type': 'text/plain' })
    if (turn++ % 2 === 0) response.end('no')
    else response.write('n')
  }, { retry: { budget: { perSecond: 1000 } } })
  const clients = scene.arrive('GET / HTTP/1.1')
  await until(() => scene.open() === CLIENTS * 1.5 && scene.peers.slice(1).reduce((sum, { hits }) => sum + hits, 0) === CLIENTS, { what: '200 second attempts' })
  const left = performance.now()
  for (const client of clients) client.destroy()
  await until(() => scene.open() === 0, { what: 'end of all upstream requests', timeout: 1000 })
  t.comment(`nothing was open after ${(performance.now() - left).toFixed(0)} ms`)
})
