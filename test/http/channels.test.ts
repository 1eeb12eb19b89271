import { AsyncLocalStorage } from 'node:async_hooks'
import { subscribe, tracingChannel, unsubscribe } from 'node:diagnostics_channel'
import t, { type Test } from 'tap'
import { request } from 'undici'
import type { CheckMessage, PeerMessage, RegistryMessage } from '../../lib/http/news/channels.js'
import { beginTrace, type RequestTrace } from '../../lib/http/forward/tracing.js'
import { Exchange } from '../../lib/picker/exchange.js'
import { startActions } from '../fixtures/actions.js'
import { startEtcd } from '../fixtures/etcd.js'
import { startGateway } from '../fixtures/gateway.js'
import { refusedPort, startPeer } from '../fixtures/peer.js'
import { World } from '../fixtures/pure.js'
import { until } from '../fixtures/wait.js'

type Event = readonly [event: string, trace: RequestTrace]

const requests = tracingChannel<unknown, RequestTrace>('fastify-upstream-etcd.request')

/** All events of requests from here on. */
function listen (t: Pick<Test, 'teardown'>): Event[] {
  const events: Event[] = []
  const names = ['start', 'end', 'asyncStart', 'asyncEnd', 'error'] as const
  const told = Object.fromEntries(names.map(name => [name, (trace: RequestTrace) => { events.push([name, trace]) }])) as unknown as Parameters<typeof requests.subscribe>[0]
  requests.subscribe(told)
  t.teardown(() => { requests.unsubscribe(told) })
  return events
}

/** All messages of a plain channel from here on. */
function messagesOf<T> (t: Pick<Test, 'teardown'>, name: string): T[] {
  const messages: T[] = []
  const told = (message: unknown): void => { messages.push(message as T) }
  subscribe(`fastify-upstream-etcd:${name}`, told)
  t.teardown(() => { unsubscribe(`fastify-upstream-etcd:${name}`, told) })
  return messages
}

const over = (events: Event[], n: number) => until(() => events.filter(([name]) => name === 'asyncEnd').length === n, { what: `${n} requests over` })

t.test('nothing is made while nobody listens', async t => {
  const peer = await startPeer(t)
  const { send } = await startGateway(t, { peers: { shop: { [peer.id]: {} } }, routes: [{ prefix: '/', service: 'shop' }] })
  t.equal(beginTrace(new Exchange(new World().service), 'GET', null), null)
  t.equal((await send('/')).status, 200)
  const events = listen(t)
  await send('/')
  await over(events, 1)
  t.equal(new Set(events.map(([, trace]) => trace)).size, 1, 'the request before was not traced')
})

t.test('a request with its attempts, and where it began', async t => {
  const [good, refused] = [await startPeer(t), `127.0.0.1:${await refusedPort()}`]
  const { send } = await startGateway(t, { peers: { shop: { [good.id]: {}, [refused]: {} } }, routes: [{ prefix: '/', service: 'shop' }], outlier: false })
  const events = listen(t)
  await send('/a', { method: 'PUT', body: 'x' })
  await send('/b')
  await over(events, 2)
  const traces = [...new Set(events.map(([, trace]) => trace))]
  t.equal(traces.length, 2)
  for (const trace of traces) {
    t.same(events.filter(([, other]) => other === trace).map(([name]) => name), ['start', 'end', 'asyncStart', 'asyncEnd'])
    t.match(trace, { service: 'shop', status: 200, error: undefined, upstream: { peer: good.id } })
    t.equal(trace.attempts.at(-1)?.status, 200)
    t.equal((trace.request as { upstream?: unknown }).upstream, trace.upstream)
  }
  t.same(traces.map(({ method }) => method), ['PUT', 'GET'])
  const attempts = traces.flatMap(({ attempts }) => attempts)
  t.equal(attempts.length, 3, 'one of the two began at the peer that refuses')
  t.equal(attempts.filter(({ error }) => error === 'connect').length, 1)
})

t.test('what began it is the asynchronous context of its end', async t => {
  const peer = await startPeer(t)
  const spans = new AsyncLocalStorage<{ name: string }>()
  requests.start.bindStore(spans, trace => ({ name: `${trace.method} ${trace.service}` }))
  t.teardown(() => { requests.start.unbindStore(spans) })
  const seen: Array<string | undefined> = []
  const { send } = await startGateway(t, { peers: { shop: { [peer.id]: {} } }, routes: [{ prefix: '/', service: 'shop' }] }, app => {
    app.addHook('onSend', async () => { seen.push(spans.getStore()?.name) })
  })
  await send('/')
  await send('/', { method: 'POST', body: 'x' })
  t.same(seen, ['GET shop', 'POST shop'])
})

t.test('failures, each told once and before the end', async t => {
  let tear = (): void => {}
  const cut = await startPeer(t, { handler: request => { request.socket.destroy() } })
  const torn = await startPeer(t, {
    handler: (request, response) => {
      response.writeHead(200, { 'content-length': '10' }).write('1')
      tear = () => { request.socket.destroy() }
    }
  })
  const slow = await startPeer(t, { delay: 60_000 })
  const { send, app, url } = await startGateway(t, {
    peers: { cut: { [cut.id]: {} }, torn: { [torn.id]: {} }, slow: { [slow.id]: {} } },
    routes: ['cut', 'torn', 'slow', 'empty'].map(service => ({ prefix: `/${service}`, service })),
    retry: false
  })
  const events = listen(t)
  await send('/cut')
  await send('/empty')
  app.upstreams.shed('slow', 1)
  await send('/slow')
  app.upstreams.shed('slow', 0)
  const { body } = await request(`${url}/torn`)
  tear()
  await t.rejects(body.text())
  const leaving = new AbortController()
  const left = fetch(`${url}/slow`, { signal: leaving.signal })
  left.catch(() => {})
  await until(() => slow.hits === 1)
  leaving.abort()
  await t.rejects(left)
  await over(events, 5)
  const of = (i: number): [string, string[], number | null, unknown] => {
    const trace = [...new Set(events.map(([, trace]) => trace))][i]
    return [trace?.service ?? '', events.filter(([, other]) => other === trace).map(([name]) => name), trace?.status ?? null, trace?.error]
  }
  const late = ['start', 'end', 'error', 'asyncStart', 'asyncEnd']
  const early = ['start', 'error', 'end', 'asyncStart', 'asyncEnd']
  t.match(of(0), ['cut', late, 502, { code: 'FST_UPSTREAM_RESET' }])
  t.match(of(1), ['empty', early, 503, { code: 'FST_UPSTREAM_NO_PEER' }])
  t.match(of(2), ['slow', early, 503, { code: 'FST_UPSTREAM_SHED' }])
  t.match(of(3), ['torn', late, 502, { message: 'the answer stopped in the middle', statusCode: 502 }])
  t.match(of(4), ['slow', late, 499, { statusCode: 499 }])
})

t.test('requests by the dispatcher are traced as well', async t => {
  const peer = await startPeer(t)
  const { app } = await startGateway(t, { peers: { shop: { [peer.id]: {} }, empty: {} } })
  const events = listen(t)
  const { dispatcher } = app.upstreams
  const { body } = await request(app.upstreams.origin('shop'), { dispatcher })
  await body.text()
  app.upstreams.shed('shop', 1)
  await t.rejects(request(app.upstreams.origin('shop'), { dispatcher }))
  const [one, two] = [...new Set(events.map(([, trace]) => trace))]
  t.match(one, { service: 'shop', method: 'GET', request: null, status: 200, error: undefined, attempts: [{ peer: peer.id, status: 200 }] })
  t.match(two, { service: 'shop', status: 503, error: { code: 'FST_UPSTREAM_SHED' } })
  t.same(events.filter(([, trace]) => trace === one).map(([name]) => name), ['start', 'end', 'asyncStart', 'asyncEnd'])
  t.same(events.filter(([, trace]) => trace === two).map(([name]) => name), ['start', 'error', 'asyncStart', 'asyncEnd', 'end'])
})

t.test('changes of the registry, and its states', async t => {
  const etcd = await startEtcd(t)
  await etcd.put('/services/shop/127.0.0.1:1', '')
  const [peers, states] = [messagesOf<PeerMessage>(t, 'peer'), messagesOf<RegistryMessage>(t, 'registry')]
  const { app } = await startGateway(t, { etcd: etcd.endpoint })
  await etcd.put('/services/shop/127.0.0.1:1', '{"weight": 2}')
  await app.upstreams.applied(await etcd.del('/services/shop/127.0.0.1:1'))
  t.same(peers.map(({ service, peer, event, cause, reason, until }) => [service, peer, event, cause, reason, until]),
    ['added', 'changed', 'removed'].map(event => ['shop', '127.0.0.1:1', event, null, null, null]))
  t.ok(peers.every(({ since }) => Math.abs(Date.now() - since) < 60_000))
  await etcd.kill()
  await until(() => states.at(-1)?.state === 'stale', { what: 'the stale registry', timeout: 20_000 })
  t.same(states.map(({ was }) => was), [null, ...states.slice(0, -1).map(({ state }) => state)], 'from one to the next')
  t.same(states.map(({ state }) => state).slice(-2), ['live', 'stale'])
  t.type(states.at(-1)?.lastError, 'string')
})

t.test('verdicts and checks', async t => {
  const peer = await startPeer(t, { status: 500 })
  const [peers, checks] = [messagesOf<PeerMessage>(t, 'peer'), messagesOf<CheckMessage>(t, 'check')]
  await startGateway(t, { peers: { shop: { [peer.id]: {}, '127.0.0.1:1': {} } }, check: { path: '/up', interval: 50, fall: 2 }, panic: 0 })
  await until(() => peers.filter(({ event }) => event === 'down').length === 2, { what: 'two verdicts' })
  const down = peers.find(message => message.event === 'down' && message.peer === peer.id)
  t.match(down, { service: 'shop', cause: 'checks', reason: /500/, until: null })
  const own = checks.filter(message => message.peer === peer.id)
  t.ok(own.length >= 2)
  t.match(own[0], { service: 'shop', ok: false, status: 500, error: 'GET /up answered 500' })
  t.match(checks.find(message => message.peer !== peer.id), { ok: false, status: null, error: /ECONNREFUSED/ })
  t.ok(own.length <= peer.hits && checks.every(({ ms, at }) => ms >= 0 && Math.abs(Date.now() - at) < 60_000))
})

t.test('actions of operators', async t => {
  const peers = messagesOf<PeerMessage>(t, 'peer')
  const { patch } = await startActions(t, { peers: { shop: { '127.0.0.1:1': {}, '127.0.0.1:2': {} } } })
  const before = Date.now()
  t.equal((await patch('127.0.0.1:1', { status: 'drain', reason: 'new disk', for: 60_000 })).status, 200)
  const message = peers.find(({ event }) => event === 'action')
  t.match(message, { service: 'shop', peer: '127.0.0.1:1', cause: null, reason: 'drain on this gateway by alice (new disk)' })
  t.ok(Number(message?.until) - before >= 59_000)
})
