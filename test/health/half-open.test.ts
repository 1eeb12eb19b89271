import t from 'tap'
import { conditionOf } from '../../lib/store/condition.js'
import { BAD, checks, LEFT, OK, outlier, REFUSED, tally, World } from '../fixtures/pure.js'

/** Four peers of which a is ejected, with 30 s to go. */
function worldOf (): World {
  const world = new World({ outlier: outlier({ interval: 1e9 }) })
  for (const id of ['a', 'b', 'c', 'd']) world.put(id, { slowStart: 10_000 })
  world.tell('a', BAD, 5)
  return world
}

t.test('out until the time is over, to the millisecond; then one request probes', async t => {
  const world = worldOf()
  t.same(world.wait(29_999), [])
  t.notOk(world.order(20).includes('a'))
  t.match(world.wait(1), [{ action: 'probe', peer: 'a', cause: 'ejection_over', reason: 'the ejection is over, one request probes', until: null }])
  t.equal(conditionOf(world.state('a')).state, 'probing')
  t.ok(conditionOf(world.state('a')).eligible)
  const picks = Array.from({ length: 40 }, () => world.pick())
  t.equal(tally(picks.map(pick => pick?.peer.id)).get('a'), 1, 'one, however many come while it is under way')
  t.notOk(conditionOf(world.state('a')).eligible, 'its turn is taken')
  t.same(world.wait(60_000), [], 'and time alone decides nothing')
})

function probe (world: World) {
  world.wait(30_000)
  for (;;) {
    const pick = world.pick()
    if (pick?.peer.id === 'a') return pick
    pick?.done(OK, world.now)
  }
}

t.test('it succeeds: restored, and slow start begins', async t => {
  const world = worldOf()
  const pick = probe(world)
  world.now += 5
  pick.done(OK, world.now)
  t.match(world.verdicts.at(-1), { action: 'restore', cause: 'probe_succeeded', reason: 'the probing request succeeded', since: world.now })
  t.equal(conditionOf(world.state('a')).eligible, true)
  t.equal(world.state('a').rampFrom, world.now)
  t.equal(world.picker.shares(world.service, world.now).get(world.state('a'))?.effective, 0.1)
  t.match(conditionOf(world.state('a')), { state: 'warming', reason: 'slow start over 10 s', until: world.now + 10_000 })
})

t.test('any answer below 500 is a success', async t => {
  for (const status of [200, 302, 404, 429]) {
    const world = worldOf()
    probe(world).done({ status, ms: 1 }, world.now)
    t.equal(world.state('a').ejected, null, `${status}`)
  }
})

t.test('it fails: ejected again at once, for longer', async t => {
  const cases = [[BAD, 'status 500'], [{ status: 503, ms: 1 }, 'status 503'], [REFUSED, 'connect'], [{ error: 'timeout', ms: 9 }, 'timeout']] as const
  for (const [outcome, told] of cases) {
    const world = worldOf()
    probe(world).done(outcome, world.now)
    t.match(world.verdicts.at(-1), { action: 'eject', cause: 'probe_failed', reason: `the probing request failed (${told})`, since: world.now, until: world.now + 60_000 })
    t.match(conditionOf(world.state('a')), { state: 'ejected', since: world.now, until: world.now + 60_000 })
    t.notOk(world.order(20).includes('a'))
    t.equal(world.state('a').ejections, 2)
  }
})

t.test('its client leaves: that decides nothing, another request probes', async t => {
  const world = worldOf()
  probe(world).done(LEFT, world.now)
  t.ok(conditionOf(world.state('a')).eligible)
  probe(world).done(OK, world.now)
  t.equal(world.state('a').ejected, null)
})

t.test('requests older than the ejection decide nothing, whatever they come to', async t => {
  const world = new World({ outlier: outlier({ interval: 1e9 }) })
  for (const id of ['a', 'b']) world.put(id)
  const old = Array.from({ length: 8 }, () => world.pick()).filter(pick => pick?.peer.id === 'a')
  world.tell('a', BAD, 5)
  world.wait(30_000)
  old[0]?.done(OK, world.now)
  old[1]?.done(BAD, world.now)
  old[2]?.done(LEFT, world.now)
  t.equal(world.state('a').halfOpen, true)
  const pick = probe(world)
  old[3]?.done(OK, world.now)
  t.equal(world.state('a').halfOpen, true, 'nor while the probe is under way')
  t.same(new Set(world.order(10)), new Set(['b']), 'nor do they make room for a second probe')
  pick.done(OK, world.now)
  t.equal(world.state('a').ejected, null)
})

t.test('the peer is removed while its probe is under way', async t => {
  const world = worldOf()
  const pick = probe(world)
  world.remove('a')
  const before = world.verdicts.length
  pick.done(OK, world.now)
  t.equal(world.verdicts.length, before)
})

t.test('everybody else leaves while its probe is under way, and it fails', async t => {
  const world = worldOf()
  const pick = probe(world)
  for (const id of ['b', 'c', 'd']) world.put(id, { status: 'down' })
  pick.done(BAD, world.now)
  t.match(world.verdicts.at(-1), { action: 'restore', cause: 'only_peer', reason: 'the probing request failed (status 500), but it is the only peer' })
  t.equal(world.send(), 'a')
})

t.test('outlier detection is turned off while its probe is under way', async t => {
  const world = worldOf()
  const pick = probe(world)
  world.service.configure({ ...world.service.settings, outlier: false }, true)
  world.wait(0)
  pick.done(BAD, world.now)
  t.equal(world.state('a').ejected, null)
  const other = worldOf()
  const late = probe(other)
  other.service.configure({ ...other.service.settings, outlier: false }, true)
  late.done(BAD, other.now)
  t.match(other.wait(0), [{ action: 'restore' }], 'before the tick')
})

t.test('in panic an ejected peer is used, but only its probe can end the ejection', async t => {
  const world = new World({ outlier: outlier({ maxEjected: 1, interval: 1e9 }) })
  for (const id of ['a', 'b']) world.put(id)
  for (const id of ['a', 'b']) world.tell(id, BAD, 5)
  t.same(tally(world.order(10)), new Map([['a', 5], ['b', 5]]))
  t.not(world.state('a').ejected, null)
})

t.test('a passing check does not end an ejection', async t => {
  const world = new World({ outlier: outlier(), check: checks({ path: '/health' }) })
  for (const id of ['a', 'b', 'c']) world.put(id)
  world.tell('a', BAD, 5)
  for (let i = 0; i < 4; i++) {
    world.wait(6000)
    for (const task of world.due()) world.conclude(task, true)
    t.equal(conditionOf(world.state('a')).state, 'ejected')
  }
  t.notOk(world.order(10).includes('a'))
})

t.test('a good answer counts from its headers, however long its body goes on', async t => {
  const world = worldOf()
  const pick = probe(world)
  pick.answered(500, world.now)
  t.ok(world.state('a').halfOpen, 'a bad one is judged at its end')
  pick.answered(200, world.now)
  t.match(world.verdicts.at(-1), { action: 'restore', peer: 'a', reason: 'the probing request succeeded' })
  const { length } = world.verdicts
  pick.answered(200, world.now)
  pick.done(REFUSED, world.now + 5000)
  t.equal(world.verdicts.length, length, 'what comes later is a request like any other')
  t.equal(world.state('a').inflight, 0)
  t.equal(world.state('a').consecutiveErrors, 1)

  const removed = worldOf()
  const late = probe(removed)
  removed.service.remove('http://a')
  const before = removed.verdicts.length
  late.answered(200, removed.now)
  t.equal(removed.verdicts.length, before, 'an answer of a removed peer is about nobody')

  const gone = worldOf()
  const failing = probe(gone)
  gone.service.remove('http://a')
  const earlier = gone.verdicts.length
  failing.done(BAD, gone.now)
  t.equal(gone.verdicts.length, earlier, 'and so is a failure')
})
