import t from 'tap'
import { BAD, OK, outlier, seeded, tally, World } from '../fixtures/pure.js'

/** `primaries` peers p0… of priority 0 and `backups` peers b0… of priority 1. */
function worldOf (primaries: number, backups: number, panic = 0): World {
  const world = new World({ panic, outlier: outlier({ maxEjected: 1 }) })
  for (let i = 0; i < primaries; i++) world.put(`p${i}`)
  for (let i = 0; i < backups; i++) world.put(`b${i}`, { priority: 1 })
  return world
}

function fail (world: World, ...ids: string[]): void {
  for (const id of ids) world.tell(id, BAD, 5)
}

/** How many of `n` requests went to the level whose ids begin with `letter`. */
function to (world: World, letter: string, n = 1000): number {
  return world.order(n).filter(id => id.startsWith(letter)).length
}

t.test('the lowest level takes all while at least 71.4 % of it is healthy, else the excess spills', async t => {
  const cases: Array<[primaries: number, out: number, toPrimaries: number]> = [
    [7, 0, 1000],
    [7, 2, 1000],
    [7, 3, 800],
    [10, 2, 1000],
    [10, 3, 980],
    [10, 5, 700],
    [10, 9, 140],
    [10, 10, 0]
  ]
  for (const [primaries, out, expected] of cases) {
    const world = worldOf(primaries, 4)
    fail(world, ...Array.from({ length: out }, (_, i) => `p${i}`))
    const got = to(world, 'p')
    t.ok(Math.abs(got - expected) <= 1, `${out} of ${primaries} out: ${got} of ${expected}`)
  }
})

t.test('within each level the weights decide', async t => {
  const world = worldOf(2, 0)
  world.put('b0', { priority: 1, weight: 3 })
  world.put('b1', { priority: 1, weight: 1 })
  fail(world, 'p0')
  const counts = tally(world.order(1000))
  t.equal(counts.get('p1'), 700)
  t.equal(counts.get('b0'), 225)
  t.equal(counts.get('b1'), 75)
  const shares = [...world.picker.shares(world.service, world.now)].map(([{ peer }, share]) => [peer.id, Math.round(share.expectedShare * 1000)])
  t.same(shares, [['p0', 0], ['p1', 700], ['b0', 225], ['b1', 75]])
})

t.test('three levels hand down what is left over', async t => {
  const world = worldOf(2, 2)
  for (const id of ['c0', 'c1']) world.put(id, { priority: 7 })
  fail(world, 'p0', 'b0')
  const order = world.order(1000)
  const of = (letter: string): number => order.filter(id => id.startsWith(letter)).length
  t.same([of('p'), of('b'), of('c')], [700, 300, 0])
  fail(world, 'p1')
  const later = world.order(1000)
  t.ok(Math.abs(later.filter(id => id.startsWith('b')).length - 700) <= 1)
  t.ok(Math.abs(later.filter(id => id.startsWith('c')).length - 300) <= 1)
})

t.test('falling short altogether, the shares are stretched', async t => {
  const world = worldOf(10, 10)
  fail(world, ...Array.from({ length: 8 }, (_, i) => `p${i}`), ...Array.from({ length: 8 }, (_, i) => `b${i}`))
  const got = to(world, 'p')
  t.ok(Math.abs(got - 500) <= 1, `0.28 and 0.28 of the requests are a half each, got ${got}`)
})

t.test('peers that are out on purpose count in no level', async t => {
  const world = worldOf(10, 2)
  for (let i = 0; i < 8; i++) world.put(`p${i}`, { status: 'down' })
  t.equal(to(world, 'p'), 1000, 'two healthy peers of two')
  for (let i = 8; i < 10; i++) world.put(`p${i}`, { status: 'drain' })
  t.equal(to(world, 'b'), 1000, 'nobody is left in the first level')
})

t.test('a backup takes over when the primaries were all tried or are full', async t => {
  const world = worldOf(1, 1)
  t.equal(world.pick(new Set([world.state('p0')]))?.peer.id, 'b0')
  world.put('p0', { maxInflight: 1 })
  world.pick()
  t.equal(world.pick()?.peer.id, 'b0')
})

t.test('once the primaries are back, the others get nothing at all, whatever they were owed', async t => {
  for (let seed = 1; seed <= 500; seed++) {
    const random = seeded(seed)
    const world = new World({ panic: 0 }, random)
    const ids = Array.from({ length: 40 }, (_, i) => `${i % 4}-${i}`)
    for (const id of ids) world.put(id, { priority: Number(id[0]) })
    for (let round = 0; round < 6; round++) {
      const failing = [0, 1, 2, 3].map(() => Math.floor(random() * 11))
      for (const id of ids) world.state(id).check = Number(id.slice(2)) / 4 < (failing[Number(id[0])] ?? 0) ? 'failing' : 'passing'
      world.service.touch()
      world.order(Math.floor(random() * 7))
    }
    for (const id of ids) world.state(id).check = 'passing'
    world.service.touch()
    const strangers = world.order(3).filter(id => !id.startsWith('0'))
    if (strangers.length > 0) t.fail(`${strangers} with seed ${seed}`)
  }
  t.pass()
})

t.test('a primary alone in its level gets the request that proves it', async t => {
  const world = new World({})
  world.put('p0')
  world.put('b0', { priority: 1 })
  fail(world, 'p0')
  t.equal(to(world, 'b', 100), 100)
  world.wait(30_000)
  const probe = world.pick()
  t.equal(probe?.peer.id, 'p0')
  t.equal(to(world, 'b', 100), 100, 'one request, not more')
  probe?.done(OK, world.now)
  t.equal(to(world, 'p', 100), 100)
})

t.test('with nobody healthy anywhere and panic, the first level that has anybody takes everything', async t => {
  const world = worldOf(2, 2, 0.5)
  fail(world, 'p0', 'p1', 'b0', 'b1')
  t.ok(world.picker.plan(world.service, world.now).panic)
  t.equal(to(world, 'p'), 1000)
  for (const id of ['p0', 'p1']) world.put(id, { status: 'down' })
  t.equal(to(world, 'b'), 1000)
  const shares = [...world.picker.shares(world.service, world.now)].map(([, { expectedShare }]) => expectedShare)
  t.same(shares, [0, 0, 0.5, 0.5])
})
