import t from 'tap'
import { startEtcd } from '../fixtures/etcd.js'
import { startGateway } from '../fixtures/gateway.js'
import { startPeer } from '../fixtures/peer.js'
import { until } from '../fixtures/wait.js'

const PREFIX = '/v1/testing/services/'
const SERVICE = 'my_test_service'

t.test('values of the README, put by etcdctl, give exact shares', async t => {
  const etcd = await startEtcd(t)
  const peers = await Promise.all([startPeer(t), startPeer(t), startPeer(t)])
  const [a, b, c] = peers
  const put = (id: string, value: string) => etcd.etcdctl('put', `${PREFIX}${SERVICE}/${id}`, value)
  await put(a.id, '{"weight": 3, "slow_start": 30, "checkurl": "/health"}')
  await put(b.id, '{"weight": 4, "slow_start": 30, "checkurl": "/health"}')
  await put(c.id, '{"weight": 5, "slow_start": 30, "checkurl": "/health"}')
  const { app, sendMany } = await startGateway(t, { etcd: etcd.endpoint, keyPrefix: PREFIX, routes: [{ prefix: '/shop', service: SERVICE }] })
  // The checks of the peers are requests too.
  const asked = (peer: typeof a) => peer.requests.filter(({ url }) => url !== '/health').length

  const answers = await sendMany(24, '/shop/x')
  t.same(new Set(answers.map(({ status }) => status)), new Set([200]))
  t.same(peers.map(asked), [6, 8, 10], '3:4:5 over 24 requests')

  await put(a.id, '{"weight": 5}')
  await put(b.id, '{"weight": 1}')
  await put(c.id, '{"weight": 1}')
  await until(() => app.upstreams.show(SERVICE).peers.map(peer => peer.weight).sort().join() === '1,1,5', { what: 'the new weights' })
  const names = new Map([[a.id, 'a'], [b.id, 'b'], [c.id, 'c']])
  const sequence = (await sendMany(14, '/shop/x')).map(({ headers }) => names.get(String(headers['x-peer']))).join('')
  const turned = ['aabacaa', 'aacabaa'].some(cycle => cycle.repeat(4).includes(sequence))
  t.ok(turned, `5:1:1 is a a b a c a a from some point of the cycle, got ${sequence}`)

  await put(a.id, '{"weight": 4, "status": "down"}')
  await until(() => app.upstreams.show(SERVICE).peers.some(peer => peer.status === 'down'), { what: 'the peer set down' })
  const before = asked(a)
  await sendMany(10, '/shop/x')
  t.equal(asked(a), before, 'a peer set down gets nothing')
  t.equal(app.upstreams.show(SERVICE).peers.find(peer => peer.port === a.port)?.weight, 4)
})

t.test('picks interleaved with registry changes stay fair', async t => {
  const etcd = await startEtcd(t)
  const ids = ['127.0.0.1:1', '127.0.0.1:2', '127.0.0.1:3', '127.0.0.1:4']
  for (const id of ids) await etcd.put(`${PREFIX}${SERVICE}/${id}`, '{"weight": 1}')
  const { app } = await startGateway(t, { etcd: etcd.endpoint, keyPrefix: PREFIX })
  const picked = new Map(ids.map(id => [id, 0]))
  const changes = 100
  for (let i = 0; i < changes; i++) {
    const revision = await etcd.put(`${PREFIX}${SERVICE}/${ids[0]}`, JSON.stringify({ weight: 1, round: i }))
    await until(() => BigInt(app.upstreams.show(SERVICE).version) >= revision, { what: `change ${i}` })
    const pick = app.upstreams.pick(SERVICE)
    pick?.done({ status: 200, ms: 1 })
    picked.set(pick?.peer.id ?? '', (picked.get(pick?.peer.id ?? '') ?? 0) + 1)
  }
  t.same([...picked.values()], [25, 25, 25, 25], 'a change before each pick does not send everything to one peer')
})

t.test('every kind of change is seen by the next pick', async t => {
  const etcd = await startEtcd(t)
  const key = (id: string) => `${PREFIX}${SERVICE}/${id}`
  await etcd.put(key('127.0.0.1:1'), '{}')
  const { app } = await startGateway(t, { etcd: etcd.endpoint, keyPrefix: PREFIX })
  const words = () => app.upstreams.show(SERVICE).peers.map(peer => `${peer.port}=${peer.weight}/${peer.status}`).join()
  const kinds: Array<[() => Promise<bigint>, string]> = [
    [() => etcd.put(key('127.0.0.1:2'), '{"weight": 2}'), '1=1/up,2=2/up'],
    [() => etcd.put(key('127.0.0.1:2'), '{"weight": 7}'), '1=1/up,2=7/up'],
    [() => etcd.put(key('127.0.0.1:2'), '{"weight": 7, "status": "down"}'), '1=1/up,2=7/down'],
    [() => etcd.del(key('127.0.0.1:2')), '1=1/up']
  ]
  const delays: number[] = []
  for (let round = 0; round < 50; round++) {
    for (const [change, expected] of kinds) {
      await change()
      const answered = performance.now()
      await until(() => words() === expected, { what: expected })
      delays.push(performance.now() - answered)
    }
  }
  const median = delays.sort((x, y) => x - y)[delays.length / 2] ?? Infinity
  t.comment(`200 changes, seen after ${median.toFixed(1)} ms at the median, ${delays.at(-1)?.toFixed(1)} ms at most`)
  t.ok(median < 100, 'within 100 ms of the answer of etcd, at the median')
})
