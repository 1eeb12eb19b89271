import t from 'tap'
import type { CheckCondition, Peer } from '../../lib/store/peer.js'
import { drain } from '../../lib/store/overrides.js'
import { BAD, outlier, tally, World } from '../fixtures/pure.js'

/** One peer for each condition of its checks, a, b, c …, and a world that panics below `panic`. */
function worldOf (conditions: readonly CheckCondition[], panic = 0.5): World {
  const world = new World({ panic, outlier: outlier({ maxEjected: 1 }) })
  conditions.forEach((condition, i) => {
    world.put(String.fromCharCode(97 + i)).check = condition
    world.service.touch()
  })
  return world
}

function panics (world: World): boolean {
  return world.picker.plan(world.service, world.now).panic
}

t.test('below the threshold, and not at it', async t => {
  const [up, out] = ['passing', 'failing'] as const
  const cases: Array<[CheckCondition[], number, boolean]> = [
    [[up, up], 0.5, false],
    [[up, out], 0.5, false],
    [[up, out, out], 0.5, true],
    [[out], 0.5, true],
    [[out, out], 0.5, true],
    [[out, out], 0, false],
    [[up, out, out, out], 0.25, false],
    [[up, out, out, out], 0.26, true],
    [[up, up, up, out], 1, true],
    [[up, up], 1, false],
    [[], 0.5, false]
  ]
  for (const [conditions, threshold, expected] of cases) {
    t.equal(panics(worldOf(conditions, threshold)), expected, `${conditions.join()} at ${threshold}`)
  }
})

t.test('who still waits for a first check counts in neither part', async t => {
  t.notOk(panics(worldOf(['passing', 'failing', 'probing', 'probing', 'probing'])), '1 of 2, not 1 of 5')
  t.ok(panics(worldOf(['passing', 'failing', 'failing', 'probing'])), '1 of 3, not 2 of 4')
  const waiting = worldOf(['probing', 'probing'])
  t.notOk(panics(waiting), 'nobody was judged')
  t.equal(waiting.pick(), undefined)
  t.notOk(panics(worldOf(['none', 'unchecked', 'failing'])), 'who is not checked is healthy')
})

t.test('ejected peers count as not healthy', async t => {
  const world = worldOf(['none', 'none', 'none'])
  world.tell('a', BAD, 5)
  t.notOk(panics(world))
  world.tell('b', BAD, 5)
  t.ok(panics(world))
})

t.test('in panic everybody in rotation gets a share, and each pick says so', async t => {
  const world = worldOf(['failing', 'failing', 'passing', 'probing'])
  const pick = world.pick()
  t.equal(pick?.panic, true)
  pick?.done({ status: 200, ms: 1 }, world.now)
  t.same(tally(world.order(40)), new Map([['a', 10], ['b', 10], ['c', 10], ['d', 10]]))
})

t.test('it never overrides the registry or an operator', async t => {
  const world = worldOf(['failing', 'failing', 'failing', 'failing', 'failing'])
  const out: Array<Partial<Peer>> = [{ status: 'down' }, { status: 'drain' }, { weight: 0 }]
  out.forEach((fields, i) => world.put(String.fromCharCode(97 + i), fields))
  drain(world.service, world.state('d'), world.now, world.now + 60_000)
  t.ok(panics(world))
  t.same(new Set(world.order(20)), new Set(['e']))
})

t.test('what the registry calls down counts in neither part', async t => {
  const world = worldOf(['passing', 'failing', 'failing', 'failing'])
  t.ok(panics(world))
  for (const id of ['c', 'd']) world.put(id, { status: 'down' })
  t.notOk(panics(world), '1 of 2')
})

t.test('it ends with the next pick after enough have recovered', async t => {
  const world = worldOf(['failing', 'failing', 'passing'])
  t.ok(panics(world))
  world.state('a').check = 'passing'
  world.service.touch()
  t.notOk(panics(world))
  t.same(tally(world.order(10)), new Map([['a', 5], ['c', 5]]))
})
