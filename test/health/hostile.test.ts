import t from 'tap'
import type { Outcome } from '../../lib/logger/outcome.js'
import { conditionOf, serviceCondition } from '../../lib/store/condition.js'
import { drain } from '../../lib/store/overrides.js'
import { BAD, checks, OK, outlier, REFUSED, seeded, T0, World } from '../fixtures/pure.js'

const HOUR = 3_600_000

/** Runs in ticks of 100 ms; `each` is what happens in one. */
function run (world: World, ms: number, each: () => void): void {
  for (const end = world.now + ms; world.now < end;) {
    each()
    world.wait(100)
    for (const task of world.due()) world.conclude(task, true)
  }
}

t.test('a peer that flaps every second for an hour', async t => {
  for (const seed of [1, 2, 3]) {
    const world = new World({ outlier: outlier() }, seeded(seed))
    for (const id of ['a', 'b', 'c']) world.put(id, { slowStart: 2000 })
    let failed = 0
    run(world, HOUR, () => {
      const isBad = Math.floor((world.now - T0) / 1000) % 2 === 1
      for (let i = 0; i < 6; i++) {
        const got = world.send(id => id === 'a' && isBad ? BAD : OK)
        if (got === 'a' && isBad) failed++
      }
    })
    const lengths = world.verdicts.filter(({ action }) => action === 'eject').map(({ since, until }) => Number(until) - since)
    t.ok(Math.max(...lengths) > 240_000 && Math.max(...lengths) <= 360_000, `out for up to ${Math.max(...lengths)} ms`)
    t.ok(lengths.slice(-3).every(ms => ms >= 200_000), 'growing to the longest, and staying there')
    t.ok(world.verdicts.length < 60, `${world.verdicts.length} verdicts in an hour`)
    t.ok(failed < 300, `${failed} of 216,000 requests failed`)
    t.same([...new Set(world.verdicts.map(({ peer }) => peer))], ['a'], 'nobody else was judged')

    // It has come to its senses. Each healthy interval forgives one ejection.
    world.verdicts.length = 0
    run(world, 360_000, () => { world.order(6) })
    t.equal(world.state('a').ejected, null, 'back within the longest ejection')
    run(world, 50_000, () => { world.order(6) })
    world.tell('a', BAD, 5)
    const once = world.state('a').ejected
    t.ok(Number(once?.until) - Number(once?.since) < 240_000, 'five intervals later it is out for less')
    run(world, 600_000, () => { world.order(6) })
    world.tell('a', BAD, 5)
    const last = world.state('a').ejected
    t.ok(Number(last?.until) - Number(last?.since) <= 36_000, 'and after enough of them as at the first time')
  }
})

t.test('checks that flap every second: a verdict for each change that lasts, and no more', async t => {
  const world = new World({ outlier: outlier(), check: checks({ path: '/health', interval: 500, jitter: 0, rise: 2, fall: 2 }) })
  for (const id of ['a', 'b', 'c']) world.put(id)
  let asked = 0
  for (; world.now < T0 + HOUR; world.wait(100)) {
    for (const task of world.due()) {
      asked++
      world.conclude(task, task.peer.id !== 'a' || Math.floor((world.now - T0) / 1000) % 2 === 0)
    }
    world.order(3)
  }
  t.ok(asked > 20_000)
  t.ok(world.verdicts.length <= 3600, `${world.verdicts.length} verdicts, at most one for each turn of its mood`)
  t.same([...new Set(world.verdicts.map(({ action }) => action))].sort(), ['down', 'up'])
  t.ok(world.verdicts.every(({ action }, i) => action === (i % 2 === 0 ? 'down' : 'up')), 'by turns')
})

t.test('one peer, whatever it answers and whatever its checks say', async t => {
  const outcomes: Outcome[] = [OK, BAD, REFUSED, { error: 'timeout', ms: 30_000 }, { error: 'reset', ms: 1 }, { error: 'aborted', ms: 1 }]
  const world = new World({ outlier: outlier({ latencyFactor: 2, minRequests: 1 }), check: checks({ path: '/health', fall: 1 }) }, seeded(1))
  world.put('a', { slowStart: 60_000 })
  const random = seeded(2)
  let unserved = 0
  for (let i = 0; i < 36_000; i++) {
    if (world.send(outcomes[Math.floor(random() * outcomes.length)]) !== 'a') unserved++
    world.wait(100)
    for (const task of world.due()) world.conclude(task, random() < 0.5)
  }
  t.equal(unserved, 0, 'in panic at worst, it takes all')
  t.equal(world.state('a').ejections, 0)
})

t.test('all down: nobody is left, and everybody comes back', async t => {
  for (const panic of [0, 0.5]) {
    const world = new World({ panic, outlier: outlier({ maxEjected: 1, latencyFactor: 2 }), check: checks({ path: '/health', interval: 1000, fall: 1, rise: 1 }) })
    for (const id of ['a', 'b', 'c']) world.put(id)
    for (const id of ['a', 'b', 'c']) world.tell(id, REFUSED, 5)
    for (let i = 0; i < 100; i++) {
      world.wait(100)
      for (const task of world.due()) world.conclude(task, false)
    }
    t.equal(serviceCondition(world.service, panic > 0).state, panic > 0 ? 'panic' : 'down')
    t.equal(world.send(REFUSED) !== '-', panic > 0)
    run(world, 120_000, () => { world.send() })
    for (const id of ['a', 'b', 'c']) t.equal(conditionOf(world.state(id)).state, 'healthy')
    t.equal(serviceCondition(world.service, false).state, 'healthy')
  }
})

t.test('weight 0 everywhere: nobody is picked, judged or missed', async t => {
  const world = new World({ outlier: outlier({ latencyFactor: 2, minRequests: 1 }), check: checks({ path: '/health', interval: 1000, fall: 1 }) })
  for (const id of ['a', 'b', 'c']) world.put(id, { weight: 0 })
  for (const id of ['a', 'b', 'c']) {
    // Of requests that were picked before.
    world.tell(id, BAD, 100)
    world.tell(id, { status: 200, ms: id === 'c' ? 10_000 : 1 }, 100)
  }
  t.equal(world.send(), '-')
  for (let i = 0; i < 300; i++) {
    world.wait(100)
    for (const task of world.due()) world.conclude(task, false)
  }
  t.same(world.verdicts.map(({ action }) => action), ['down', 'down', 'down'], 'checks go on, which says how they are when they come back')
  t.match(serviceCondition(world.service, false), { state: 'empty', reason: 'out on purpose: 3 of 3 peers' })
  t.notOk(world.picker.plan(world.service, world.now).panic)
  for (const id of ['a', 'b', 'c']) world.put(id)
  world.wait(100)
  t.not(world.send(), '-', 'in panic')
})

t.test('no peer at all', async t => {
  const world = new World({ check: checks({ path: '/health' }), outlier: outlier({ latencyFactor: 2 }) })
  let served = 0
  run(world, 60_000, () => { if (world.send() !== '-') served++ })
  t.equal(served, 0)
  world.put('a')
  drain(world.service, world.state('a'), world.now, world.now + 100)
  world.remove('a')
  run(world, 60_000, () => {})
  t.same(world.verdicts, [])
})
