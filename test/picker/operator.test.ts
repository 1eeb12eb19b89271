import t from 'tap'
import { cutdown, drain, expire, recover, takeDown, weigh } from '../../lib/store/overrides.js'
import { effectiveWeight } from '../../lib/picker/plan.js'
import type { PeerState } from '../../lib/store/peer.js'
import { seeded, tally, World } from '../fixtures/pure.js'

function worldOf (): World {
  const world = new World({}, () => 0)
  world.put('a', { weight: 5 })
  world.put('b', { weight: 5 })
  return world
}

t.test('shed refuses its share exactly, evenly spread', async t => {
  const cases: Array<[share: number, of100: number]> = [[0, 0], [0.01, 1], [0.1, 10], [0.3, 30], [1 / 3, 33], [0.5, 50], [0.7, 70], [0.99, 99], [1, 100]]
  for (const [share, expected] of cases) {
    const { service, picker } = worldOf()
    service.shed = share
    const refused = Array.from({ length: 100 }, () => picker.refuses(service))
    t.equal(refused.filter(Boolean).length, expected, `${share}`)
    for (let from = 0; from <= 90; from++) {
      const n = refused.slice(from, from + 10).filter(Boolean).length
      t.ok(Math.abs(n - 10 * share) <= 1, `${share}: ${n} of the ten from ${from}`)
    }
  }
})

t.test('shed stays exact over a million requests', async t => {
  const { service, picker } = worldOf()
  service.shed = 0.3
  let refused = 0
  for (let i = 0; i < 1_000_000; i++) if (picker.refuses(service)) refused++
  t.equal(refused, 300_000)
})

t.test('cutdown makes the effective weight share × weight; a new one replaces the old', async t => {
  const world = worldOf()
  cutdown(world.service, world.state('a'), 0.2, world.now, world.now + 1000)
  t.same(tally(world.order(60)), new Map([['a', 10], ['b', 50]]))
  cutdown(world.service, world.state('a'), 0.6, world.now, world.now + 1000)
  t.same(tally(world.order(80)), new Map([['a', 30], ['b', 50]]), '0.6 of the weight, not of what was left')
  cutdown(world.service, world.state('a'), 0, world.now, world.now + 1000)
  t.same(tally(world.order(10)), new Map([['b', 10]]))
  t.same(world.state('a').cutdown, { share: 0, since: world.now, until: world.now + 1000 })
})

t.test('a peer cut down survives a change of its registration', async t => {
  const world = worldOf()
  cutdown(world.service, world.state('a'), 0.5, world.now, world.now + 1000)
  world.put('a', { weight: 10 })
  t.same(tally(world.order(10)), new Map([['a', 5], ['b', 5]]))
})

t.test('drain gives it no new requests, recover ends both', async t => {
  const world = worldOf()
  const held = world.pick()
  t.equal(held?.peer.id, 'a')
  drain(world.service, world.state('a'), world.now, world.now + 1000)
  cutdown(world.service, world.state('a'), 0.2, world.now, world.now + 1000)
  t.same(new Set(world.order(20)), new Set(['b']))
  t.equal(world.state('a').inflight, 1, 'what is under way goes on')
  recover(world.service, world.state('a'))
  t.same([world.state('a').drain, world.state('a').cutdown], [null, null])
  t.same(tally(world.order(10)), new Map([['a', 5], ['b', 5]]))
})

t.test('a weight takes the place of the registry\'s, of 0 too, and of what load reports come to', async t => {
  const world = worldOf()
  const { service } = world
  weigh(service, world.state('a'), 15, world.now, world.now + 1000, 'weight 15 by me')
  t.same(tally(world.order(20)), new Map([['a', 15], ['b', 5]]))
  world.put('a', { weight: 0 })
  t.same(tally(world.order(20)), new Map([['a', 15], ['b', 5]]), 'whatever the registry says meanwhile')
  world.state('a').reportedWeight = 100
  t.equal(effectiveWeight(world.state('a')), 15)
  cutdown(service, world.state('a'), 1 / 3, world.now, world.now + 1000)
  t.same(tally(world.order(20)), new Map([['a', 10], ['b', 10]]), 'a share is a share of it')
  weigh(service, world.state('b'), 0, world.now, world.now + 1000, 'weight 0 by me')
  t.same(new Set(world.order(10)), new Set(['a']))
  expire(service, world.now + 999)
  t.not(world.state('b').weighed, null)
  expire(service, world.now + 1000)
  t.same([world.state('a').weighed, world.state('b').weighed], [null, null])
  t.same(new Set(world.order(10)), new Set(['b']), 'the registry\'s 0 counts again')
})

t.test('down is a drain by another word, and recover ends every override', async t => {
  const world = worldOf()
  const { service } = world
  takeDown(service, world.state('a'), world.now, world.now + 1000, 'set down by me')
  weigh(service, world.state('a'), 7, world.now, world.now + 1000, 'weight 7 by me')
  t.same(new Set(world.order(10)), new Set(['b']))
  t.same(world.state('a').drain, { reason: 'set down by me', since: world.now, until: world.now + 1000, isDown: true })
  recover(service, world.state('a'))
  t.same([world.state('a').drain, world.state('a').weighed], [null, null])
  takeDown(service, world.state('a'), world.now, world.now + 1000, 'set down by me')
  drain(service, world.state('a'), world.now, world.now + 2000)
  t.same(world.state('a').drain, { reason: 'drained by an operator', since: world.now, until: world.now + 2000 }, 'the later word counts')
  takeDown(service, world.state('a'), world.now, world.now + 1000, 'set down by me')
  expire(service, world.now + 1000)
  t.same(tally(world.order(10)), new Map([['a', 5], ['b', 5]]))
})

t.test('a weight lasts as long when the clock goes back', async t => {
  const world = worldOf()
  weigh(world.service, world.state('a'), 0, world.now, world.now + 60_000, 'weight 0 by me')
  world.wait(10_000)
  world.wait(-1_000_000)
  world.wait(49_999)
  t.not(world.state('a').weighed, null)
  world.wait(1)
  t.equal(world.state('a').weighed, null)
})

t.test('each override ends at its own time, to the millisecond', async t => {
  const world = worldOf()
  cutdown(world.service, world.state('a'), 0, world.now, world.now + 1000)
  drain(world.service, world.state('b'), world.now, world.now + 2000)
  t.equal(world.pick(), undefined, 'out on purpose is out')
  expire(world.service, world.now + 999)
  t.equal(world.pick(), undefined)
  expire(world.service, world.now + 1000)
  t.same(new Set(world.order(10)), new Set(['a']))
  expire(world.service, world.now + 1999)
  t.same(new Set(world.order(10)), new Set(['a']))
  expire(world.service, world.now + 2000)
  t.same(tally(world.order(10)), new Map([['a', 5], ['b', 5]]))
})

t.test('a drain without an end stays, and time alone changes nothing', async t => {
  const world = worldOf()
  world.state('a').drain = { reason: 'for good', since: world.now, until: null }
  world.service.touch()
  const { stamp } = world.service
  expire(world.service, world.now + 1e12)
  t.equal(world.service.stamp, stamp)
  t.same(new Set(world.order(10)), new Set(['b']))
})

t.test('health ticks end overrides', async t => {
  const world = new World({}, seeded(1))
  world.put('a')
  world.put('b')
  drain(world.service, world.state('a'), world.now, world.now + 500)
  world.wait(499)
  t.same(new Set(world.order(4)), new Set(['b']))
  world.wait(1)
  t.same(new Set(world.order(4)), new Set(['a', 'b']))
})

t.test('what has expired is returned, in words, each once', async t => {
  const world = new World()
  const { service, now } = world
  const [a, b, c] = ['a', 'b', 'c'].map(id => world.put(id)) as [PeerState, PeerState, PeerState]
  cutdown(service, a, 0.25, now, now + 1000)
  drain(service, a, now, now + 2000)
  takeDown(service, b, now, now + 1000, 'down, says alice')
  weigh(service, b, 7, now, now + 1000, 'weight 7, says bob')
  drain(service, c, now, now + 1000, 'drained')
  recover(service, c)
  const words = (at: number): string[] => expire(service, at).map(({ state, what }) => `${state.peer.id}: ${what}`)
  t.same(words(now + 999), [])
  const { stamp } = service
  t.same(words(now + 1000), ['a: cut down to 0.25 of its weight', 'b: down, says alice', 'b: weight 7, says bob'])
  t.equal(service.stamp, stamp + 1, 'one change for all of them')
  t.same(words(now + 1000), [])
  t.same(words(now + 2000), ['a: drained by an operator'])
  t.same([a.cutdown, a.drain, b.drain, b.weighed], [null, null, null, null])
})

t.test('and is a verdict of health, with or without outlier detection', async t => {
  for (const fields of [{}, { outlier: false as const }]) {
    const world = new World(fields)
    const state = world.put('a', { scheme: 'http' })
    world.put('b')
    cutdown(world.service, state, 0.5, world.now, world.now + 1000)
    t.same(world.wait(999), [])
    t.same(world.wait(1), [{ action: 'expire', service: 'shop', peer: 'a', scheme: 'http', cause: 'override_over', reason: 'the override is over: cut down to 0.5 of its weight', since: world.now, until: null }])
    t.same(world.wait(1), [])
  }
})
