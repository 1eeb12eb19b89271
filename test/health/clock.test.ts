import t from 'tap'
import type { CheckTask } from '../../lib/health/checks.js'
import { conditionOf } from '../../lib/store/condition.js'
import { cutdown, drain } from '../../lib/store/overrides.js'
import { BAD, checks, OK, outlier, REFUSED, seeded, tally, World } from '../fixtures/pure.js'

const HOUR = 3_600_000

/** Four peers in a service whose clock ticks, a to d. */
function worldOf (fields: ConstructorParameters<typeof World>[0] = {}): World {
  const world = new World({ outlier: outlier({ maxEjected: 1 }), panic: 0, ...fields })
  for (const id of ['a', 'b', 'c', 'd']) world.put(id, { slowStart: 10_000 })
  world.wait(0)
  return world
}

/** Ticks of 100 ms. */
function pass (world: World, ms: number): void {
  for (const end = world.now + ms; world.now < end;) world.wait(100)
}

/** The clock is set, as the next tick finds. */
function set (world: World, ms: number): void {
  world.now += ms
  world.wait(0)
}

t.test('set back by an hour, an ejection has as long to go as before', async t => {
  const world = worldOf()
  world.tell('a', BAD, 5)
  pass(world, 10_000)
  set(world, -HOUR)
  t.match(conditionOf(world.state('a')), { state: 'ejected', since: world.now - 10_000, until: world.now + 20_000 })
  pass(world, 19_900)
  t.equal(world.state('a').halfOpen, false)
  pass(world, 100)
  t.equal(world.state('a').halfOpen, true)
})

t.test('set back by less than it has lasted, too', async t => {
  const world = worldOf()
  world.tell('a', BAD, 5)
  pass(world, 20_000)
  set(world, -5000)
  pass(world, 9900)
  t.equal(world.state('a').halfOpen, false)
  pass(world, 100)
  t.equal(world.state('a').halfOpen, true)
})

t.test('what began after it was set back, before a tick found out, is as it says', async t => {
  const world = worldOf()
  pass(world, 10_000)
  world.now -= HOUR
  world.tell('a', BAD, 5)
  cutdown(world.service, world.state('b'), 0.5, world.now, world.now + 5000)
  world.now += 50
  world.wait(0)
  t.match(conditionOf(world.state('a')), { state: 'ejected', since: world.now - 50, until: world.now + 29_950 })
  pass(world, 4900)
  t.match(world.state('b').cutdown, { share: 0.5 })
  pass(world, 100)
  t.equal(world.state('b').cutdown, null)
})

t.test('set back by an hour, overrides and hold-offs end in time, and ramps go on', async t => {
  const world = worldOf()
  drain(world.service, world.state('a'), world.now, world.now + 3 * HOUR)
  world.now += 2 * HOUR
  world.wait(0)
  cutdown(world.service, world.state('b'), 0.5, world.now, world.now + 60_000)
  const picks = [world.pick(), world.pick(), world.pick()]
  for (const pick of picks) if (pick?.peer.id === 'c') pick.holdOff(30_000, world.now)
  for (const pick of picks) pick?.done(OK, world.now)
  world.put('new', { slowStart: 10_000 }, false)
  pass(world, 5000)
  const weight = () => world.picker.shares(world.service, world.now).get(world.state('new'))?.effective
  t.equal(weight(), 0.5)
  set(world, -HOUR)
  t.equal(weight(), 0.5)
  pass(world, 2500)
  t.equal(weight(), 0.75)
  pass(world, 22_400)
  t.match(conditionOf(world.state('c')), { state: 'degraded', until: world.now + 100 })
  pass(world, 100)
  t.equal(world.state('c').heldOff, null)
  pass(world, 29_900)
  t.not(world.state('b').cutdown, null)
  pass(world, 100)
  t.equal(world.state('b').cutdown, null)
  world.now += HOUR - 65_100
  world.wait(0)
  t.not(world.state('a').drain, null)
  world.wait(5000)
  world.wait(100)
  t.equal(world.state('a').drain, null)
})

t.test('set back by an hour, checks and intervals go on as if nothing had been', async t => {
  const world = worldOf({ check: checks({ path: '/health', interval: 5000, jitter: 0 }), outlier: outlier() })
  const at: number[] = []
  let real = 0
  const run = (ms: number): void => {
    for (const end = real + ms; real < end; real += 100) {
      world.wait(100)
      for (const task of world.due()) {
        if (task.peer.id === 'a') at.push(real)
        world.conclude(task, true)
      }
    }
  }
  run(12_000)
  world.now -= HOUR
  for (let i = 0; i < 20; i++) world.tell('b', i % 2 === 0 ? REFUSED : OK)
  run(20_000)
  t.same(at.slice(1).map((ms, i) => ms - (at[i] ?? 0)), [2500, 5000, 5100, 5000, 5000, 5000], 'but for the tick that found out')
  t.match(world.verdicts.filter(({ peer }) => peer === 'b')[0], { action: 'eject', reason: '10 of 20 requests failed in 10 s' })
  t.ok((world.state('a').lastCheck?.at ?? Infinity) <= world.now)
  t.ok(conditionOf(world.state('a')).since <= world.now)
})

t.test('set forward by an hour, what was to end by then is over, and nobody is worse off', async t => {
  const world = worldOf({ check: checks({ path: '/health', concurrency: 3 }) })
  for (const task of [...world.due(), ...world.due()]) world.conclude(task, true)
  world.tell('a', BAD, 5)
  drain(world.service, world.state('b'), world.now, world.now + 900_000)
  cutdown(world.service, world.state('c'), 0, world.now, world.now + 900_000)
  set(world, HOUR)
  t.equal(world.state('a').halfOpen, true)
  t.same(new Set(world.order(8)), new Set(['a', 'b', 'c', 'd']))
  t.equal(world.due().length, 3, 'all checks are due, and as many as may begin')
  t.same(world.verdicts.filter(({ action }) => action === 'eject' || action === 'down').length, 1)
})

t.test('a clock that is set at every turn: nobody is out for longer than the settings allow, and nobody is forgotten', async t => {
  for (const seed of [1, 2, 3]) {
    const random = seeded(seed)
    const world = new World({ check: checks({ path: '/health', interval: 2000, fall: 2 }), outlier: outlier({ baseEjection: 5000, maxEjection: 20_000 }) }, random)
    for (let i = 0; i < 8; i++) world.put(`p${i}`, { slowStart: 3000 })
    const outSince = new Map<string, number>()
    const checkedAt = new Map<string, number>()
    let running: Array<{ task: CheckTask, until: number }> = []
    const wrong = new Set<string>()
    let jumps = 0
    for (let real = 0; real < HOUR; real += 100) {
      if (random() < 0.002) {
        world.now += (2 * random() - 1) * HOUR
        jumps++
      }
      const broken = Math.floor(real / 60_000) % 8
      for (let n = 0; n < 4; n++) world.send(id => id === `p${broken}` ? BAD : OK)
      for (const { task } of running.filter(({ until }) => until <= real)) world.conclude(task, random() < 0.98)
      running = running.filter(({ until }) => until > real)
      world.wait(100)
      for (const task of world.due()) {
        checkedAt.set(task.peer.id, real)
        running.push({ task, until: real + 500 })
      }
      for (const state of world.service.peers.values()) {
        const { id } = state.peer
        if (state.ejected === null || state.halfOpen) outSince.delete(id)
        else if (!outSince.has(id)) outSince.set(id, real)
        if (real - (outSince.get(id) ?? real) > 24_000 + 2000) wrong.add(`${id} is out since ${outSince.get(id)} at ${real}`)
        if (real - (checkedAt.get(id) ?? 0) > 2400 + 600) wrong.add(`${id} is not checked since ${checkedAt.get(id)} at ${real}`)
        const { since, until } = conditionOf(state)
        if (since > world.now || (until ?? Infinity) < since) wrong.add(`${id}: since ${since}, until ${until} at ${world.now}`)
      }
    }
    t.same([...wrong].slice(0, 5), [], `seed ${seed}, ${jumps} times`)
    t.ok(world.verdicts.some(({ action }) => action === 'eject') && jumps > 30)
    t.equal(tally(world.order(80)).size >= 4, true)
  }
})
