import t from 'tap'
import type { Peer } from '../../lib/store/peer.js'
import { BALANCERS, type ServiceSettings } from '../../lib/store/settings.js'
import { OK, seeded, settings, tally, World } from '../fixtures/pure.js'

function limited (maxInflight: number, peers: Record<string, Partial<Peer>>, fields: Partial<ServiceSettings> = {}): World {
  const world = new World({ ...fields, limits: { maxInflight, queue: 0, queueTimeout: 1000 } }, seeded(1))
  for (const [id, changes] of Object.entries(peers)) world.put(id, changes)
  return world
}

const fill = (world: World, n: number) => Array.from({ length: n }, () => world.pick())
const full = (world: World): boolean => world.picker.isFull(world.service, world.now)

t.test('a service\'s bound is each peer\'s that names none; its own goes before it, higher or lower', async t => {
  for (const balancer of BALANCERS) {
    const world = limited(2, { a: {}, b: { maxInflight: 1 }, c: { maxInflight: 4 } }, { balancer })
    const picks = fill(world, 9)
    t.same(tally(picks.map(pick => pick?.peer.id)), new Map([['a', 2], ['b', 1], ['c', 4], [undefined, 2]].sort() as Array<[string, number]>), balancer)
    t.ok(full(world))
    const one = picks.find(pick => pick?.peer.id === 'b')
    one?.done(OK, world.now)
    one?.done(OK, world.now)
    t.same(fill(world, 2).map(pick => pick?.peer.id), ['b', undefined], 'once closed, one place')
  }
})

t.test('0 is no bound', async t => {
  const world = limited(0, { a: {} })
  t.notOk(fill(world, 1000).includes(undefined))
  t.notOk(full(world))
})

t.test('full is who would be picked but for its bound', async t => {
  const tried = limited(1, { a: {}, b: {} })
  const [busy] = fill(tried, 1)
  t.ok(full(tried))
  t.notOk(tried.picker.isFull(tried.service, tried.now, new Set(busy === undefined ? [] : [busy.state])), 'who was tried is not waited for')
  const world = limited(1, { a: {}, b: {} })
  t.notOk(full(world))
  fill(world, 1)
  t.ok(full(world), 'one of two is enough')
  const down = limited(1, { a: {}, b: {} })
  fill(down, 2)
  for (const id of ['a', 'b']) down.put(id, { status: 'down' })
  t.equal(down.pick(), undefined)
  t.notOk(full(down), 'nobody is there: waiting would not help')
  const none = limited(1, {})
  t.notOk(full(none))
})

t.test('a bound that changes live', async t => {
  const world = limited(2, { a: {} })
  t.same(fill(world, 3).map(pick => pick?.peer.id), ['a', 'a', undefined])
  world.service.configure(settings({ limits: { maxInflight: 3, queue: 0, queueTimeout: 1 } }), true)
  t.same(fill(world, 2).map(pick => pick?.peer.id), ['a', undefined])
  world.put('a', { maxInflight: 5 })
  t.same(fill(world, 3).map(pick => pick?.peer.id), ['a', 'a', undefined])
  world.put('a', { maxInflight: 1 })
  t.equal(world.pick(), undefined, 'above a bound that was lowered')
})

t.test('what is under way at a peer that went and came back is another\'s', async t => {
  const world = limited(1, { a: {} })
  const old = world.pick()
  world.remove('a')
  world.put('a')
  const pick = world.pick()
  t.equal(pick?.peer.id, 'a')
  old?.done(OK, world.now)
  t.equal(world.pick(), undefined, 'the old one\'s end makes no room')
  pick?.done(OK, world.now)
  t.not(world.pick(), undefined)
})
