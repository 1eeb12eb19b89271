import t from 'tap'
import { holdOff } from '../../lib/picker/hold-off.js'
import * as overrides from '../../lib/store/overrides.js'
import type { PeerState } from '../../lib/store/peer.js'
import { BALANCERS } from '../../lib/store/settings.js'
import { BAD, OK, outlier, settings, tally, World } from '../fixtures/pure.js'

/** `kept`, the peer that a client is kept on: by its cookie. */

function worldOf (fields: ConstructorParameters<typeof World>[0] = {}): World {
  const world = new World({ outlier: outlier({ maxEjected: 1 }), panic: 0, ...fields })
  for (const id of ['a', 'b', 'c', 'd']) world.put(id)
  return world
}

function pickKept (world: World, kept: PeerState | null, tried?: ReadonlySet<PeerState>): string {
  const pick = world.picker.pick(world.service, tried, world.now, null, kept)
  pick?.done(OK, world.now)
  return pick?.peer.id ?? '-'
}

/** How often the client's own peer takes its request, of 20. */
function athome (world: World, kept: PeerState, tried?: ReadonlySet<PeerState>): number {
  return Array.from({ length: 20 }, () => pickKept(world, kept, tried)).filter(id => id === kept.peer.id).length
}

t.test('every balancer leaves a client on its peer, and counts it', async t => {
  for (const balancer of BALANCERS) {
    const world = worldOf({ balancer })
    t.equal(athome(world, world.state('c')), 20, balancer)
    const picks = Array.from({ length: 6 }, () => world.picker.pick(world.service, undefined, world.now, null, world.state('c')))
    t.equal(world.state('c').inflight, 6)
    if (balancer === 'least-requests') t.notOk(Array.from({ length: 9 }, () => world.send()).includes('c'), 'it has much to do')
    for (const pick of picks) pick?.done(OK, world.now)
    t.equal(world.state('c').inflight, 0)
  }
})

t.test('who may not take it does not', async t => {
  const cases: Record<string, (world: World, state: PeerState) => void> = {
    ejected: world => world.tell('a', BAD, 5),
    'draining by the operator': (world, state) => overrides.drain(world.service, state, world.now, world.now + 1000),
    'draining by the registry': world => { world.put('a', { status: 'drain' }) },
    'weight 0': world => { world.put('a', { weight: 0 }) },
    'cut down to 0': (world, state) => overrides.cutdown(world.service, state, 0, world.now, world.now + 1000),
    'held off': (world, state) => holdOff(world.service, state, 5000, world.now),
    'failing checks': (world, state) => {
      state.check = 'failing'
      world.service.touch()
    },
    removed: world => world.remove('a'),
    'removed, and there again as another': world => {
      world.remove('a')
      world.put('a')
    }
  }
  for (const [what, change] of Object.entries(cases)) {
    const world = worldOf()
    const state = world.state('a')
    change(world, state)
    const ids = Array.from({ length: 20 }, () => pickKept(world, state))
    t.notOk(ids.includes('-'), `${what}: somebody else does`)
    t.equal(ids.filter(id => id === 'a').length, what.includes('again') ? 5 : 0, what)
    t.equal(state.inflight, 0)
  }
})

t.test('full or tried: somebody else, this time', async t => {
  const world = worldOf()
  const home = world.state('a')
  t.equal(athome(world, home, new Set([home])), 0, 'tried')
  world.put('a', { maxInflight: 1 })
  const held = world.picker.pick(world.service, undefined, world.now, null, home)
  t.equal(athome(world, home), 0, 'full')
  held?.done(OK, world.now)
  t.equal(athome(world, home), 20, 'room again')
})

t.test('it goes home again when its peer is back', async t => {
  const world = worldOf()
  const home = world.state('a')
  world.tell('a', BAD, 5)
  t.equal(athome(world, home), 0)
  world.wait(40_000)
  t.equal(pickKept(world, home), 'a', 'the request that proves it')
  t.equal(athome(world, home), 20)
  holdOff(world.service, home, 5000, world.now)
  t.equal(athome(world, home), 0)
  world.wait(5000)
  t.equal(athome(world, home), 20)
})

t.test('half-open takes one request of a client that is at home there, not all of them', async t => {
  const world = worldOf()
  const home = world.state('a')
  world.tell('a', BAD, 5)
  world.wait(40_000)
  const pick = (): string | undefined => world.picker.pick(world.service, undefined, world.now, null, home)?.peer.id
  t.same(tally([pick(), pick(), pick(), pick()].map(id => id === 'a')), new Map([[true, 1], [false, 3]]))
})

t.test('when all asked to be left alone, nobody is at home, and somebody takes it', async t => {
  const world = worldOf()
  for (const state of world.service.peers.values()) holdOff(world.service, state, 5000, world.now)
  t.same(tally(Array.from({ length: 40 }, () => pickKept(world, world.state('a')))), tally([...'abcd'.repeat(10)]))
})

t.test('in panic health and hold-offs say nothing, the operator and the registry do', async t => {
  const world = worldOf({ panic: 0.9 })
  for (const id of ['a', 'b', 'c', 'd']) world.tell(id, BAD, 5)
  const home = world.state('a')
  t.ok(world.picker.plan(world.service, world.now).panic)
  t.equal(athome(world, home), 20)
  holdOff(world.service, home, 5000, world.now)
  t.equal(athome(world, home), 20)
  overrides.drain(world.service, home, world.now, world.now + 1e6)
  t.equal(athome(world, home), 0)
})

t.test('a peer of another priority keeps its clients', async t => {
  const world = worldOf()
  world.put('backup', { priority: 1 })
  t.equal(athome(world, world.state('backup')), 20)
  t.notOk(world.order(50).includes('backup'), 'others do not go there')
  world.service.configure(settings({ balancer: 'least-requests' }), true)
  t.equal(athome(world, world.state('backup')), 20)
  t.equal(world.state('backup').inflight, 0)
})

t.test('a peer of another service is nobody here', async t => {
  const [world, other] = [worldOf(), worldOf()]
  t.not(pickKept(world, other.state('a')), '-')
  t.equal(other.state('a').inflight, 0)
})
