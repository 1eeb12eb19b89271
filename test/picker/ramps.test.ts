import t from 'tap'
import type { Pick } from '../../lib/picker/picker.js'
import { BALANCERS, type BalancerName } from '../../lib/store/settings.js'
import { BAD, checks, OK, outlier, seeded, World } from '../fixtures/pure.js'

/**
 * Slow start for every balancer: whoever joins or comes back gets as much of the traffic as Envoy's formula says, while
 * enough requests are under way for the load-aware ones to see a difference.
 */

const RAMP = 100_000
const UNDER_WAY = 120
const PICKS = 3000

/** Keeps so many requests under way and tells what part of the further ones went to `id`. */
function shareOf (world: World, id: string, random: () => number): number {
  const open: Pick[] = []
  let got = 0
  for (let i = 0; i < PICKS; i++) {
    const pick = world.picker.pick(world.service, undefined, world.now, `key ${Math.floor(random() * 1e6)}`)
    if (pick === undefined) throw new Error('nobody')
    open.push(pick)
    if (pick.peer.id === id) got++
    if (open.length > UNDER_WAY) open.splice(Math.floor(random() * open.length), 1)[0]?.done(OK, world.now)
  }
  for (const pick of open) pick.done(OK, world.now)
  return got / PICKS
}

function worldOf (balancer: BalancerName, aggression = 1): World {
  const world = new World({
    balancer,
    slowStart: { minWeight: 0.1, aggression },
    outlier: outlier({ baseEjection: 30_000 }),
    check: checks({ path: '/', rise: 1, fall: 1, interval: 1000 })
  }, seeded(7))
  for (const id of ['a', 'b', 'c']) world.put(id, { slowStart: RAMP })
  return world
}

/** From now on `id` ramps up among four, or three: its share follows the formula. */
function follow (world: World, id: string, aggression: number): string[] {
  const random = seeded(3)
  const others = world.service.peers.size - 1
  const start = world.now
  const wrong: string[] = []
  for (const at of [0, 20_000, 50_000, 80_000, 100_000, 120_000]) {
    world.wait(start + at - world.now)
    const part = at >= RAMP ? 1 : Math.max(0.1, (at / RAMP) ** (1 / aggression))
    const expected = part / (part + others)
    const got = shareOf(world, id, random)
    // Hashing goes by steps of a sixteenth, and the chance of which keys come is in it.
    if (Math.abs(got - expected) > 0.045) wrong.push(`after ${at / 1000} s ${got.toFixed(3)} in place of ${expected.toFixed(3)}`)
  }
  return wrong
}

t.test('after joining, for every balancer', async t => {
  for (const balancer of BALANCERS) {
    for (const aggression of [1, 2]) {
      const world = worldOf(balancer, aggression)
      world.now += 1000
      world.put('new', { slowStart: RAMP }, false)
      world.state('new').check = 'passing'
      world.service.touch()
      t.same(follow(world, 'new', aggression), [], `${balancer}, aggression ${aggression}`)
    }
  }
})

t.test('after an ejection', async t => {
  for (const balancer of BALANCERS) {
    const world = worldOf(balancer)
    world.wait(RAMP)
    world.tell('a', BAD, 5)
    t.equal(shareOf(world, 'a', seeded(1)), 0, `${balancer}: it is out`)
    world.wait(40_000)
    // One request proves it; where keys decide, that is one of its own.
    for (let i = 0; i < 200 && world.state('a').ejected !== null; i++) {
      world.picker.pick(world.service, undefined, world.now, `key ${i}`)?.done(OK, world.now)
    }
    t.equal(world.state('a').ejected, null)
    t.same(follow(world, 'a', 1), [], balancer)
  }
})

t.test('after failed checks', async t => {
  for (const balancer of BALANCERS) {
    const world = worldOf(balancer)
    world.wait(RAMP)
    const check = (ok: boolean): void => {
      for (const task of world.due()) world.conclude(task, ok || task.peer.id !== 'a')
    }
    check(false)
    t.equal(world.state('a').check, 'failing')
    t.equal(shareOf(world, 'a', seeded(1)), 0, `${balancer}: it is out`)
    world.wait(5000)
    check(true)
    t.equal(world.state('a').check, 'passing')
    t.same(follow(world, 'a', 1), [], balancer)
  }
})
