import t from 'tap'
import { Etcd3 } from 'etcd3'
import { startActions } from '../fixtures/actions.js'
import { startEtcd } from '../fixtures/etcd.js'
import { until } from '../fixtures/wait.js'

const PREFIX = '/services/shop/'
const A = '127.0.0.1:1'
const B = '127.0.0.1:2'

t.test('in the registry: what was asked for changes there, everything else and the lease stay', async t => {
  const etcd = await startEtcd(t)
  const client = new Etcd3({ hosts: etcd.endpoint })
  t.teardown(() => client.close())
  const lease = client.lease(60)
  await lease.put(PREFIX + A).value('{ "weight": 3, "zone": "z", "params": {"n": 12345678901234567890}, "mine": [1] }')
  await etcd.put(PREFIX + B, '{"Metadata":{"weight":5,"status":"up","check_url":"/up"},"Params":{"a":1}}')
  const { patch, gateway, actions } = await startActions(t, { etcd: etcd.endpoint })
  const leaseId = await lease.grant()

  const one = await patch(A, { weight: 0.5, status: 'drain', scope: 'registry', reason: 'too slow' })
  t.match([one.status, JSON.parse(one.body)], [200, { id: A, state: 'draining', reason: 'the registry says drain', until: null, weight: { configured: 0.5 }, zone: 'z', registration: { lease: leaseId, params: { mine: [1] } } }])
  const two = await patch(B, { weight: 2, scope: 'registry' })
  t.match([two.status, JSON.parse(two.body)], [200, { id: B, eligible: true, weight: { configured: 2, effective: 2 }, registration: { params: { a: 1 } } }])
  t.same(Object.fromEntries(await etcd.all(PREFIX, 2000)), {
    [PREFIX + A]: '{ "weight": 0.5, "zone": "z", "params": {"n": 12345678901234567890}, "mine": [1] ,"status":"drain"}'.replace('] ,', '],').replace('"drain"}', '"drain" }'),
    [PREFIX + B]: '{"Metadata":{"weight":2,"status":"up","check_url":"/up"},"Params":{"a":1}}'
  })
  t.same(actions().map(({ action: { at: _at, ...rest } }: { action: Record<string, unknown> }) => rest), [
    { service: 'shop', peer: A, by: 'alice', what: 'drain and weight 0.5 in the registry', reason: 'too slow', until: null },
    { service: 'shop', peer: B, by: 'alice', what: 'weight 2 in the registry', reason: null, until: null }
  ])
  const { kvs: [kv] } = await client.kv.range({ key: Buffer.from(PREFIX + A) })
  t.equal(kv?.lease, leaseId)
  await lease.revoke()
  await until(() => gateway.app.upstreams.show('shop').peers.length === 1, { what: 'the end of the peer with its lease' })
})

t.test('several at the same time: one is first, the others are told', async t => {
  const etcd = await startEtcd(t)
  await etcd.put(PREFIX + A, '{"weight":1}')
  await etcd.put(PREFIX + B, '{"weight":1}')
  const gate: Array<() => void> = []
  const { patch, actions } = await startActions(t, { etcd: etcd.endpoint }, { actions: { authorize: async () => await new Promise(resolve => gate.push(() => resolve('alice'))) } })
  const open = async (n: number): Promise<void> => {
    await until(() => gate.length === n, { what: `${n} requests` })
    for (const pass of gate.splice(0)) pass()
  }
  const all = [2, 3, 4, 5].map(async weight => await patch(A, { weight, scope: 'registry' }))
  await open(4)
  const answers = await Promise.all(all)
  t.same(answers.map(({ status }) => status).sort(), [200, 409, 409, 409])
  for (const { status, body } of answers) if (status === 409) t.match(JSON.parse(body).message, /was changed meanwhile/)
  t.equal(actions().length, 1, 'only what was done is told')
  const won = answers.find(({ status }) => status === 200)
  t.same((await etcd.all(PREFIX, 2000)).get(PREFIX + A), `{"weight":${JSON.parse(won?.body ?? '').weight.configured}}`)

  const outs = [patch(A, { status: 'drain', scope: 'registry' }), patch(B, { status: 'down', scope: 'registry' })]
  await open(2)
  t.same((await Promise.all(outs)).map(({ status }) => status).sort(), [200, 409], 'two that are the last but one cannot both leave')
  t.equal([...(await etcd.all(PREFIX, 2000)).values()].filter(value => /drain|down/.test(value)).length, 1)
})

t.test('what has changed at etcd and is not known here is not written over', async t => {
  const etcd = await startEtcd(t)
  await etcd.put(PREFIX + A, '{"weight":1}')
  await etcd.put(PREFIX + B, '{"weight":1}')
  let change = async (): Promise<void> => {}
  const { patch, gateway } = await startActions(t, { etcd: etcd.endpoint }, { actions: { authorize: () => 'alice' } })
  const { upstreams } = gateway.app
  // Between our look and our transaction: the first read of the key is followed by somebody's write.
  const proto = Object.getPrototypeOf(new Etcd3({ hosts: etcd.endpoint }).kv) as { range: (...given: unknown[]) => Promise<unknown> }
  const { range } = proto
  t.teardown(() => { proto.range = range })
  proto.range = async function (this: unknown, ...given) {
    const answer = await Reflect.apply(range, this, given) as unknown
    const { key, limit } = given[0] as { key: Buffer, limit?: number }
    if (limit === undefined && String(key) === PREFIX + A) await change()
    return answer
  }
  change = async () => {
    change = async () => {}
    await etcd.put(PREFIX + A, '{"weight":7,"mine":true}')
  }
  t.match(JSON.parse((await patch(A, { weight: 2, scope: 'registry' })).body), { statusCode: 409, message: 'its registration was changed meanwhile; look again' })
  await until(() => upstreams.show('shop').peers[0]?.weight === 7, { what: 'the other\'s change' })
  t.equal((await etcd.all(PREFIX, 2000)).get(PREFIX + A), '{"weight":7,"mine":true}')
  t.equal((await patch(A, { weight: 2, scope: 'registry' })).status, 200)
  t.equal((await etcd.all(PREFIX, 2000)).get(PREFIX + A), '{"weight":2,"mine":true}')
})

t.test('layouts of others are left alone', async t => {
  const etcd = await startEtcd(t)
  await etcd.put(`${PREFIX}a`, `{"Op":0,"Addr":"${A}","Metadata":{"weight":1}}`)
  await etcd.put(`${PREFIX}b`, B)
  const { patch } = await startActions(t, { etcd: etcd.endpoint })
  for (const peer of [A, B]) {
    const { status, body } = await patch(peer, { status: 'down', scope: 'registry' })
    t.same([status, JSON.parse(body).message], [409, 'its registration is in a layout that cannot be changed here'])
  }
  t.equal((await patch(A, { status: 'down' })).status, 200, 'on this gateway they can be')
})

t.test('without etcd nothing is promised', async t => {
  const etcd = await startEtcd(t)
  await etcd.put(PREFIX + A, '{}')
  await etcd.put(PREFIX + B, '{}')
  const { patch, actions } = await startActions(t, { etcd: { hosts: etcd.endpoint, timeout: 500 } })
  await etcd.kill()
  const { status, body } = await patch(A, { status: 'down', scope: 'registry' })
  t.equal(status, 503)
  t.match(JSON.parse(body).message, /^etcd \(/)
  t.match(actions().map(({ action }) => action.what), ['down in the registry, without an answer'])
  t.equal((await patch(A, { status: 'down' })).status, 200, 'on this gateway it works all the same')
})

t.test('a gateway that may only read says so', async t => {
  const etcd = await startEtcd(t, { auth: { username: 'root', password: 'secret' } })
  await etcd.put(PREFIX + A, '{}')
  await etcd.put(PREFIX + B, '{}')
  await etcd.etcdctl('user', 'add', 'reader:secret')
  await etcd.etcdctl('role', 'add', 'reading')
  await etcd.etcdctl('role', 'grant-permission', 'reading', '--prefix=true', 'read', '/services/')
  await etcd.etcdctl('user', 'grant-role', 'reader', 'reading')
  const { patch, actions } = await startActions(t, { etcd: { hosts: etcd.endpoint, auth: { username: 'reader', password: 'secret' } } })
  const { status, body } = await patch(A, { weight: 2, scope: 'registry' })
  t.equal(status, 409)
  t.match(JSON.parse(body).message, /does not let this gateway write the key/)
  t.same(actions(), [])
})
