import t from 'tap'
import { ears } from '../../lib/http/news/ears.js'
import { difference } from '../../lib/http/news/difference.js'
import { Journal, type Happening, type Numbered } from '../../lib/http/news/journal.js'
import { numberOf, recordOf, type UpstreamRecord } from '../../lib/http/news/records.js'
import type { UpstreamEtcdOptions } from '../../lib/index.js'
import { startEtcd } from '../fixtures/etcd.js'
import { startGateway, type TestGateway } from '../fixtures/gateway.js'
import { startPeer } from '../fixtures/peer.js'
import { freePort } from '../fixtures/port.js'
import { peer, T0 } from '../fixtures/pure.js'
import { until } from '../fixtures/wait.js'

const A = '127.0.0.1:1'
const B = '127.0.0.1:2'

const happening = (fields: Partial<Happening> = {}): Happening => ({ type: 'peer', at: T0, service: 'shop', peer: A, scheme: 'http', event: 'added', state: 'healthy', cause: null, reason: null, since: null, until: null, revision: null, what: null, by: null, ...fields })

async function start (t: Parameters<typeof startGateway>[0], options: Partial<UpstreamEtcdOptions> = {}): Promise<TestGateway> {
  return await startGateway(t, { peers: { shop: { [A]: {}, [B]: {} } }, check: false, ...options })
}

function hear (gateway: TestGateway, ...types: Array<UpstreamRecord['type']>): UpstreamRecord[] {
  const heard: UpstreamRecord[] = []
  for (const type of types.length > 0 ? types : ['peer', 'service', 'registry'] as const) gateway.app.upstreams.on(type, record => { heard.push(record) })
  return heard
}

t.test('a record has every field: times ISO, 64-bit numbers strings, unknown null', async t => {
  const journal = new Journal()
  t.same(recordOf('e', journal.add(happening())), {
    id: 'e-1', type: 'peer', at: '2023-11-14T22:13:20.000Z', service: 'shop', peer: A, scheme: 'http', event: 'added', state: 'healthy', cause: null, reason: null, since: null, until: null, revision: null, what: null, by: null
  })
  t.match(recordOf('e', journal.add(happening({ since: T0, until: T0 + 1500, revision: 2n ** 63n - 1n }))), {
    id: 'e-2', since: '2023-11-14T22:13:20.000Z', until: '2023-11-14T22:13:21.500Z', revision: '9223372036854775807'
  })
})

t.test('only ids of this run are numbers', async t => {
  t.equal(numberOf('e1', 'e1-7'), 7)
  for (const id of ['', 'e1', 'e1-', 'e2-7', 'e1-x', 'e1--7', 'e1-7.5', 'e1-7e3', ' e1-7', 'e1-7\n', 'e1-9999999999999999', 'e1-7, e1-8', '__proto__-1', 'undefined']) t.equal(numberOf('e1', id), null, JSON.stringify(id))
})

t.test('the journal numbers, keeps a thousand and fifty of each service, and knows what it has forgotten', async t => {
  const journal = new Journal()
  t.same(journal.after(0), [])
  t.equal(journal.after(1), null, 'not given yet')
  for (let i = 1; i <= 4321; i++) journal.add(happening({ service: i % 2 === 0 ? 'shop' : null }))
  t.equal(journal.last, 4321)
  t.same(journal.after(4319)?.map(({ n }) => n), [4320, 4321])
  t.equal(journal.after(3321)?.length, 1000)
  t.equal(journal.after(3320), null)
  t.same(journal.latest(2).map(({ n }) => n), [4320, 4321])
  t.same([journal.of('shop').length, journal.of('shop').at(-1)?.n], [50, 4320])
  journal.drop('shop')
  t.same([journal.of('shop'), journal.of('nobody')], [[], []])
})

t.test('what differs, in words', async t => {
  const was = peer('a')
  t.equal(difference(was, peer('a', { params: { x: 1 } })), 'params')
  t.equal(difference(was, peer('a', { weight: 3, status: 'drain' })), 'weight 1 → 3, status up → drain')
  t.equal(difference(was, peer('a', { checkUrl: '/up', zone: 'z', startAt: T0, params: { x: 1 } })), 'checkUrl none → /up, zone none → z, startAt none → 2023-11-14T22:13:20.000Z')
  t.equal(difference(peer('a', { zone: 'z', slowStart: 5000, priority: 1, maxInflight: 3 }), was), 'slowStart 5000 → 0, priority 1 → 0, zone z → none, maxInflight 3 → 0')
})

t.test('who listens: all, in order, and nobody is stopped by another', async t => {
  const failures: unknown[] = []
  const { add, tell } = ears(error => { failures.push(error) })
  const heard: string[] = []
  const one = (n: number): Numbered => ({ ...happening(), n })
  tell(one(0))
  add(({ n }) => {
    heard.push(`a${n}`)
    if (n === 1) tell(one(2))
  })
  add(() => { throw new Error('thrown') })
  add(async () => { throw new Error('rejected') })
  add(() => ({ then: (_: unknown, no: (error: Error) => void) => no(new Error('of its own make')) }))
  const end = add(({ n }) => { heard.push(`b${n}`) })
  tell(one(1))
  t.same(heard, ['a1', 'b1', 'a2', 'b2'], 'what one of them caused comes after, for all')
  await until(() => failures.length === 6)
  t.same(new Set(failures.map(error => (error as Error).message)), new Set(['thrown', 'rejected', 'of its own make']))
  end()
  end()
  add(() => { last() })
  const last = add(() => { heard.push('gone already') })
  tell(one(3))
  t.same(heard.slice(4), ['a3'], 'who is let go by another hears no more')
})

t.test('what the application does: each record with its words, ids rising, and the state from then on', async t => {
  const gateway = await start(t)
  const { upstreams } = gateway.app
  const heard = hear(gateway)
  upstreams.cutdown('shop', A, 0.5, { for: 60_000 })
  await upstreams.drain('shop', A)
  upstreams.recover('shop', A)
  upstreams.shed('shop', 0.07)
  t.match(heard, [
    { type: 'peer', service: 'shop', peer: A, scheme: 'http', event: 'action', what: 'cut down to 0.5 of its weight', by: null, reason: null, cause: null, revision: null, state: 'unknown' },
    { type: 'peer', event: 'action', what: 'drained', state: 'draining' },
    { type: 'peer', event: 'action', what: 'recovered', until: null, state: 'unknown' },
    { type: 'service', service: 'shop', peer: null, scheme: null, event: 'action', what: '7 % of the requests refused', until: null, state: null }
  ])
  const [first] = heard
  t.equal(Date.parse(String(first?.until)) - Date.parse(String(first?.since)), 60_000)
  const numbers = heard.map(({ id }) => Number(id.split('-')[1]))
  t.same(numbers, numbers.map((_, i) => Number(numbers[0]) + i), 'and none is left out')
})

t.test('a listener that acts itself is heard after what it heard', async t => {
  const gateway = await start(t)
  const { upstreams } = gateway.app
  const drained: Array<Promise<void>> = []
  const order: string[] = []
  upstreams.on('peer', ({ what, peer }) => {
    order.push(`1: ${peer} ${what}`)
    if (what?.startsWith('cut') === true) drained.push(upstreams.drain('shop', B))
  })
  upstreams.on('peer', ({ what, peer }) => { order.push(`2: ${peer} ${what}`) })
  upstreams.cutdown('shop', A, 0.5)
  await Promise.all(drained)
  const cut = `${A} cut down to 0.5 of its weight`
  t.same(order, [`1: ${cut}`, `2: ${cut}`, `1: ${B} drained`, `2: ${B} drained`])
})

t.test('what a listener throws or rejects with is logged, and stops nobody', async t => {
  const lines: string[] = []
  const gateway = await startGateway(t, { peers: { shop: { [A]: {} } } }, () => {}, { logger: { level: 'error', stream: { write: line => { lines.push(line) } } } })
  const { upstreams } = gateway.app
  upstreams.on('peer', () => { throw new Error('thrown here') })
  upstreams.on('peer', async () => { throw new Error('rejected here') })
  const heard = hear(gateway, 'peer')
  upstreams.recover('shop', A)
  await until(() => lines.length === 2, { what: 'two lines' })
  t.match(lines.join(''), /thrown here[^]*rejected here/)
  t.match(lines.map(line => JSON.parse(line).msg), ['a listener of app.upstreams.on failed', 'a listener of app.upstreams.on failed'])
  t.equal(heard.length, 1)
  t.equal((await gateway.send('/_upstreams')).status, 200)
})

t.test('each kind is told to those who asked for it, until they end that', async t => {
  const gateway = await start(t)
  const { upstreams } = gateway.app
  const heard = { peer: 0, service: 0 }
  const end = upstreams.on('peer', () => { heard.peer++ })
  const listener = (): void => { heard.service++ }
  const ends = [upstreams.on('service', listener), upstreams.on('service', listener)]
  upstreams.recover('shop', A)
  upstreams.shed('shop', 0.5)
  t.same(heard, { peer: 1, service: 2 }, 'one that is there twice hears twice')
  end()
  ends[0]?.()
  upstreams.recover('shop', A)
  upstreams.shed('shop', 0)
  t.same(heard, { peer: 1, service: 3 })
})

t.test('bad arguments', async t => {
  const { app: { upstreams } } = await start(t)
  for (const event of ['', 'peers', 'stats', 'constructor', null, undefined, 7]) t.throws(() => upstreams.on(event as 'peer', () => {}), { code: 'FST_UPSTREAM_BAD_OPTION' }, String(event))
  for (const listener of [undefined, null, {}, 'x']) t.throws(() => upstreams.on('peer', listener as () => void), { code: 'FST_UPSTREAM_BAD_OPTION' }, String(listener))
})

t.test('a peer that is down and up again, and how its service is', async t => {
  const peer = await startPeer(t)
  const gateway = await startGateway(t, { peers: { shop: { [peer.id]: {} } }, routes: [{ prefix: '/', service: 'shop' }], retry: false, panic: 0, check: { path: '/up', interval: 20, timeout: 100, rise: 1, fall: 1, jitter: 0 } })
  await gateway.app.upstreams.whenReady('shop')
  const heard = hear(gateway, 'peer', 'service')
  peer.setStatus(500)
  await until(() => heard.some(({ event, state }) => event === 'state' && state === 'down'), { what: 'a dead service' })
  peer.setStatus(200)
  await until(() => heard.some(({ event, state }) => event === 'state' && state === 'healthy'), { what: 'a service that lives' })
  t.match(heard.map(({ type, event, state, cause }) => ({ type, event, state, cause })), [
    { type: 'peer', event: 'down', state: 'down', cause: 'checks' },
    { type: 'service', event: 'state', state: 'down', cause: null },
    { type: 'peer', event: 'up', state: 'healthy', cause: 'checks' },
    { type: 'service', event: 'state', state: 'healthy', cause: null }
  ])
  t.match(heard[1]?.reason, 'none of 1 peers is eligible')
})

t.test('a service whose peers are all drained is empty, and healthy again', async t => {
  const gateway = await start(t, { peers: { shop: { [A]: {} } } })
  const { upstreams } = gateway.app
  const heard = hear(gateway, 'service')
  await upstreams.drain('shop', A)
  await until(() => heard.length === 1, { what: 'a service that is empty' })
  upstreams.recover('shop', A)
  await until(() => heard.length === 2, { what: 'one that is not' })
  t.match(heard, [{ event: 'state', state: 'empty', reason: /on purpose/ }, { event: 'state', state: 'healthy', reason: null }])
})

t.test('panic and calm', async t => {
  const peers = [await startPeer(t), await startPeer(t)]
  const gateway = await startGateway(t, { peers: { shop: Object.fromEntries(peers.map(({ id }) => [id, {}])) }, panic: 0.8, check: { path: '/up', interval: 20, timeout: 100, rise: 1, fall: 1, jitter: 0 } })
  await gateway.app.upstreams.whenReady('shop')
  await until(() => gateway.app.upstreams.status().services[0]?.peersEligible === 2, { what: 'two eligible peers' })
  const heard = hear(gateway, 'service')
  const of = (event: string): UpstreamRecord | undefined => heard.find(record => record.event === event)
  peers[0]?.setStatus(500)
  await until(() => of('panic'), { what: 'panic' })
  peers[0]?.setStatus(200)
  await until(() => of('calm'), { what: 'calm' })
  t.match(of('panic'), { type: 'service', service: 'shop', peer: null, scheme: null, state: 'panic', cause: 'healthy_share', reason: /only 1 of 2/ })
  t.match(of('calm'), { state: 'healthy', cause: 'healthy_share', reason: '2 of 2 peers are healthy' })
})

t.test('an override that is over', async t => {
  const gateway = await start(t)
  const heard = hear(gateway, 'peer')
  gateway.app.upstreams.cutdown('shop', A, 0, { for: 30 })
  await until(() => heard.length === 2, { what: 'its end' })
  t.match(heard[1], { event: 'expire', peer: A, scheme: 'http', cause: 'override_over', reason: 'the override is over: cut down to 0 of its weight', state: 'unknown' })
})

t.test('what nobody has read yet is not told to be empty', async t => {
  const port = await freePort()
  const gateway = await startGateway(t, { etcd: `http://127.0.0.1:${port}`, start: { wait: 100 }, routes: [{ prefix: '/shop', service: 'shop' }] })
  await until(() => gateway.app.upstreams.status().registry.lastError !== null, { what: 'a first attempt that failed' })
  t.match(gateway.app.upstreams.status().services, [{ name: 'shop', state: 'empty', reason: 'the registry has not been read yet' }])
  await startEtcd(t, { port })
  await until(() => gateway.app.upstreams.ready, { what: 'a registry that was read', timeout: 20_000 })
  t.match(gateway.app.upstreams.status().services, [{ name: 'shop', state: 'empty', reason: 'no peer is registered' }])
  const events = async (): Promise<Array<{ reason: string }>> => JSON.parse((await gateway.send('/_upstreams/services/shop')).body).events
  const [first] = await until(async () => { const told = await events(); return told.length > 0 && told }, { what: 'an event' })
  t.equal(first?.reason, 'no peer is registered', 'and nothing was said before, for all the ticks that it took')
})
