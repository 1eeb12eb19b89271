import { connect } from 'node:net'
import type { IncomingMessage, ServerResponse } from 'node:http'
import t, { type Test } from 'tap'
import { fetch } from 'undici'
import type { ServiceOptions } from '../../lib/index.js'
import { startGateway, type Answer, type TestGateway } from '../fixtures/gateway.js'
import { startPeer, type TestPeer } from '../fixtures/peer.js'
import { until } from '../fixtures/wait.js'

/** A peer that answers when it is told to. */
interface SlowPeer { peer: TestPeer, waiting: Array<{ url: string, answer: () => void }> }

async function slowPeer (t: Test): Promise<SlowPeer> {
  const waiting: SlowPeer['waiting'] = []
  const handler = (request: IncomingMessage, response: ServerResponse): void => {
    request.resume()
    waiting.push({ url: request.url ?? '', answer: () => { response.end(request.url) } })
  }
  return { peer: await startPeer(t, { handler }), waiting }
}

async function stage (t: Test, service: ServiceOptions, count = 1): Promise<{ gateway: TestGateway, peers: SlowPeer[] }> {
  const peers = await Promise.all(Array.from({ length: count }, () => slowPeer(t)))
  const gateway = await startGateway(t, {
    peers: { shop: Object.fromEntries(peers.map(({ peer }) => [peer.id, {}])) },
    services: { shop: { outlier: false, ...service } },
    routes: [{ prefix: '/', service: 'shop' }]
  })
  return { gateway, peers }
}

const shop = (gateway: TestGateway) => gateway.app.upstreams.status().services[0]
const queued = (gateway: TestGateway, n: number): Promise<unknown> => until(() => shop(gateway)?.queued === n, { what: `${n} in the queue` })
const arrived = (peer: SlowPeer | undefined, n: number): Promise<unknown> => until(() => peer?.waiting.length === n, { what: `${n} requests at the peer` })

t.test('what no peer has room for waits, and goes on in its order', async t => {
  const { gateway, peers: [peer] } = await stage(t, { limits: { maxInflight: 1, queue: 4, queueTimeout: 20_000 } })
  const done: string[] = []
  const answers: Array<Promise<Answer>> = []
  for (const path of ['/a', '/b', '/c', '/d', '/e']) {
    answers.push(gateway.send(path).then(answer => { done.push(path); return answer }))
    await until(() => shop(gateway)?.inflight === 1 && shop(gateway)?.queued === answers.length - 1)
  }
  t.match(shop(gateway), { inflight: 1, queued: 4, peers: [{ maxInflight: 1 }] })
  const tooMany = await gateway.send('/f')
  t.equal(tooMany.status, 503)
  t.match(JSON.parse(tooMany.body), { code: 'FST_UPSTREAM_QUEUE_FULL' })
  t.equal(tooMany.headers['retry-after'], '1')
  for (let i = 1; i <= 5; i++) {
    await arrived(peer, i)
    peer?.waiting[i - 1]?.answer()
  }
  t.same((await Promise.all(answers)).map(({ status }) => status), [200, 200, 200, 200, 200])
  t.same(done, ['/a', '/b', '/c', '/d', '/e'])
  t.same(peer?.waiting.map(({ url }) => url), ['/a', '/b', '/c', '/d', '/e'], 'and so the peer saw them')
  t.match(shop(gateway), { inflight: 0, queued: 0 })
})

t.test('who waits too long is told so, and a client that leaves has left the queue', async t => {
  const { gateway, peers: [peer] } = await stage(t, { limits: { maxInflight: 1, queue: 2, queueTimeout: 300 } })
  const first = gateway.send('/first')
  await arrived(peer, 1)
  const late = gateway.send('/late')
  await queued(gateway, 1)
  const client = connect(Number(new URL(gateway.url).port), '127.0.0.1')
  client.write('GET /left HTTP/1.1\r\nHost: h\r\n\r\n')
  await queued(gateway, 2)
  client.destroy()
  await queued(gateway, 1)
  const answer = await late
  t.equal(answer.status, 503)
  t.match(JSON.parse(answer.body), { code: 'FST_UPSTREAM_QUEUE_FULL' })
  await queued(gateway, 0)
  peer?.waiting[0]?.answer()
  t.equal((await first).status, 200)
  const next = gateway.send('/next')
  await arrived(peer, 2)
  peer?.waiting[1]?.answer()
  t.equal((await next).status, 200)
  t.same(peer?.waiting.map(({ url }) => url), ['/first', '/next'], 'the peer never heard of those that gave up')
})

t.test('without a queue the bound is a refusal, and a peer\'s own bound goes before the service\'s', async t => {
  const peers = [await slowPeer(t), await slowPeer(t)]
  const gateway = await startGateway(t, {
    peers: { shop: { [peers[0]?.peer.id ?? '']: { max_inflight: 2 }, [peers[1]?.peer.id ?? '']: {} } },
    limits: { maxInflight: 1 },
    routes: [{ prefix: '/', service: 'shop' }]
  })
  const sent = [gateway.send('/1'), gateway.send('/2'), gateway.send('/3')]
  await until(() => (peers[0]?.waiting.length ?? 0) + (peers[1]?.waiting.length ?? 0) === 3)
  t.same(peers.map(({ waiting }) => waiting.length), [2, 1])
  t.match(JSON.parse((await gateway.send('/4')).body), { code: 'FST_UPSTREAM_QUEUE_FULL' })
  for (const { waiting } of peers) for (const { answer } of waiting) answer()
  t.same((await Promise.all(sent)).map(({ status }) => status), [200, 200, 200])
})

t.test('the whole time counts the wait: 504 when that is over', async t => {
  const { gateway, peers: [peer] } = await stage(t, { limits: { maxInflight: 1, queue: 1, queueTimeout: 20_000 }, timeouts: { total: 250 } })
  const first = gateway.send('/first')
  await arrived(peer, 1)
  const answer = await gateway.send('/late')
  t.equal(answer.status, 504)
  t.match(JSON.parse(answer.body), { code: 'FST_UPSTREAM_TIMEOUT' })
  t.equal((await first).status, 504)
  await queued(gateway, 0)
})

t.test('a request that could not connect waits for who has room; its body is not lost', async t => {
  const { gateway, peers } = await stage(t, { limits: { maxInflight: 1, queue: 4, queueTimeout: 20_000 }, retry: { attempts: 2 } }, 2)
  const [busy, gone] = peers as [SlowPeer, SlowPeer]
  await gone.peer.kill()
  const first = gateway.send('/first', { method: 'POST', body: 'one' })
  await arrived(busy, 1)
  const second = gateway.send('/second', { method: 'POST', body: 'two' })
  await queued(gateway, 1)
  busy.waiting[0]?.answer()
  await arrived(busy, 2)
  busy.waiting[1]?.answer()
  t.same((await Promise.all([first, second])).map(({ status, body }) => [status, body]), [[200, '/first'], [200, '/second']])
})

t.test('what the dispatcher sends waits as well, and an operator who drains the last peer strands nobody for longer than the queue\'s time', async t => {
  const { gateway, peers: [peer] } = await stage(t, { limits: { maxInflight: 1, queue: 4, queueTimeout: 20_000 } })
  const { upstreams } = gateway.app
  const first = gateway.send('/first')
  await arrived(peer, 1)
  const second = fetch(`${upstreams.origin('shop')}/second`, { dispatcher: upstreams.dispatcher })
  await queued(gateway, 1)
  peer?.waiting[0]?.answer()
  await arrived(peer, 2)
  peer?.waiting[1]?.answer()
  t.equal(await (await second).text(), '/second')
  t.equal((await first).status, 200)
})

t.test('a thousand requests through three at a time: none lost, none at the same time too many', async t => {
  let [now, most] = [0, 0]
  const handler = (request: IncomingMessage, response: ServerResponse): void => {
    request.resume()
    most = Math.max(most, ++now)
    setImmediate(() => { now--; response.end('ok') })
  }
  const peer = await startPeer(t, { handler })
  const gateway = await startGateway(t, {
    peers: { shop: { [peer.id]: { max_inflight: 3 } } },
    limits: { queue: 1000, queueTimeout: 30_000 },
    routes: [{ prefix: '/', service: 'shop' }]
  })
  const answers = await Promise.all(Array.from({ length: 1000 }, (_, i) => gateway.send(`/${i}`)))
  t.ok(answers.every(({ status }) => status === 200))
  t.ok(most <= 3, `${most} at the same time`)
  t.equal(peer.hits, 1000)
})
