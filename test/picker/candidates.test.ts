import t from 'tap'
import type { Outcome } from '../../lib/logger/outcome.js'
import { Picker } from '../../lib/picker/picker.js'
import type { Peer, PeerState } from '../../lib/store/peer.js'
import { LEFT, OK, tally, World } from '../fixtures/pure.js'

function worldOf (peers: Record<string, Partial<Peer>>): World {
  const world = new World({}, () => 0)
  for (const [id, fields] of Object.entries(peers)) world.put(id, fields)
  return world
}

t.test('who takes no new requests', async t => {
  const cases: Array<[what: string, fields: Partial<Peer>]> = [
    ['weight 0', { weight: 0 }],
    ['down', { status: 'down' }],
    ['drain', { status: 'drain' }],
    ['any other word', { status: 'canary' }]
  ]
  for (const [what, fields] of cases) {
    t.same(tally(worldOf({ a: fields, b: {}, c: {} }).order(10)), new Map([['b', 5], ['c', 5]]), what)
    t.equal(worldOf({ a: fields }).pick(), undefined, `${what}, also when it is the only one`)
  }
  t.equal(worldOf({}).pick(), undefined, 'nobody there')
})

t.test('a registry change is in force for the next pick', async t => {
  const world = worldOf({ a: {}, b: {} })
  t.same(world.order(2), ['a', 'b'])
  world.put('a', { status: 'down' })
  t.same(world.order(3), ['b', 'b', 'b'])
  world.put('a')
  t.same(tally(world.order(4)), new Map([['a', 2], ['b', 2]]))
})

t.test('tried peers are left out, until nobody is left', async t => {
  const world = worldOf({ a: { weight: 5 }, b: {}, c: {} })
  const tried = new Set<PeerState>()
  const order: string[] = []
  for (let pick = world.pick(tried); pick !== undefined; pick = world.pick(tried)) {
    order.push(pick.peer.id)
    tried.add(pick.state)
    pick.done(OK, world.now)
  }
  t.same(order, ['a', 'b', 'c'])
  for (let i = 0; i < 100; i++) t.not(world.pick(new Set([world.state('a')]))?.peer.id, 'a')
})

t.test('max_inflight bounds the requests under way', async t => {
  const world = worldOf({ a: { maxInflight: 2 }, b: { maxInflight: 1 } })
  const picks = [world.pick(), world.pick(), world.pick()]
  t.same(tally(picks.map(pick => pick?.peer.id)), new Map([['a', 2], ['b', 1]]))
  t.ok(world.picker.isFull(world.service, world.now))
  t.equal(world.pick(), undefined, 'everybody is full')
  picks[0]?.done(OK, world.now)
  t.notOk(world.pick() === undefined, 'room again')
  t.equal(world.pick(), undefined)
})

t.test('an unbounded peer takes what a full one cannot', async t => {
  const world = worldOf({ a: { maxInflight: 1 }, b: {} })
  const ids = Array.from({ length: 5 }, () => world.pick()?.peer.id)
  t.same(tally(ids), new Map([['a', 1], ['b', 4]]))
  const unbounded = worldOf({ c: {} })
  t.notOk(unbounded.picker.isFull(unbounded.service, unbounded.now), 'no bound, never full')
})

t.test('a full peer gets its share again afterwards, not what it missed', async t => {
  const world = worldOf({ a: { maxInflight: 1 }, b: {} })
  const held = world.pick()
  t.equal(held?.peer.id, 'a')
  t.same(new Set(world.order(100)), new Set(['b']))
  held?.done(OK, world.now)
  t.same(tally(world.order(10)), new Map([['a', 5], ['b', 5]]))
})

t.test('a pick closes once, and tells how it ended', async t => {
  const told: Array<[string, Outcome, number]> = []
  const picker = new Picker(() => 0, (service, state, outcome, at) => { told.push([`${service.name}/${state.peer.id}`, outcome, at]) }, () => {})
  const world = worldOf({ a: {} })
  const pick = picker.pick(world.service, undefined, world.now)
  t.equal(pick?.service, world.service)
  t.equal(pick?.panic, false)
  t.equal(world.state('a').inflight, 1)
  pick?.done(OK, 7)
  pick?.done(LEFT, 8)
  t.equal(world.state('a').inflight, 0)
  t.same(told, [['shop/a', OK, 7]])
})

t.test('a pick keeps the registration it was made with', async t => {
  const world = worldOf({ a: { weight: 3 } })
  const pick = world.pick()
  world.put('a', { weight: 9 })
  t.equal(pick?.peer.weight, 3)
  t.equal(pick?.state.peer.weight, 9)
})

t.test('shares: effective weight and what each stands to get', async t => {
  const world = worldOf({ a: { weight: 3 }, b: { weight: 1 }, c: { weight: 4, status: 'down' } })
  const shares = [...world.picker.shares(world.service, world.now)].map(([{ peer }, share]) => [peer.id, share])
  t.same(shares, [
    ['a', { effective: 3, expectedShare: 0.75 }],
    ['b', { effective: 1, expectedShare: 0.25 }],
    ['c', { effective: 0, expectedShare: 0 }]
  ])
})
