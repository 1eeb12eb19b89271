import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import Fastify, { type FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import upstreamEtcd from '../../lib/index.js'
import { startGateway } from '../fixtures/gateway.js'
import { startPeer } from '../fixtures/peer.js'
import { startStage, type Stage } from '../fixtures/stage.js'
import { look, lookByHttp2, type TestViewer } from '../fixtures/viewer.js'
import { until } from '../fixtures/wait.js'

const A = '10.0.0.1:80'
const MB = 1024 * 1024

async function staged (t: Pick<Test, 'teardown'>): Promise<Stage> {
  const stage = await startStage(t)
  stage.registry.list([])
  stage.put(`shop/${A}`, { params: { text: 'x'.repeat(1000) } })
  return stage
}

/** Things happen until what is unread of `viewer` is too much: it hears no more. */
async function flood (stage: Stage, records: number): Promise<void> {
  const service = stage.service()
  const [state] = service.peers.values()
  if (state === undefined) throw new Error('no peer')
  for (let i = 0; i < records; i++) {
    stage.act(service, state, 'x'.repeat(1000))
    if (i % 100 === 0) await new Promise(resolve => setImmediate(resolve))
  }
}

t.test('one who reads nothing costs a bounded memory and is let go; one who reads again is told how all is', async t => {
  const stage = await staged(t)
  const [still, late] = [await look(t, stage.url, { isReading: false }), await look(t, stage.url)]
  await late.next('snapshot')
  late.pause()
  await flood(stage, 2000)
  const before = process.memoryUsage()
  await flood(stage, 60_000)
  const after = process.memoryUsage()
  const grown = after.arrayBuffers + after.external - before.arrayBuffers - before.external
  t.ok(grown < 16 * MB, `${grown / MB} MB for 60 MB of records`)
  stage.tick(10_000)
  late.read()
  await until(() => {
    stage.tick(10)
    return late.of('snapshot').length === 2
  }, { what: 'another snapshot' })
  t.equal(late.lastId, `run1-${stage.journal.last}`)
  const numbers = late.records.map(({ id }) => Number(id.split('-')[1]))
  t.same(numbers, [...new Set(numbers)].sort((a, b) => a - b), 'no record twice, all in order')
  t.notOk(still.isOver)
  stage.tick(31_000)
  still.read()
  await still.over()
  t.notOk(late.isOver)
  await flood(stage, 1)
  await until(() => late.lastId === `run1-${stage.journal.last}`, { what: 'the record after' })
})

t.test('one who was behind for less than is remembered misses no record', async t => {
  const stage = await staged(t)
  const viewer = await look(t, stage.url)
  await viewer.next('snapshot')
  viewer.pause()
  // What the systems between us hold; then 900 more.
  const service = stage.service()
  const [state] = service.peers.values()
  if (state === undefined) throw new Error('no peer')
  for (let i = 0; i < 400; i++) stage.act(service, state, 'x'.repeat(20_000))
  await new Promise(resolve => setImmediate(resolve))
  await flood(stage, 500)
  viewer.read()
  await until(() => {
    stage.tick(10)
    return viewer.lastId === `run1-${stage.journal.last}` && viewer.of('snapshot').length >= 2
  }, { what: 'all of them and another snapshot' })
  const numbers = viewer.records.map(({ id }) => Number(id.split('-')[1]))
  t.same(numbers, numbers.map((_, i) => 3 + i))
  t.equal(numbers.length, 900)
})

t.test('64 may look; who comes on top is refused and let go, and comes in when one has left', async t => {
  const peer = await startPeer(t)
  const gateway = await startGateway(t, { peers: { shop: { [peer.id]: {} } } })
  const viewers: TestViewer[] = []
  for (let i = 0; i < 64; i++) viewers.push(await look(t, gateway.url))
  t.same(new Set(viewers.map(({ status }) => status)), new Set([200]))
  const refused = await look(t, gateway.url)
  t.match([refused.status, refused.headers], [503, { 'retry-after': '5', connection: 'close' }])
  await refused.over()
  viewers[10]?.leave()
  await until(async () => (await look(t, gateway.url)).status === 200, { what: 'room' })
})

t.test('ten thousand who never read: 64 are let in, and the gateway goes on', async t => {
  const peer = await startPeer(t)
  const gateway = await startGateway(t, { peers: { shop: { [peer.id]: {} } }, routes: [{ prefix: '/shop', service: 'shop' }] })
  await gateway.send('/shop')
  const before = process.memoryUsage().rss
  const child = fork(fileURLToPath(new URL('../fixtures/viewers.mjs', import.meta.url)), [new URL(gateway.url).port, '10000', '500'], { execArgv: [] })
  t.teardown(() => { child.kill('SIGKILL') })
  const told = once(child, 'message')
  let [slowest, answered] = [0, 0]
  const progress = { isDone: false }
  told.finally(() => { progress.isDone = true }).catch(() => {})
  while (!progress.isDone) {
    const began = performance.now()
    const { status } = await gateway.send('/shop')
    if (status !== 200) t.fail(`${status}`)
    slowest = Math.max(slowest, performance.now() - began)
    answered++
  }
  t.same((await told)[0], { in: 64, refused: 9936, closed: 9936, failed: 0 })
  t.ok(answered > 10, `${answered} answers meanwhile, the slowest after ${Math.round(slowest)} ms`)
  const grown = process.memoryUsage().rss - before
  t.ok(grown < 300 * MB, `${Math.round(grown / MB)} MB more`)
  child.send('leave')
  await once(child, 'exit')
  await until(async () => await new Promise<boolean>((resolve, reject) => {
    gateway.app.server.getConnections((error, count) => error === null ? resolve(count < 5) : reject(error))
  }), { what: 'nobody left' })
})

/** With options as anybody has them: connections are not closed by force. */
async function plain (t: Pick<Test, 'teardown'>, http2: boolean): Promise<{ app: FastifyInstance, url: string }> {
  const app = (http2 ? Fastify({ http2: true }) : Fastify()) as unknown as FastifyInstance
  t.teardown(async () => await app.close())
  // A snapshot that fills whatever lies between us.
  await app.register(upstreamEtcd, { peers: { shop: Object.fromEntries(Array.from({ length: 9000 }, (_, i) => [`10.0.${i >> 8}.${i & 255}:80`, { params: { text: 'x'.repeat(1000) } }])) }, check: false })
  return { app, url: await app.listen({ port: 0, host: '127.0.0.1' }) }
}

for (const http2 of [false, true]) {
  t.test(`close() by HTTP/${http2 ? 2 : 1}, with open streams, read and unread`, async t => {
    const { app, url } = await plain(t, http2)
    const open = http2 ? lookByHttp2 : look
    const viewers = [await open(t, url), await open(t, url), await open(t, url, { isReading: false })]
    const [first, second, unread] = viewers
    await Promise.all([first?.next('snapshot'), second?.next('snapshot')])
    await first?.next('stats')
    const late = app.upstreams
    const began = performance.now()
    const closing = app.close()
    await closing
    const ms = performance.now() - began
    t.ok(ms < 1500, `${Math.round(ms)} ms`)
    await Promise.all([first?.over(), second?.over()])
    const count = first?.sent.length
    late.recover('shop', '10.0.0.0:80')
    await new Promise(resolve => setImmediate(resolve))
    t.equal(first?.sent.length, count, 'nothing comes after the end')
    unread?.read()
    await unread?.over()
  })
}

t.test('who comes while the gateway closes is refused', async t => {
  const app = Fastify({ return503OnClosing: false })
  t.teardown(async () => await app.close())
  let came = false
  await app.register(upstreamEtcd, { peers: { shop: { [A]: {} } }, check: false })
  // Closing has begun, and connections are taken still.
  let last: TestViewer | undefined
  await app.register(async child => {
    child.addHook('preClose', async () => {
      last = await look(t, url)
      came = true
    })
  })
  const url = await app.listen({ port: 0, host: '127.0.0.1' })
  await (await look(t, url)).next('snapshot')
  await app.close()
  t.ok(came)
  t.match([last?.status, last?.headers], [503, { 'retry-after': '5', connection: 'close' }])
})

t.test('an ejection is told within milliseconds, long before the next stats', async t => {
  const [good, bad] = [await startPeer(t), await startPeer(t, { status: 500 })]
  const gateway = await startGateway(t, { peers: { shop: { [good.id]: {}, [bad.id]: {} } }, routes: [{ prefix: '/shop', service: 'shop' }], retry: false, check: false, outlier: { consecutive5xx: 2, maxEjected: 1 } })
  const viewer = await look(t, gateway.url)
  await viewer.next('stats')
  let toldAt = Infinity
  gateway.app.upstreams.on('peer', ({ event }) => { if (event === 'eject') toldAt = performance.now() })
  await gateway.sendMany(4, '/shop')
  const { data } = await viewer.next('peer')
  const ms = performance.now() - toldAt
  t.match(data, { service: 'shop', peer: bad.id, scheme: 'http', event: 'eject', state: 'ejected', cause: 'consecutive_5xx', reason: /\w/, until: /Z$/ })
  t.ok(ms < 200, `${Math.round(ms)} ms`)
  const { data: stats } = await viewer.next('stats', viewer.of('stats').length + 1)
  t.match(stats.services, [{ name: 'shop' }])
  t.equal(stats.services[0].peers.find(({ id }: { id: string }) => id === bad.id)?.state, 'ejected')
})
