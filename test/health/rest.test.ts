import t from 'tap'
import { Judgement } from '../../lib/health/judgement.js'
import { roundsOf } from '../../lib/health/rounds.js'
import { cutdown, drain } from '../../lib/store/overrides.js'
import { BAD, checks, OK, outlier, T0, World } from '../fixtures/pure.js'

/** How often all peers were passed over while `work` ran. */
function passes (world: World, work: () => void): number {
  const { peers } = world.service
  let count = 0
  peers.values = () => {
    count++
    return Map.prototype.values.call(peers)
  }
  work()
  Reflect.deleteProperty(peers, 'values')
  return count
}

function tickFor (world: World, ms: number): void {
  for (const end = world.now + ms; world.now < end;) {
    world.wait(100)
    for (const task of world.due()) world.conclude(task, true)
  }
}

t.test('a tick passes over the peers when something is due, and not otherwise', async t => {
  const world = new World({ outlier: outlier({ maxEjected: 1 }), check: checks({ path: '/health', interval: 1000 }) })
  for (let i = 0; i < 50; i++) world.put(`p${i}`)
  world.wait(0)
  t.equal(passes(world, () => tickFor(world, 100)), 1, 'once to see who is to be checked')
  t.equal(passes(world, () => tickFor(world, 60_000)), 0, 'not for checks, nor for intervals')
  world.tell('p0', OK, 100)
  t.equal(passes(world, () => tickFor(world, 60_000)), 0, 'nor for who had requests')
  cutdown(world.service, world.state('p1'), 0.5, world.now, world.now + 30_000)
  t.equal(passes(world, () => tickFor(world, 29_900)), 0)
  t.equal(passes(world, () => tickFor(world, 100)), 1, 'once for an override that ends')
  t.equal(passes(world, () => { for (let i = 0; i < 20; i++) world.tell(`p${i}`, BAD, 5) }), 1, 'once for the guard of a wave of ejections')
  t.equal(roundsOf(world.service).ejected.size, 20)
  t.equal(passes(world, () => tickFor(world, 100)), 21, 'each of them looks for somebody else, the first that is asked; and once to see whether it is panic')
  t.equal(passes(world, () => tickFor(world, 29_800)), 0)
})

t.test('who keeps failing and is kept costs no pass for each failure', async t => {
  const world = new World({ outlier: outlier({ maxEjected: 0.1 }) })
  for (let i = 0; i < 10; i++) world.put(`p${i}`)
  for (const id of ['p0', 'p1']) world.tell(id, BAD, 5)
  t.match(world.state('p1').spared, { reason: /^5 requests/ })
  t.equal(passes(world, () => world.tell('p1', BAD, 1000)), 0)
  t.match(world.state('p1').spared, { reason: /^1005 requests in a row answered with 5xx; kept because 1 of 10/ }, 'while its reason follows')
  t.equal(world.verdicts.length, 2, 'and nobody hears of it again')
})

t.test('a guard counts those that came, left, or were taken out on purpose meanwhile', async t => {
  const world = new World({ outlier: outlier({ maxEjected: 0.5 }) })
  for (let i = 0; i < 4; i++) world.put(`p${i}`)
  for (const id of ['p0', 'p1', 'p2']) world.tell(id, BAD, 5)
  t.match(world.state('p2').spared?.reason, /2 of 4 peers/)
  world.put('p4')
  world.tell('p2', BAD)
  t.match(world.state('p2').spared?.reason, /2 of 5 peers/)
  drain(world.service, world.state('p0'), world.now, world.now + 1000)
  world.tell('p2', BAD)
  t.equal(world.state('p2').spared, null, 'of four others only one was ejected')
  t.not(world.state('p2').ejected, null)
})

t.test('who is removed is remembered nowhere', async t => {
  const world = new World({ outlier: outlier({ maxEjected: 1 }), check: checks({ path: '/health', interval: 3_600_000 }) })
  for (const id of ['a', 'b', 'c']) world.put(id)
  const [task] = world.due()
  world.tell('a', BAD, 5)
  world.tell('b', OK)
  const gone = ['a', 'b', 'c'].map(id => world.state(id))
  for (const id of ['a', 'b', 'c']) world.remove(id)
  const rounds = roundsOf(world.service)
  t.same([rounds.ejected.size, rounds.judged.size, rounds.queue.first], [0, 0, undefined])
  for (const state of gone) t.equal(world.health.observe(world.service, state, BAD, world.now), undefined)
  if (task !== undefined) world.conclude(task, true)
  t.same([rounds.ejected.size, rounds.judged.size, rounds.queue.first], [0, 0, undefined], 'nor when something of it ends later')
  world.now = T0 + 3_600_000
  t.same([world.wait(0), world.due()], [[], []])
})

t.test('who has nothing to be forgiven is not looked at in the next interval', async t => {
  const world = new World({ outlier: outlier({ maxEjected: 1 }) })
  for (const id of ['a', 'b', 'c']) world.put(id)
  world.wait(0)
  world.tell('a', BAD, 5)
  world.tell('b', OK)
  const { judged } = roundsOf(world.service)
  t.same([...judged].map(({ peer }) => peer.id), ['a', 'b'])
  world.wait(10_000)
  t.same([...judged].map(({ peer }) => peer.id), ['a'])
  world.tell('c', BAD, 3)
  t.ok(world.state('c').judgement instanceof Judgement)
  world.wait(10_000)
  t.same([...judged].map(({ peer }) => peer.id), ['a'])
  world.wait(10_000)
  world.order(3)
  t.equal(world.state('a').ejected, null, 'back after its probe')
  world.wait(10_000)
  t.equal(judged.has(world.state('a')), false, 'a healthy interval forgave it')
})

t.test('a newcomer that is to be checked is due at once, before all others', async t => {
  const world = new World({ check: checks({ path: '/health', interval: 1000, jitter: 0 }) })
  for (let i = 0; i < 20; i++) world.put(`p${i}`)
  for (const task of world.due()) world.conclude(task, true)
  world.now += 1000
  world.put('new', {}, false)
  t.equal(world.due()[0]?.peer.id, 'new')
})

t.test('a peer whose own check URL comes, changes and goes', async t => {
  const world = new World({ check: checks({ interval: 1000, jitter: 0 }) })
  world.put('a')
  t.same(world.due(), [])
  world.put('a', { checkUrl: '/x' })
  const tasks = world.due()
  t.match(tasks, [{ path: '/x' }])
  world.put('a', { checkUrl: '/y' })
  t.same(world.due(), [], 'one at a time')
  for (const task of tasks) world.conclude(task, true)
  world.now += 1000
  world.put('a', { checkUrl: null })
  t.same(world.due(), [])
  world.put('a', { checkUrl: '/z' })
  t.match(world.due(), [{ path: '/z' }], 'the interval counts from its last check')
})
