import t from 'tap'
import { rampShare } from '../../lib/picker/slow-start.js'
import { PeerState } from '../../lib/store/peer.js'
import { BAD, checks, OK, outlier, peer, T0, tally, World } from '../fixtures/pure.js'

const SLOW = { slowStart: 10_000 }

/** Two peers of long standing, and a newcomer that ramps up over 10 s. */
function worldOf (fields: ConstructorParameters<typeof World>[0] = {}): World {
  const world = new World(fields)
  world.put('a', SLOW)
  world.put('b', SLOW)
  world.wait(1000)
  world.put('new', SLOW, false)
  return world
}

function effective (world: World, id: string): number | undefined {
  return world.picker.shares(world.service, world.now).get(world.state(id))?.effective
}

t.test('the formula: max(minWeight, (t / slow_start) ^ (1 / aggression))', async t => {
  const state = new PeerState(peer('x', { slowStart: 10_000 }), T0, T0)
  const cases: Array<[ms: number, minWeight: number, aggression: number, share: number]> = [
    [0, 0.1, 1, 0.1],
    [0, 0, 1, 0],
    [500, 0.1, 1, 0.1],
    [2000, 0.1, 1, 0.2],
    [5000, 0.1, 1, 0.5],
    [9999, 0.1, 1, 0.9999],
    [10_000, 0.1, 1, 1],
    [60_000, 0.1, 1, 1],
    [2500, 0.1, 2, 0.5],
    [5000, 0.1, 0.5, 0.25],
    [5000, 0.6, 0.5, 0.6],
    [-5000, 0.1, 1, 0.1]
  ]
  for (const [ms, minWeight, aggression, share] of cases) {
    t.equal(rampShare(state, { minWeight, aggression }, T0 + ms), share, `${ms} ms, ${minWeight}, ${aggression}`)
  }
  t.equal(rampShare(new PeerState(peer('x', SLOW), T0, null), { minWeight: 0.1, aggression: 1 }, T0), 1, 'no ramp')
})

t.test('a newcomer gets a rising part of its weight, then all of it', async t => {
  const world = worldOf()
  t.equal(effective(world, 'new'), 0.1)
  world.wait(5000)
  t.equal(effective(world, 'new'), 0.5)
  t.same(tally(world.order(50)), new Map([['a', 20], ['b', 20], ['new', 10]]))
  world.wait(5000)
  t.equal(effective(world, 'new'), 1)
  const { stamp } = world.service
  world.wait(1000)
  t.equal(world.service.stamp, stamp, 'no step without a ramp')
})

t.test('without slow_start there is no ramp, also when the clock goes back before the peer came', async t => {
  t.equal(rampShare(new PeerState(peer('x'), T0, T0), { minWeight: 0.1, aggression: 1 }, T0 - 1), 1)
  const world = new World()
  world.put('a')
  world.put('new', {}, false)
  world.now -= 3_600_000
  world.service.touch()
  t.same([effective(world, 'a'), effective(world, 'new')], [1, 1])
  t.same(tally(world.order(10)), new Map([['a', 5], ['new', 5]]))
})

t.test('never at boot', async t => {
  const world = worldOf()
  t.equal(effective(world, 'a'), 1)
})

t.test('never for a single peer', async t => {
  const world = new World()
  world.put('a', SLOW, false)
  t.equal(effective(world, 'a'), 1)
})

t.test('not when all are new', async t => {
  const world = new World()
  for (const id of ['a', 'b', 'c']) world.put(id, { ...SLOW, weight: 2 }, false)
  for (const ms of [0, 1000, 5000, 5000]) {
    world.wait(ms)
    t.same(['a', 'b', 'c'].map(id => effective(world, id)), [2, 2, 2])
  }
})

t.test('not restarted by an edit, not even by a longer slow_start once it is over', async t => {
  const world = worldOf()
  world.wait(5000)
  world.put('new', { ...SLOW, params: { edited: true } }, false)
  t.equal(effective(world, 'new'), 0.5)
  world.put('new', { slowStart: 20_000 }, false)
  t.equal(effective(world, 'new'), 0.25, 'a ramp under way is as long as the registry says')
  world.wait(15_000)
  t.equal(effective(world, 'new'), 1)
  world.put('new', { slowStart: 100_000 }, false)
  t.equal(effective(world, 'new'), 1)
})

t.test('begins again after an ejection', async t => {
  const world = worldOf({ outlier: outlier() })
  world.wait(20_000)
  world.tell('a', BAD, 5)
  world.wait(30_000)
  for (const id of world.order(3)) t.ok(id)
  t.equal(world.state('a').ejected, null)
  t.equal(effective(world, 'a'), 0.1)
  world.wait(3000)
  t.equal(effective(world, 'a'), 0.3)
})

t.test('begins again after failed checks; the first check of a newcomer is no return', async t => {
  const world = new World({ check: checks({ path: '/health', rise: 1, fall: 1 }) })
  world.put('a', SLOW)
  world.put('b', SLOW)
  const check = (id: string, ok: boolean): void => {
    world.now += 6000
    for (const task of world.due()) world.conclude(task, task.peer.id === id ? ok : true)
  }
  check('a', true)
  world.put('new', SLOW, false)
  check('a', false)
  t.equal(effective(world, 'new'), 0.6, 'since it was first seen, 6 s ago')
  check('a', true)
  t.equal(effective(world, 'a'), 0.1)
})

t.test('weight, ramp and cutdown multiply, and never come to nothing', async t => {
  const world = new World({ slowStart: { minWeight: 0, aggression: 1 } })
  world.put('a')
  world.put('b', { ...SLOW, weight: 8 }, false)
  world.put('only', { ...SLOW, priority: 1 }, false)
  t.same(world.order(3), ['a', 'a', 'a'], 'a share of 0 is no share yet')
  t.equal(world.pick(new Set([world.state('a'), world.state('b')]))?.peer.id, 'only', 'nor is it a reason to answer 503')
  for (const { expectedShare } of world.picker.shares(world.service, world.now).values()) t.notOk(Number.isNaN(expectedShare))
  world.wait(5000)
  world.state('b').cutdown = { share: 0.25, since: world.now, until: world.now + 1 }
  world.service.touch()
  t.equal(effective(world, 'b'), 1)
  t.same(tally(world.order(10)), new Map([['a', 5], ['b', 5]]))
  t.equal(world.send(OK), 'a')
})

t.test('peers that began together stay at full weight when the first of them is no longer new', async t => {
  const world = new World()
  world.put('short', { slowStart: 2000 }, false)
  world.put('long', { slowStart: 20_000 }, false)
  t.same([effective(world, 'short'), effective(world, 'long')], [1, 1])
  world.wait(3000)
  world.service.touch()
  t.same([effective(world, 'short'), effective(world, 'long')], [1, 1])
  world.put('later', { slowStart: 20_000 }, false)
  t.same([effective(world, 'long'), effective(world, 'later')], [1, 0.1], 'who comes then has somebody to lean on')
})
