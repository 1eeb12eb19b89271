import fc from 'fast-check'
import t from 'tap'
import type { Outcome } from '../../lib/logger/outcome.js'
import type { Pick } from '../../lib/picker/picker.js'
import { conditionOf } from '../../lib/store/condition.js'
import type { Peer, PeerState } from '../../lib/store/peer.js'
import { BAD, checks, OK, outlier, peer, T0, tally, World } from '../fixtures/pure.js'

const UNAVAILABLE: Outcome = { status: 503, ms: 1 }

function worldOf (peers: Record<string, Partial<Peer>>, fields: ConstructorParameters<typeof World>[0] = {}): World {
  const world = new World(fields, () => 0)
  for (const [id, fields] of Object.entries(peers)) world.put(id, fields)
  return world
}

/** A pick of this very peer, whoever's turn it is. */
function pickOf (world: World, id: string): Pick {
  const others = new Set([...world.service.peers.values()].filter(state => state.peer.id !== id))
  const pick = world.pick(others)
  if (pick === undefined) throw new Error(`${id} is not picked`)
  return pick
}

/** A request to this peer is answered 503 with `Retry-After`. */
function hold (world: World, id: string, ms: number): void {
  const pick = pickOf(world, id)
  pick.holdOff(ms, world.now)
  pick.done(UNAVAILABLE, world.now)
}

function expected (world: World): Record<string, number> {
  return Object.fromEntries([...world.picker.shares(world.service, world.now)].map(([{ peer }, { expectedShare }]) => [peer.id, expectedShare]))
}

t.test('who asked to be left alone is, and has its share again afterwards', async t => {
  const world = worldOf({ a: { weight: 2 }, b: {}, c: {} })
  hold(world, 'a', 5000)
  t.same(expected(world), { a: 0, b: 0.5, c: 0.5 })
  t.same(tally(world.order(100)), new Map([['b', 50], ['c', 50]]))
  world.wait(4999)
  t.same(tally(world.order(100)), new Map([['b', 50], ['c', 50]]))
  world.wait(1)
  t.same(tally(world.order(100)), new Map([['a', 50], ['b', 25], ['c', 25]]), 'not what it missed')
  t.same(expected(world), { a: 0.5, b: 0.25, c: 0.25 })
})

t.test('how long', async t => {
  const rows: Array<[ms: number, until: number | null, reason?: string]> = [
    [1000, 1000, 'answered 503 with Retry-After: 1 s'], [0.5, 0.5, 'answered 503 with Retry-After: 0.0005 s'],
    [60_000, 60_000, 'answered 503 with Retry-After: 60 s'], [60_001, 60_000, 'answered 503 with Retry-After: 60.001 s'],
    [3_600_000, 60_000, 'answered 503 with Retry-After: 3600 s'], [Number.MAX_VALUE, 60_000],
    [0, null], [-1, null], [NaN, null], [Infinity, null], [-Infinity, null]
  ]
  for (const [ms, until, reason] of rows) {
    const world = worldOf({ a: {}, b: {} })
    const { stamp } = world.service
    const pick = pickOf(world, 'a')
    pick.holdOff(ms, world.now)
    t.equal(world.service.stamp > stamp, until !== null, `${ms}: the stamp`)
    const { heldOff } = world.state('a')
    t.equal(heldOff?.until ?? null, until === null ? null : T0 + until, `${ms}`)
    if (reason !== undefined) t.match(conditionOf(world.state('a')), { state: 'degraded', eligible: true, since: T0, reason })
  }
})

t.test('a later one replaces an earlier one', async t => {
  for (const [first, second] of [[5000, 9000], [9000, 5000]] as const) {
    const world = worldOf({ a: {}, b: {} })
    const [one, other] = [pickOf(world, 'a'), pickOf(world, 'a')]
    one.holdOff(first, world.now)
    world.wait(1000)
    const { stamp } = world.service
    other.holdOff(second, world.now)
    t.equal(world.service.stamp, stamp, 'who is picked stays as it is')
    t.match(conditionOf(world.state('a')), { since: T0 + 1000, until: T0 + 1000 + second, reason: `answered 503 with Retry-After: ${second / 1000} s` })
    world.wait(second - 1)
    t.same(world.order(2), ['b', 'b'])
    world.wait(1)
    t.same(new Set(world.order(2)), new Set(['a', 'b']))
  }
})

t.test('it ends with the tick, without traffic, and each at its own time', async t => {
  const world = worldOf({ a: {}, b: {}, c: {}, d: {} })
  hold(world, 'a', 1000)
  hold(world, 'b', 3000)
  hold(world, 'c', 2000)
  const words = (): string[] => ['a', 'b', 'c', 'd'].map(id => conditionOf(world.state(id)).state)
  const seen: string[][] = []
  for (let i = 0; i < 4; i++) {
    const { stamp } = world.service
    world.wait(999)
    t.equal(world.service.stamp, stamp)
    world.wait(1)
    t.equal(world.service.stamp > stamp, i < 3)
    seen.push(words())
  }
  t.same(seen.map(words => words.filter(word => word === 'degraded').length), [2, 1, 0, 0])
  t.notOk(seen[0]?.[0] === 'degraded' || seen[1]?.[2] === 'degraded', 'in the order of their times')
  t.equal(world.service.heldUntil, Infinity)
})

t.test('a pick that makes a new plan does not wait for the tick', async t => {
  const world = worldOf({ a: {}, b: {} })
  hold(world, 'a', 1000)
  t.same(world.order(2), ['b', 'b'])
  world.now += 1000
  world.put('b', { weight: 1, params: { any: 'change' } })
  t.same(new Set(world.order(2)), new Set(['a', 'b']))
  t.equal(world.state('a').heldOff, null)
})

t.test('a peer that left meanwhile leaves nothing behind', async t => {
  const world = worldOf({ a: {}, b: {} })
  const late = pickOf(world, 'a')
  hold(world, 'a', 1000)
  world.remove('a')
  late.holdOff(5000, world.now)
  world.put('a')
  t.same(tally(world.order(4)), new Map([['a', 2], ['b', 2]]), 'who comes anew was not asked for anything')
  const { stamp } = world.service
  world.wait(5000)
  t.equal(world.service.stamp, stamp)
  t.equal(world.service.heldUntil, Infinity)
})

t.test('a rescue beats an error', async t => {
  const rows: Array<[what: string, prepare: (world: World) => ReadonlySet<PeerState> | undefined]> = [
    ['the others were tried', world => new Set([world.state('b'), world.state('c')])],
    ['the others are full', world => {
      for (const id of ['b', 'c']) world.put(id, { maxInflight: 1 })
      pickOf(world, 'b')
      pickOf(world, 'c')
      return undefined
    }],
    ['one was tried, one is full', world => {
      world.put('c', { maxInflight: 1 })
      pickOf(world, 'c')
      return new Set([world.state('b')])
    }],
    ['the others were ejected', world => {
      for (const id of ['b', 'c']) world.tell(id, BAD, 5)
      return undefined
    }],
    ['the others were taken out', world => {
      world.put('b', { status: 'drain' })
      world.remove('c')
      return undefined
    }],
    ['the others asked for it as well', world => {
      for (const id of ['b', 'c']) hold(world, id, 1000)
      return new Set([world.state('b'), world.state('c')])
    }]
  ]
  for (const [what, prepare] of rows) {
    const world = worldOf({ a: {}, b: {}, c: {} }, { panic: 0, outlier: outlier({ maxEjected: 1 }) })
    hold(world, 'a', 5000)
    t.not(world.send(), 'a')
    const tried = prepare(world)
    const pick = world.pick(tried)
    t.equal(pick?.peer.id, 'a', what)
    t.equal(world.state('a').inflight, 1)
    pick?.done(OK, world.now)
    t.equal(world.pick(new Set([...tried ?? [], ...world.service.peers.values()])), undefined, 'not when it was tried itself')
  }
})

t.test('when all asked for it, all take turns as ever', async t => {
  const world = worldOf({ a: { weight: 2 }, b: {}, c: {} })
  for (const id of ['a', 'b', 'c']) hold(world, id, 1000)
  t.same(expected(world), { a: 0.5, b: 0.25, c: 0.25 })
  t.same(tally(world.order(40)), new Map([['a', 20], ['b', 10], ['c', 10]]))
})

t.test('health that is ignored has no use for hold-offs', async t => {
  const world = worldOf({ a: {}, b: {}, c: {} }, { panic: 0.6, outlier: outlier({ maxEjected: 1 }) })
  hold(world, 'a', 1000)
  t.same(tally(world.order(10)), new Map([['b', 5], ['c', 5]]))
  for (const id of ['b', 'c']) world.tell(id, BAD, 5)
  t.same(tally(world.order(30)), new Map([['a', 10], ['b', 10], ['c', 10]]), 'nobody is healthier than who asked')
})

t.test('the least busy for its weight comes to the rescue, of the lowest level', async t => {
  const world = worldOf({ a: { priority: 1 }, b: {}, c: { weight: 2 }, d: { priority: 1 }, e: { priority: 2 } })
  for (const id of ['a', 'b', 'c', 'd']) hold(world, id, 1000)
  const e = new Set([world.state('e')])
  const ids = Array.from({ length: 6 }, () => world.pick(e)?.peer.id)
  t.same(tally(ids), new Map([['c', 4], ['b', 2]]))
  t.equal(ids[0], 'c')
  const low = new Set(['b', 'c', 'e'].map(id => world.state(id)))
  t.same([world.pick(low), world.pick(low), world.pick(low)].map(pick => pick?.peer.id), ['a', 'd', 'a'])
})

t.test('full only when the rescuers are too', async t => {
  const world = worldOf({ a: { maxInflight: 1 }, b: { maxInflight: 1 } })
  hold(world, 'a', 1000)
  t.equal(world.pick()?.peer.id, 'b')
  t.equal(world.pick()?.peer.id, 'a')
  t.equal(world.pick(), undefined)
  t.ok(world.picker.isFull(world.service, world.now))

  const other = worldOf({ a: { maxInflight: 1 }, b: {} })
  hold(other, 'a', 1000)
  t.notOk(other.picker.isFull(other.service, other.now))
  pickOf(other, 'a')
  t.equal(other.pick(new Set([other.state('b')])), undefined)
  t.ok(other.picker.isFull(other.service, other.now), 'the rescuer would be picked but for its bound')
})

t.test('priorities: a level whose peers asked for it hands down', async t => {
  const world = worldOf({ a: {}, b: {}, c: { priority: 1 } })
  t.same(expected(world), { a: 0.5, b: 0.5, c: 0 })
  hold(world, 'a', 1000)
  t.match(expected(world), { a: 0, b: 0.7 }, '1.4 × a half')
  t.equal(tally(world.order(100)).get('b'), 70)
  hold(world, 'b', 1000)
  t.same(expected(world), { a: 0, b: 0, c: 1 })
  t.same(new Set(world.order(20)), new Set(['c']))
  world.wait(1000)
  t.same(new Set(world.order(20)), new Set(['a', 'b']))
})

t.test('a half-open peer proves itself after the time it asked for, not before', async t => {
  const world = worldOf({ a: {}, b: {}, c: {} }, { outlier: outlier({ baseEjection: 1000, maxEjection: 1000 }) })
  hold(world, 'a', 5000)
  world.tell('a', BAD, 5)
  world.wait(1000)
  t.ok(world.state('a').halfOpen)
  t.notOk(new Set(world.order(20)).has('a'))
  t.equal(conditionOf(world.state('a')).state, 'probing', 'the higher word')
  world.wait(4000)
  t.ok(new Set(world.order(20)).has('a'))
  t.equal(conditionOf(world.state('a')).state, 'healthy')
})

t.test('a rescue by a half-open peer is its probe', async t => {
  const world = worldOf({ a: {}, b: {} }, { panic: 0, outlier: outlier({ baseEjection: 1000, maxEjection: 1000 }) })
  hold(world, 'a', 5000)
  world.tell('a', BAD, 5)
  world.wait(1000)
  const pick = world.pick(new Set([world.state('b')]))
  t.equal(pick?.peer.id, 'a')
  t.equal(world.state('a').probe, pick)
})

t.test('a peer that is new with all the others stays at full weight, held off or not', async t => {
  const world = new World({ check: checks() })
  for (const id of ['a', 'b', 'c']) world.put(id, { slowStart: 10_000 }, false)
  world.order(3)
  hold(world, 'c', 60_000)
  world.order(1)
  world.wait(9999)
  world.put('d', {}, true)
  world.order(1)
  for (const id of ['a', 'b', 'c']) t.equal(world.state(id).rampFrom, null, id)
})

t.test('whoever can take a request gets it, held off only when nobody else can', async t => {
  const way = fc.record({ held: fc.boolean(), full: fc.boolean(), tried: fc.boolean(), down: fc.boolean(), priority: fc.nat(2), weight: fc.integer({ min: 1, max: 5 }) })
  let rescues = 0
  t.doesNotThrow(() => fc.assert(fc.property(fc.array(way, { minLength: 1, maxLength: 6 }), ways => {
    const world = new World({}, () => 0)
    ways.forEach(({ held, full, down, priority, weight }, i) => {
      const state = world.service.put(peer(`p${i}`, { priority, weight, maxInflight: 1, status: down ? 'down' : 'up' }), T0, true)
      if (full) state.inflight = 1
      if (held) hold(world, state)
    })
    const of = (i: number): PeerState => world.state(`p${i}`)
    const tried = new Set(ways.flatMap(({ tried }, i) => tried ? [of(i)] : []))
    const able = ways.flatMap((way, i) => way.full || way.tried || way.down ? [] : [of(i)])
    const pick = world.pick(tried)
    if (pick === undefined) return able.length === 0
    const isRescue = pick.state.heldOff !== null
    if (isRescue) rescues++
    const isAllHeld = ways.every(({ held, down }) => held || down)
    return able.includes(pick.state) && (!isRescue || isAllHeld || able.every(state => state.heldOff !== null))
  }), { seed: 20240613, numRuns: 2000 }))
  t.ok(rescues > 100, `${rescues}`)

  function hold (world: World, state: PeerState): void {
    state.heldOff = { reason: 'asked', since: world.now, until: world.now + 1000 }
    world.service.heldUntil = world.now + 1000
  }
})
