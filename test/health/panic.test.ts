import t from 'tap'
import { drain } from '../../lib/store/overrides.js'
import { BAD, checks, OK, outlier, World } from '../fixtures/pure.js'

function worldOf (peers: number, panic = 0.5): World {
  const world = new World({ panic, outlier: outlier({ maxEjected: 1, interval: 1e9 }), check: checks({ path: '/health', fall: 1, rise: 1 }) })
  for (let i = 0; i < peers; i++) world.put(`p${i}`)
  world.wait(100)
  return world
}

function told (world: World): Array<[string, string]> {
  return world.verdicts.filter(({ peer }) => peer === null).map(({ action, reason }) => [action, reason])
}

/** Asks all peers; those of `down` do not answer well. */
function check (world: World, ...down: string[]): void {
  world.now += 10_000
  for (const task of world.due()) world.conclude(task, !down.includes(task.peer.id))
  world.wait(0)
}

t.test('its beginning and its end are told once each, with the numbers', async t => {
  const world = worldOf(5)
  check(world, 'p0', 'p1')
  t.same(told(world), [])
  check(world, 'p0', 'p1', 'p2')
  const begin: [string, string] = ['panic', 'only 2 of 5 peers are healthy, so health is ignored']
  t.same(told(world), [begin])
  check(world, 'p0', 'p1', 'p2', 'p3', 'p4')
  for (let i = 0; i < 100; i++) {
    world.order(10)
    world.wait(100)
  }
  t.same(told(world), [begin], 'while it goes on it is no news, however bad it gets')
  check(world, 'p0', 'p1')
  const end: [string, string] = ['calm', '3 of 5 peers are healthy']
  t.same(told(world), [begin, end])
  check(world)
  t.same(told(world), [begin, end])
  t.match(world.verdicts.find(({ action }) => action === 'panic'), { service: 'shop', peer: null, cause: 'healthy_share', until: null })
})

t.test('by ejections too, and it ends when those who are out leave', async t => {
  const world = worldOf(3)
  for (const id of ['p0', 'p1']) world.tell(id, BAD, 5)
  world.wait(100)
  world.remove('p0')
  world.wait(100)
  world.remove('p1')
  world.wait(100)
  t.same(told(world), [
    ['panic', 'only 1 of 3 peers are healthy, so health is ignored'],
    ['calm', '1 of 2 peers are healthy']
  ])
})

t.test('it ends when all are out on purpose, or the threshold is taken away', async t => {
  const world = worldOf(2)
  check(world, 'p0', 'p1')
  for (const id of ['p0', 'p1']) drain(world.service, world.state(id), world.now, world.now + 1000)
  world.wait(100)
  t.same(told(world).at(-1), ['calm', '0 of 0 peers are healthy'])
  world.wait(1000)
  t.same(told(world).at(-1), ['panic', 'only 0 of 2 peers are healthy, so health is ignored'])
  world.service.configure({ ...world.service.settings, panic: 0 }, true)
  world.wait(100)
  t.same(told(world).at(-1), ['calm', '0 of 2 peers are healthy'])
})

t.test('whoever is asked is not asked in vain: with all well, or nothing changed, no plan is made', async t => {
  const world = worldOf(4)
  const { health, service } = world
  world.put('p4')
  t.notOk(health.mayTurn(service), 'something has changed, and all are well')
  world.tell('p0', BAD, 5)
  t.ok(health.mayTurn(service))
  t.notOk(health.mayTurn(service), 'and nothing has changed since')
  world.tell('p1', OK, 100)
  t.notOk(health.mayTurn(service), 'requests do not change it')
  world.remove('p0')
  t.notOk(health.mayTurn(service))
  check(world, 'p1')
  world.service.touch()
  t.ok(health.mayTurn(service))
  world.service.configure({ ...service.settings, check: false }, true)
  world.put('p1')
  t.notOk(health.mayTurn(service), 'who is not checked any more is not down')
})
