import { once } from 'node:events'
import { connect } from 'node:net'
import type { FastifyRequest } from 'fastify'
import t from 'tap'
import fc from 'fast-check'
import { cutdown, drain, recover } from '../../lib/store/overrides.js'
import { BAD, OK, seeded } from '../fixtures/pure.js'
import { startGateway } from '../fixtures/gateway.js'
import { startStage, type Stage } from '../fixtures/stage.js'
import { look, lookByHttp2, picture, type TestViewer } from '../fixtures/viewer.js'
import { until } from '../fixtures/wait.js'

const A = '10.0.0.1:80'

async function staged (t: Parameters<typeof startStage>[0], ...peers: string[]): Promise<Stage> {
  const stage = await startStage(t)
  stage.registry.list([])
  for (const peer of peers) stage.put(`shop/${peer}`)
  return stage
}

const numbersOf = (viewer: TestViewer): number[] => viewer.records.map(({ id }) => Number(id.split('-')[1]))
const range = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, i) => from + i)

/** `n` records. */
function chat (stage: Stage, n: number): void {
  const service = stage.service()
  for (const state of [...service.peers.values()].slice(0, 1)) for (let i = 0; i < n; i++) stage.act(service, state, `talk ${i}`)
}

t.test('hello, snapshot, then records as they come and stats', async t => {
  const stage = await staged(t, A)
  const viewer = await look(t, stage.url)
  t.match([viewer.status, viewer.headers], [200, { 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-store, no-transform', connection: 'close', 'x-accel-buffering': 'no' }])
  const snapshot = await viewer.next('snapshot')
  const expected = stage.status()
  t.match(viewer.sent[0], { event: 'hello', id: 'run1-2', data: { now: expected.now, node: expected.node, resumed: false, actions: false } })
  const { events, services, ...rest } = snapshot.data
  t.same({ ...rest, services: services.map(({ peers, ...service }: { peers: object[] }) => ({ ...service, peers: peers.map(peer => ({ ...peer, history: undefined })) })) },
    { ...expected, services: expected.services.map(service => ({ ...service, peers: service.peers.map(peer => ({ ...peer, history: undefined })) })) }, 'what GET says')
  t.match(events, [{ id: 'run1-1', event: 'added', peer: A }, { id: 'run1-2', type: 'service', event: 'added' }])
  stage.put(`shop/${A}`, { weight: 5 })
  t.match(await viewer.next('peer'), { id: 'run1-3', data: { id: 'run1-3', event: 'changed', reason: 'weight 1 → 5', revision: '102' } })
  stage.tick()
  t.match(await viewer.next('stats'), { id: null, data: { second: Math.floor(stage.now / 1000) - 1, ready: true, totals: { peers: 1 }, services: [{ name: 'shop', peers: [{ id: A, weight: { configured: 5 }, registration: { modRevision: '102' } }] }] } })
  t.same(viewer.sent.map(({ event }) => event), ['hello', 'snapshot', 'peer', 'stats'])
})

t.test('a record is on its way in the turn in which it happened', async t => {
  const stage = await staged(t, A)
  const viewer = await look(t, stage.url)
  await viewer.next('snapshot')
  const began = performance.now()
  chat(stage, 1)
  await new Promise<void>(resolve => {
    const poll = (): void => { viewer.records.length === 1 ? resolve() : setImmediate(poll) }
    poll()
  })
  t.ok(performance.now() - began < 500, `${performance.now() - began} ms, with no tick in between`)
})

t.test('stats hold what is otherwise, and only that', async t => {
  const stage = await staged(t, A, '10.0.0.2:80')
  stage.put('other/10.0.0.9:80')
  const viewer = await look(t, stage.url)
  await viewer.next('snapshot')
  stage.tick()
  t.same((await viewer.next('stats')).data.services, [], 'the snapshot was whole')
  const service = stage.service()
  const state = service.find(A)
  if (state === undefined) throw new Error('no peer')
  state.inflight++
  stage.tick()
  const second = (await viewer.next('stats', 2)).data
  t.match(second.services, [{ name: 'shop', inflight: 1, peers: [{ id: A, inflight: 1, history: [] }] }])
  t.same([second.services.length, second.services[0].peers.length, 'registration' in second.services[0].peers[0], 'invalidKeys' in second.registry], [1, 1, false, false])
  stage.logger.attempt(service, state, BAD, stage.now)
  stage.put('shop/nonsense:port', '{')
  stage.tick()
  const third = (await viewer.next('stats', 3)).data
  t.match(third.services, [{ peers: [{ id: A, history: [[Math.floor(stage.now / 1000) - 1, 1, 1]] }] }])
  t.equal(third.registry.invalidKeys.length, 1)
  stage.put(`shop/${A}`, { params: { x: 2 } })
  stage.tick()
  t.match((await viewer.next('stats', 4)).data.services, [{ peers: [{ id: A, registration: { params: { x: 2 } } }] }])
})

t.test('what came and went between a snapshot and the next stats is told to who saw the snapshot', async t => {
  const stage = await staged(t, A)
  const first = await look(t, stage.url)
  await first.next('snapshot')
  stage.tick()
  await first.next('stats')
  const [state] = stage.service().peers.values()
  if (state === undefined) throw new Error('no peer')
  state.inflight = 7
  stage.put('shop/bad:port', '{')
  const second = await look(t, stage.url)
  await second.next('snapshot')
  state.inflight = 0
  stage.delete('shop/bad:port')
  stage.tick()
  await Promise.all([first.next('stats', 2), second.next('stats')])
  for (const viewer of [first, second]) t.match(picture(viewer.sent), { registry: { invalidKeys: [] }, services: [{ inflight: 0, peers: [{ inflight: 0 }] }] })
})

t.test('Last-Event-ID brings exactly what was missed, each once, in order', async t => {
  const stage = await staged(t, A)
  await fc.assert(fc.asyncProperty(fc.integer({ min: 0, max: 990 }), fc.integer({ min: 0, max: 990 }), async (before, after) => {
    const viewer = await look(t, stage.url)
    await viewer.next('snapshot')
    const start = stage.journal.last
    chat(stage, before)
    // Where it is cut nobody knows: somewhere in what is under way.
    await until(() => viewer.records.length > before / 2 || before === 0)
    viewer.leave()
    await viewer.over()
    chat(stage, after)
    const seen = Number(viewer.lastId?.split('-')[1])
    const end = stage.journal.last
    if (end - seen > 1000) return
    const back = await look(t, stage.url, { headers: { 'last-event-id': String(viewer.lastId) } })
    await back.next('snapshot')
    t.match(back.sent[0], { event: 'hello', id: viewer.lastId, data: { resumed: true } })
    t.strictSame([...numbersOf(viewer), ...numbersOf(back)], range(start + 1, end))
    t.strictSame(back.sent.map(({ event }) => event), ['hello', ...range(seen + 1, end).map(() => 'peer'), 'snapshot'])
    t.equal(back.lastId, `run1-${end}`)
    back.leave()
  }), { numRuns: 12, seed: 7 })
})

/** Thousands of peers, and a slice for each step: what is begun takes many turns. */
async function long (t: Parameters<typeof startStage>[0]): Promise<Stage> {
  const stage = await staged(t, A)
  stage.put(`a/${A}`)
  for (let i = 0; i < 6000; i++) stage.put(`shop/10.1.${i >> 8}.${i & 255}:80`)
  stage.tempo = 10
  return stage
}

t.test('what was missed comes whole also when more than a thousand things happen before the snapshot is there', async t => {
  const stage = await long(t)
  const { last } = stage.journal
  const viewer = await look(t, stage.url, { headers: { 'last-event-id': `run1-${last - 900}` }, isReading: false })
  t.equal(stage.asked, 1, 'the snapshot is begun')
  chat(stage, 1500)
  stage.tempo = 0
  viewer.read()
  await until(() => {
    stage.tick(1)
    return viewer.of('snapshot').length > 0
  }, { what: 'a snapshot that all records can follow' })
  t.ok(stage.asked >= 2, 'the first one was of no use')
  t.same(numbersOf(viewer), range(last - 899, last))
  t.equal(viewer.lastId, `run1-${last + 1500}`)
})

t.test('who leaves while stats are made is not told as being there', async t => {
  const stage = await long(t)
  const viewer = await look(t, stage.url)
  await viewer.next('snapshot')
  stage.service('a').shed = 0.5
  const { asked } = stage
  stage.tick()
  for (let turn = 0; turn < 3; turn++) await new Promise(resolve => setImmediate(resolve))
  t.same([stage.asked, viewer.of('stats').length], [asked + 1, 0], 'under way')
  stage.delete(`a/${A}`)
  await viewer.next('stats')
  t.same(picture(viewer.sent).services.map(({ name }) => name), ['shop'])
})

t.test('an id that is unknown, of another run, too old or hostile', async t => {
  const stage = await staged(t, A)
  chat(stage, 3000)
  const { last } = stage.journal
  const ids = ['', '7', 'run2-7', 'run1-1', `run1-${last - 1001}`, `run1-${last + 1}`, 'run1-999999999999999', 'run1-1e3', 'run1-NaN', 'run1--1', '__proto__-1', 'x'.repeat(8000), `run1-${last}, run1-${last}`, 'run1-3003;id: 1', '\u00ff\u00fe']
  for (const id of ids) {
    const viewer = await look(t, stage.url, { headers: { 'last-event-id': id } })
    await viewer.next('snapshot')
    t.match(viewer.sent[0], { event: 'hello', id: `run1-${last}`, data: { resumed: false } }, id.slice(0, 40))
    t.same(viewer.records, [])
    viewer.leave()
    await viewer.over()
  }
  const viewer = await look(t, stage.url, { headers: { 'last-event-id': `run1-${last - 1000}` } })
  await viewer.next('snapshot')
  t.equal(viewer.records.length, 1000, 'the oldest that is remembered')
})

t.test('nothing is worked out while nobody looks, nor after the last one has left', async t => {
  const stage = await staged(t, A)
  for (let i = 0; i < 20; i++) stage.tick()
  chat(stage, 100)
  t.equal(stage.asked, 0)
  const viewers = [await look(t, stage.url), await look(t, stage.url)]
  for (const viewer of viewers) await viewer.next('snapshot')
  stage.tick()
  for (const viewer of viewers) await viewer.next('stats')
  t.equal(stage.asked, 2, 'one snapshot and one stats for both')
  for (const viewer of viewers) viewer.leave()
  await until(() => {
    const before = stage.asked
    stage.tick()
    return stage.asked === before
  }, { what: 'rest after they have left' })
  const { asked } = stage
  for (let i = 0; i < 20; i++) stage.tick()
  await new Promise(resolve => setImmediate(resolve))
  t.equal(stage.asked, asked)
})

t.test('work under way stops when the last one leaves, and the next one gets all of it', async t => {
  const stage = await long(t)
  const viewer = await look(t, stage.url)
  await viewer.next('snapshot')
  for (const state of stage.service().peers.values()) state.inflight = 1
  stage.tick()
  viewer.leave()
  await viewer.over()
  const next = await look(t, stage.url)
  await next.next('snapshot')
  stage.tempo = 0
  stage.tick()
  t.same((await next.next('stats')).data.services, [])
  t.same(picture(next.sent).services.map(({ peers, inflight }) => [peers.length, inflight]), [[1, 0], [6001, 6001]])
})

const timeless = (all: ReturnType<typeof picture>): object => JSON.parse(JSON.stringify({ ...all, now: null, second: undefined, events: undefined, registry: { ...all['registry'] as object, stalenessMs: null } }), (key, value) => key === 'history' ? undefined : value)

t.test('a client that applies what it gets knows in the end what GET says, whatever happened meanwhile', async t => {
  for (const seed of [1, 2, 3, 4, 5, 6]) {
    const random = seeded(seed)
    const stage = await staged(t, A)
    const below = (n: number): number => Math.floor(random() * n)
    const path = (): string => `${['shop', 'cart', 'a'][below(3)]}/10.0.0.${below(90)}:80`
    const any = () => {
      const services = [...stage.registry.store.services.values()]
      const service = services[below(services.length)]
      const state = [...service?.peers.values() ?? []][below(service?.peers.size ?? 0)]
      return service === undefined || state === undefined ? undefined : { service, state }
    }
    const act = (): void => {
      const one = any()
      const kind = below(10)
      if (kind < 3 || one === undefined) stage.put(path(), { weight: 1 + below(3) })
      else if (kind === 3) stage.delete(path())
      else if (kind === 4) stage.delete(...[...one.service.peers.values()].slice(below(2)).map(({ peer: { key } }) => key.slice('/services/'.length)))
      else if (kind === 5) one.state.inflight = below(2)
      else if (kind === 6) stage.logger.attempt(one.service, one.state, random() < 0.5 ? OK : BAD, stage.now)
      else if (kind === 7) cutdown(one.service, one.state, below(2), stage.now, stage.now + 1e9)
      else if (kind === 8) random() < 0.5 ? drain(one.service, one.state, stage.now, stage.now + 1e9) : recover(one.service, one.state)
      else stage.put(`${one.service.name}/x:${below(3)}y`, '{')
    }
    for (let i = 0; i < 150; i++) stage.put(path())
    stage.tempo = 1
    const viewers: TestViewer[] = []
    for (let round = 0; round < 40; round++) {
      if (round % 8 === 0) viewers.push(await look(t, stage.url))
      if (round === 20) viewers.shift()?.leave()
      stage.tick(random() < 0.5 ? 1000 : 100)
      for (let i = 0; i < 12; i++) {
        act()
        if (random() < 0.7) await new Promise(resolve => setImmediate(resolve))
      }
    }
    stage.tempo = 0
    // After an hour no rate and no percentile changes any more: nothing else makes good what was not told.
    stage.tick(3_600_000)
    const count = viewers.map(viewer => viewer.of('stats').length)
    await until(() => viewers.every((viewer, i) => viewer.of('stats').length > (count[i] ?? 0)), { what: 'the stats after it' })
    stage.tick()
    await until(() => viewers.every((viewer, i) => viewer.of('stats').length > (count[i] ?? 0) + 1), { what: 'the last stats' })
    const expected = timeless(picture([{ event: 'snapshot', id: null, data: stage.status() }]))
    for (const viewer of viewers) {
      t.same(timeless(picture(viewer.sent)), expected, `seed ${seed}`)
      t.same(numbersOf(viewer), range(numbersOf(viewer)[0] ?? 1, stage.journal.last), 'and no record is left out')
      viewer.leave()
    }
    t.ok(viewers.some(viewer => viewer.of('stats').length > 10), 'there was something to apply')
  }
})

t.test('guards are those of the other routes, and there is no HEAD', async t => {
  const gateway = await startGateway(t, { peers: { shop: { [A]: {} } } })
  for (const [name, value] of Object.entries({ 'x-forwarded-for': '1.2.3.4', host: 'evil.example', forwarded: 'for=1.2.3.4' })) {
    t.equal((await gateway.send('/_upstreams/events', { headers: { [name]: value } })).status, 404, name)
  }
  t.equal((await gateway.send('/_upstreams/events', { method: 'HEAD' })).status, 404)
  t.equal((await gateway.app.inject({ url: '/_upstreams/events', remoteAddress: '10.1.1.1' })).statusCode, 404)
  const hooked = await startGateway(t, { peers: {}, inspect: { onRequest: async (_request, reply) => { await reply.code(403).send('no') } } })
  t.equal((await hooked.send('/_upstreams/events')).status, 403)
  const off = await startGateway(t, { peers: {}, inspect: false })
  t.equal((await off.send('/_upstreams/events')).status, 404)
})

t.test('HTTP/2 clients read the same', async t => {
  const stage = await startStage(t, { http2: true })
  stage.registry.list([])
  stage.put(`shop/${A}`)
  const viewer = await lookByHttp2(t, stage.url)
  t.equal(viewer.headers['connection'], undefined)
  await viewer.next('snapshot')
  chat(stage, 3)
  stage.tick()
  await viewer.next('stats')
  t.same(viewer.sent.map(({ event }) => event), ['hello', 'snapshot', 'peer', 'peer', 'peer', 'stats'])
  viewer.leave()
  await until(() => {
    const before = stage.asked
    stage.tick()
    return stage.asked === before
  }, { what: 'rest after it has left' })
})

t.test('one whose answer is another in the end, or who has left before it, takes no place', async t => {
  const gone = { is: false }
  const hooks = {
    preHandler: async (request: FastifyRequest) => {
      if (request.headers['x-slow'] !== undefined) await until(() => gone.is, { what: 'a client that has gone' })
    },
    onSend: async (request: FastifyRequest) => {
      if (request.headers['x-fail'] !== undefined) throw new Error('not this one')
    }
  }
  const gateway = await startGateway(t, { peers: { shop: { [A]: {} } }, inspect: { access: 'all', ...hooks } })
  for (let i = 0; i < 70; i++) t.equal((await gateway.send('/_upstreams/events', { headers: { 'x-fail': '' } })).status, 500)
  const { port } = new URL(gateway.url)
  const sockets = Array.from({ length: 70 }, () => connect(Number(port), '127.0.0.1'))
  await Promise.all(sockets.map(async socket => {
    await once(socket, 'connect')
    socket.on('error', () => {})
    await new Promise(resolve => socket.write('GET /_upstreams/events HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: 1\r\n\r\n', resolve))
  }))
  const connections = async (): Promise<number> => await new Promise((resolve, reject) => {
    gateway.app.server.getConnections((error, count) => error === null ? resolve(count) : reject(error))
  })
  await until(async () => await connections() >= 70)
  for (const socket of sockets) socket.destroy()
  await until(async () => await connections() < 5)
  gone.is = true
  await until(async () => (await look(t, gateway.url)).status === 200, { what: 'room' })
  const rest = await Promise.all(Array.from({ length: 60 }, () => look(t, gateway.url)))
  t.same(new Set(rest.map(({ status }) => status)), new Set([200]))
})
