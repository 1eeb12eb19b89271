import t from 'tap'
import { startActions } from '../fixtures/actions.js'
import { startPeer } from '../fixtures/peer.js'
import { until } from '../fixtures/wait.js'

const A = '127.0.0.1:1'
const B = '127.0.0.1:2'
const two = { shop: { [A]: { weight: 3 }, [B]: {} } }
const MINUTES = 60_000

/** How long from now on something lasts, ms. */
function lasts (end: unknown): number {
  return Date.parse(String(end)) - Date.now()
}

t.test('drain, down and weight, each for a quarter of an hour, and up ends them', async t => {
  const { patch, gateway, actions } = await startActions(t, { peers: two })
  const drained = await patch(A, { status: 'drain', reason: 'new disk' })
  t.equal(drained.status, 200)
  t.equal(drained.headers['cache-control'], 'no-store')
  const peer = JSON.parse(drained.body)
  t.match(peer, { id: A, state: 'draining', eligible: false, reason: 'drained by alice: new disk', weight: { configured: 3, effective: 0 } })
  t.ok(Math.abs(lasts(peer.until) - 15 * MINUTES) < MINUTES, 'a quarter of an hour')
  t.equal(gateway.app.upstreams.pick('shop', { tried: [B] }), undefined)

  const down = JSON.parse((await patch(A, { status: 'down', for: MINUTES })).body)
  t.match(down, { state: 'maintenance', eligible: false, reason: 'set down by alice' })
  t.ok(lasts(down.until) <= MINUTES)

  t.match(JSON.parse((await patch(A, { status: 'up' })).body), { state: 'unknown', eligible: true, reason: null, until: null, weight: { effective: 3 } })
  t.match(JSON.parse((await patch(A, { weight: 9.5 })).body), { eligible: true, weight: { configured: 3, effective: 9.5, expectedShare: 0.905, override: { weight: 9.5, reason: 'weight 9.5 by alice', since: String, until: String } } })
  t.match(JSON.parse((await patch(A, { weight: 0, reason: 'hot' })).body), { state: 'draining', eligible: false, reason: 'weight 0 by alice: hot' })
  t.match(JSON.parse((await patch(A, { status: 'up', weight: 2 })).body), { eligible: true, weight: { effective: 2 } }, 'both at once')
  gateway.app.upstreams.recover('shop', A)
  t.match(gateway.app.upstreams.status().services[0]?.peers[0]?.weight, { effective: 3, override: null }, 'recover ends them too')

  const told = actions()
  t.same(told.map(({ msg }) => msg.replace(/, until .*/, ' …')), [
    `shop ${A}: drain on this gateway by alice (new disk) …`,
    `shop ${A}: down on this gateway by alice …`,
    `shop ${A}: up on this gateway by alice`,
    `shop ${A}: weight 9.5 on this gateway by alice …`,
    `shop ${A}: weight 0 on this gateway by alice (hot) …`,
    `shop ${A}: up and weight 2 on this gateway by alice …`,
    `shop ${A}: recovered by the application`
  ], 'one line for each: who, what, why, until when')
  const { events } = JSON.parse((await gateway.send('/_upstreams/services/shop')).body)
  t.match(events.filter(({ event }: { event: string }) => event === 'action'), [
    { peer: A, what: 'drain on this gateway', by: 'alice', reason: 'new disk', until: peer.until, at: String },
    { what: 'down on this gateway', reason: null, until: down.until },
    { what: 'up on this gateway', until: null },
    { what: 'weight 9.5 on this gateway' },
    { what: 'weight 0 on this gateway' },
    { what: 'up and weight 2 on this gateway' }
  ])
})

t.test('an override ends by itself', async t => {
  const { patch, gateway } = await startActions(t, { peers: two })
  t.match(JSON.parse((await patch(A, { status: 'down', weight: 7, for: 50 })).body), { eligible: false })
  await until(() => gateway.app.upstreams.status().services[0]?.peers[0]?.eligible, { what: 'the end of the override' })
  await until(() => gateway.app.upstreams.status().services[0]?.peers[0]?.weight.effective === 3, { what: 'the end of the weight' })
})

t.test('requests go where the action says, and what is under way goes on', async t => {
  const [slow, other] = [await startPeer(t, { delay: 200 }), await startPeer(t)]
  const { patch, gateway } = await startActions(t, { peers: { shop: { [slow.id]: {}, [other.id]: {} } } })
  const busy = [gateway.send('/shop'), gateway.send('/shop')]
  await until(() => slow.hits === 1, { what: 'the slow request' })
  t.match(JSON.parse((await patch(slow.id, { status: 'drain' })).body), { inflight: 1, state: 'draining' })
  await gateway.sendMany(4, '/shop')
  t.equal(slow.hits, 1, 'no new request')
  t.same((await Promise.all(busy)).map(({ status }) => status), [200, 200])
  await patch(slow.id, { status: 'up' })
  slow.setDelay(0)
  await gateway.sendMany(4, '/shop')
  t.equal(slow.hits, 3)
})

t.test('the last eligible peer stays, unless force says otherwise', async t => {
  const { patch, gateway, actions } = await startActions(t, { peers: two })
  t.equal((await patch(A, { status: 'down' })).status, 200)
  for (const body of [{ status: 'down' }, { status: 'drain' }, { weight: 0 }, { status: 'up', weight: 0 }, { status: 'drain', force: false }]) {
    const { status, body: text } = await patch(B, body)
    t.equal(status, 409, JSON.stringify(body))
    t.match(JSON.parse(text).message, /last peer of its service/)
  }
  t.equal(gateway.app.upstreams.status().services[0]?.peersEligible, 1)
  t.equal((await patch(B, { weight: 5 })).status, 200, 'what takes nobody out is allowed')
  t.equal((await patch(A, { status: 'drain' })).status, 200, 'and what takes out who is out already')
  const forced = await patch(B, { status: 'drain', force: true, reason: 'all must go' })
  t.match([forced.status, JSON.parse(forced.body).state], [200, 'draining'])
  t.match(actions().at(-1)?.action, { what: 'drain on this gateway, by force' })
  t.equal((await patch(B, { status: 'down' })).status, 200, 'who is out cannot be the last one that is in')
})

t.test('at the same time two cannot both be the last but one', async t => {
  const gate: Array<() => void> = []
  const { patch, gateway } = await startActions(t, { peers: two }, { actions: { authorize: async () => await new Promise(resolve => gate.push(() => resolve('alice'))) } })
  const both = [patch(A, { status: 'drain' }), patch(B, { status: 'drain' })]
  await until(() => gate.length === 2, { what: 'both requests' })
  for (const open of gate) open()
  t.same((await Promise.all(both)).map(({ status }) => status).sort(), [200, 409])
  t.equal(gateway.app.upstreams.status().services[0]?.peersEligible, 1)
})

t.test('in panic the last one in rotation counts as the last', async t => {
  const { patch, gateway } = await startActions(t, { peers: two, panic: 1, check: { path: '/', interval: 20, fall: 1, timeout: 1000 } })
  await until(() => gateway.app.upstreams.status().services[0]?.panic, { what: 'panic: nobody listens there' })
  t.equal((await patch(A, { status: 'down' })).status, 200)
  t.equal((await patch(B, { status: 'down' })).status, 409)
})

t.test('check now', async t => {
  const [peer, other] = [await startPeer(t), await startPeer(t)]
  const { patch, actions } = await startActions(t, { peers: { shop: { [peer.id]: { checkurl: '/up' }, [other.id]: {} } }, check: { interval: 3_600_000, rise: 1, fall: 1, jitter: 0 } })
  await until(() => peer.hits === 1, { what: 'the first check' })
  peer.setStatus(500)
  const failed = JSON.parse((await patch(peer.id, { check: true })).body)
  t.match(failed, { state: 'down', check: { ok: false, status: 500 } }, 'the answer tells what it came to')
  t.equal(peer.hits, 2)
  peer.setStatus(200)
  t.match(JSON.parse((await patch(peer.id, { check: true, status: 'up' })).body), { check: { ok: true } })
  t.same(actions().map(({ action }) => action.what), ['check', 'up on this gateway and check'])
  const { status, body } = await patch(other.id, { check: true })
  t.same([status, JSON.parse(body).message], [409, 'there is nothing to check of this peer'])
})

t.test('bodies that say nothing good are 400 and name the field', async t => {
  const { patch, gateway, actions } = await startActions(t, { peers: two })
  const rows: Array<[unknown, RegExp]> = [
    [{}, /"body.weight", "body.status" and "body.check"/],
    [[], /"body" must be a JSON object/],
    ['null', /"body" must be a JSON object/],
    ['"up"', /"body" must be a JSON object/],
    ['{', /JSON/],
    ['', /empty/],
    ['{"__proto__": {"weight": 1}}', /not valid JSON/],
    ['{"constructor": {"prototype": {}}, "weight": 1}', /not valid JSON/],
    [{ wieght: 1 }, /"body.wieght", did you mean "body.weight"/],
    [{ weight: -1 }, /"body.weight" must be a number from 0 to 1000000/],
    [{ weight: 1_000_001 }, /"body.weight"/],
    [{ weight: '3' }, /"body.weight"/],
    [{ weight: null }, /"body.weight"/],
    ['{"weight": 1e999}', /"body.weight"/],
    [{ status: 'DOWN' }, /"body.status" must be "up" or "drain" or "down"/],
    [{ status: ['up'] }, /"body.status"/],
    [{ status: 'down', for: 0 }, /"body.for"/],
    [{ status: 'down', for: 2 ** 31 }, /"body.for" must be a number from 1 to 2147483647/],
    [{ status: 'down', for: '1 h' }, /"body.for"/],
    [{ status: 'up', for: 1000 }, /"body.for" needs something that lasts/],
    [{ check: true, for: 1000 }, /"body.for" needs something that lasts/],
    [{ status: 'down', for: 1000, scope: 'registry' }, /"body.for" is for the scope "local"/],
    [{ status: 'down', reason: '' }, /"body.reason"/],
    [{ status: 'down', reason: 'a\nb' }, /"body.reason"/],
    [{ status: 'down', reason: 'x'.repeat(501) }, /"body.reason"/],
    [{ status: 'down', reason: 7 }, /"body.reason"/],
    [{ status: 'down', scope: 'global' }, /"body.scope" must be "local" or "registry"/],
    [{ check: true, scope: 'registry' }, /"body.scope" needs/],
    [{ status: 'down', force: 'yes' }, /"body.force"/],
    [{ check: false }, /"body.check" must be true, got false/]
  ]
  for (const [body, message] of rows) {
    const answer = await patch(A, body)
    t.equal(answer.status, 400, JSON.stringify(body))
    t.match(JSON.parse(answer.body).message, message)
  }
  t.equal((await patch(A, { status: 'down', reason: 'x'.repeat(20_000) })).status, 413)
  t.same(actions(), [])
  t.equal(gateway.app.upstreams.status().services[0]?.peersEligible, 2)
})

t.test('peers and services that are not there', async t => {
  const { patch } = await startActions(t, { peers: { ...two, 'a/b': { [A]: {}, '[::1]:9': { scheme: 'https' } } } })
  for (const peer of ['127.0.0.1:9', 'nobody', '...', '__proto__', 'constructor', `http://${B}x`, '%2e%2e']) {
    t.match(JSON.parse((await patch(peer, { weight: 1 })).body), { statusCode: 404, message: 'the service has no such peer' }, peer)
  }
  t.match(JSON.parse((await patch(A, { weight: 1 }, {}, 'nobody')).body), { statusCode: 404, code: 'FST_UPSTREAM_UNKNOWN_SERVICE' })
  t.equal((await patch(A, { weight: 2 }, {}, 'a/b')).status, 200, 'a slash in the name')
  t.match(JSON.parse((await patch('[::1]:9', { weight: 2 }, {}, 'a/b')).body), { id: '[::1]:9' })
  t.match(JSON.parse((await patch('https://[::1]:9', { weight: 2 }, {}, 'a/b')).body), { id: '[::1]:9', scheme: 'https' }, 'by its scheme too')
  t.equal((await patch('http://[::1]:9', { weight: 2 }, {}, 'a/b')).status, 404)
})

t.test('the embedded registry is changed where it is written', async t => {
  const { patch, actions } = await startActions(t, { peers: two })
  const { status, body } = await patch(A, { weight: 1, scope: 'registry' })
  t.same([status, JSON.parse(body).message], [409, 'the registry is given in code, where peers have to be changed'])
  t.same(actions(), [])
})
