import fc from 'fast-check'
import t from 'tap'
import { inRotation, isEligible, serviceCondition } from '../../lib/store/condition.js'
import { drain } from '../../lib/store/overrides.js'
import { BAD, OK, outlier, World } from '../fixtures/pure.js'

/** Each letter is a way for a peer to be. */
const WAYS: Record<string, (world: World, id: string) => void> = {
  '.': () => {},
  D: (world, id) => { world.put(id, { status: 'down' }) },
  d: (world, id) => { world.put(id, { status: 'drain' }) },
  0: (world, id) => { world.put(id, { weight: 0 }) },
  o: (world, id) => drain(world.service, world.state(id), world.now, world.now + 1e6),
  x: (world, id) => { world.state(id).check = 'failing' },
  e: (world, id) => { world.state(id).ejected = { reason: 'r', since: 0, until: 1 } },
  h: (world, id) => {
    world.state(id).ejected = { reason: 'r', since: 0, until: 1 }
    world.state(id).halfOpen = true
  },
  p: (world, id) => { world.state(id).check = 'probing' },
  g: (world, id) => { world.state(id).consecutive5xx = 3 },
  r: (world, id) => { world.state(id).heldOff = { reason: 'r', since: 0, until: 1 } }
}

function worldOf (ways: string, panic = 0.5): World {
  const world = new World({ panic, outlier: outlier() })
  ;[...ways].forEach((way, i) => {
    world.put(`p${i}`)
    WAYS[way]?.(world, `p${i}`)
  })
  world.service.touch()
  return world
}

function condition (world: World) {
  return serviceCondition(world.service, world.picker.plan(world.service, world.now).panic)
}

t.test('the words, with their numbers', async t => {
  const cases: Array<[ways: string, panic: number, state: string, reason: string | null]> = [
    ['', 0.5, 'empty', 'no peer is registered'],
    ['Dd0o', 0.5, 'empty', 'out on purpose: 4 of 4 peers'],
    ['...', 0.5, 'healthy', null],
    ['.DDDD', 0.5, 'healthy', null],
    ['..p', 0.5, 'healthy', null],
    ['..h', 0.5, 'healthy', null],
    ['..x', 0.5, 'degraded', '1 of 3 peers are failing'],
    ['..eD', 0.5, 'degraded', '1 of 3 peers are failing'],
    ['..g', 0.5, 'degraded', '1 of 3 peers are failing'],
    ['..r', 0.5, 'degraded', '1 of 3 peers are failing'],
    ['rr', 0.5, 'degraded', '2 of 2 peers are failing'],
    ['.xe', 0.5, 'panic', 'only 1 of 3 peers are healthy, so health is ignored'],
    ['x', 0.5, 'panic', 'only 0 of 1 peers are healthy, so health is ignored'],
    ['xe', 0, 'down', 'none of 2 peers is eligible'],
    ['pp', 0.5, 'down', 'none of 2 peers is eligible'],
    ['xeD', 0, 'down', 'none of 2 peers is eligible']
  ]
  for (const [ways, panic, state, reason] of cases) t.same(condition(worldOf(ways, panic)), { state, reason }, `"${ways}" at ${panic}`)
})

t.test('whose peers are all out is never green; out on purpose is never red', async t => {
  const ways = fc.array(fc.constantFrom(...Object.keys(WAYS)), { maxLength: 8 }).map(all => all.join(''))
  fc.assert(fc.property(ways, fc.constantFrom(0, 0.5, 1), (ways, panic) => {
    const world = worldOf(ways, panic)
    const { state } = condition(world)
    const states = [...world.service.peers.values()]
    const wanted = states.filter(inRotation)
    if (!states.some(isEligible) && state === 'healthy') throw new Error(`green: ${ways}`)
    if (wanted.length === 0 && state !== 'empty') throw new Error(`${state} although all are out on purpose: ${ways}`)
    if (wanted.length > 0 && state === 'empty') throw new Error(`empty: ${ways}`)
    // What is called down answers nobody, and nothing else does so but what is empty.
    const served = world.pick() !== undefined
    if (served === (state === 'down' || state === 'empty')) throw new Error(`${state}, but ${served ? 'served' : 'not served'}: ${ways}`)
  }), { seed: 20240611, numRuns: 2000 })
  t.pass()
})

t.test('it follows what happens', async t => {
  const world = worldOf('....')
  const seen = [condition(world).state]
  world.tell('p0', BAD, 5)
  seen.push(condition(world).state)
  world.tell('p1', BAD, 5)
  seen.push(condition(world).state)
  world.wait(40_000)
  for (let i = 0; i < 8; i++) world.send(OK)
  seen.push(condition(world).state)
  t.same(seen, ['healthy', 'degraded', 'degraded', 'healthy'])
})
