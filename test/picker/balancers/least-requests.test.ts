import fc from 'fast-check'
import t from 'tap'
import type { MayTake } from '../../../lib/picker/balancer.js'
import { LeastRequests } from '../../../lib/picker/balancers/least-requests.js'
import type { Pick } from '../../../lib/picker/picker.js'
import type { PeerState } from '../../../lib/store/peer.js'
import type { BalancerName } from '../../../lib/store/settings.js'
import { chiBound, chiSquare, Crowd, steady } from '../../fixtures/crowd.js'
import { OK, seeded, settings, tally, World } from '../../fixtures/pure.js'

const SEED = 20240611

function crowdOf (weights: readonly number[], random: () => number = seeded(SEED)): Crowd {
  return new Crowd(new LeastRequests(random), weights)
}

/** By a naive look at all: nobody of those allowed has less to do for his weight. */
function isLeast ({ states, weights }: Crowd, chosen: PeerState, places: readonly number[], mayTake?: MayTake): boolean {
  const load = (state: PeerState): number => (state.inflight + 1) / (weights[states.indexOf(state)] ?? NaN)
  return places.map(place => states[place]).every(state => state === undefined || mayTake?.(state) === false || load(chosen) <= load(state))
}

t.test('equal and idle, they take exact turns', async t => {
  for (const n of [1, 2, 3, 7, 100]) {
    const order = crowdOf(Array.from({ length: n }, () => 1)).order(5 * n)
    t.equal(new Set(order.slice(0, n)).size, n, `${n} peers, each once`)
    t.same(order.slice(n), [...order.slice(0, n), ...order.slice(0, n), ...order.slice(0, n), ...order.slice(0, n)])
  }
})

t.test('gateways begin at different ones', async t => {
  const firsts = tally(Array.from({ length: 400 }, (_, seed) => crowdOf([1, 1, 1, 1], seeded(seed)).send()))
  const chi = chiSquare(['0', '1', '2', '3'].map(id => firsts.get(id) ?? 0), [1, 1, 1, 1])
  t.ok(chi < chiBound(4), `${chi}`)
})

t.test('equal and as busy, they take turns as well', async t => {
  const crowd = crowdOf([1, 1, 1])
  const order = Array.from({ length: 9 }, () => crowd.open()?.peer.id)
  for (const from of [0, 3, 6]) t.equal(new Set(order.slice(from, from + 3)).size, 3)
  t.same(crowd.states.map(({ inflight }) => inflight), [3, 3, 3])
})

t.test('requests under way by weight', async t => {
  const crowd = crowdOf([4, 2, 1])
  for (let i = 0; i < 70; i++) crowd.open()
  t.same(crowd.states.map(({ inflight }) => inflight), [40, 20, 10])
})

t.test('who ends sooner gets more', async t => {
  const crowd = crowdOf([1, 1])
  for (let i = 0; i < 10; i++) crowd.openAt(crowd.at(0))
  t.same(new Set(crowd.order(20)), new Set(['1']))
})

t.test('weights as small as a double can be take turns, and count', async t => {
  for (const tiny of [1e-310, Number.MIN_VALUE]) {
    t.same(tally(crowdOf([tiny, tiny]).order(10)), tally([...'0101010101']), `two of ${tiny}`)
    const crowd = crowdOf([tiny, tiny, tiny])
    for (let i = 0; i < 9; i++) crowd.open()
    t.same(crowd.states.map(({ inflight }) => inflight), [3, 3, 3], `three of ${tiny}, requests under way`)
    const beside = crowdOf([1e6, tiny, tiny])
    t.same(new Set(beside.order(10)), new Set(['0']), `${tiny} beside a million`)
    t.same(tally(Array.from({ length: 10 }, () => beside.send(null, state => state !== beside.at(0)))), tally([...'1212121212']), 'and when that is out, turns')
  }
})

t.test('many out: the least of those that are left', async t => {
  const random = seeded(SEED)
  for (const n of [3, 70, 500]) {
    const crowd = crowdOf(Array.from({ length: n }, () => 1 + Math.floor(random() * 4)), random)
    const places = crowd.states.map((_, place) => place)
    for (let i = 0; i < 300; i++) {
      const out = new Set(crowd.states.filter(() => random() < i / 300))
      const mayTake: MayTake = state => !out.has(state)
      const state = crowd.open(null, mayTake)
      if (state === undefined) t.equal(out.size, n)
      else if (out.has(state) || !(isLeastOf(crowd, state, places, mayTake))) t.fail(`${n} peers, ${out.size} out`)
    }
  }
})

/** As it was before the request that has just begun. */
function isLeastOf (crowd: Crowd, state: PeerState, places: readonly number[], mayTake?: MayTake): boolean {
  state.inflight--
  const answer = isLeast(crowd, state, places, mayTake)
  state.inflight++
  return answer
}

t.test('nothing drifts: always the least, whatever opens, ends, leaves, comes back or weighs differently', async t => {
  const step = fc.record({ kind: fc.constantFrom('open', 'open', 'open', 'close', 'close', 'weigh', 'leave', 'join', 'anew', 'stranger'), n: fc.nat(), weight: fc.oneof(fc.integer({ min: 1, max: 5 }), fc.double({ min: 1e-3, max: 5, noNaN: true })) })
  fc.assert(fc.property(fc.array(step, { maxLength: 150 }), fc.integer(), (steps, seed) => {
    const crowd = crowdOf([1, 2, 3, 1, 1, 1], seeded(seed))
    let places = [0, 1, 2, 3, 4, 5]
    const open: PeerState[] = []
    for (const { kind, n, weight } of steps) {
      const place = n % 6
      if (kind === 'open') {
        const state = crowd.open()
        if (state === undefined ? places.length > 0 : !isLeastOf(crowd, state, places)) throw new Error(`${state?.peer.id} is not the least`)
        if (state !== undefined) open.push(state)
      } else if (kind === 'close') {
        const [state] = open.splice(n % (open.length + 1), 1)
        if (state !== undefined) crowd.close(state)
      } else if (kind === 'stranger') {
        // Sticky clients and probes go to peers that nobody chose, candidates or not.
        crowd.openAt(crowd.at(place))
        open.push(crowd.at(place))
      } else {
        if (kind === 'weigh') crowd.weights[place] = weight
        if (kind === 'leave') places = places.filter(other => other !== place)
        if (kind === 'join' && !places.includes(place)) places = [...places, place]
        // The same address, removed and registered again: what was under way at the old one ends later.
        if (kind === 'anew') crowd.states[place] = new Crowd(new LeastRequests(() => 0), [1], [String(place)]).at(0)
        crowd.rebuild(places)
      }
    }
  }), { seed: SEED, numRuns: 300 })
  t.pass()
})

t.test('balancers swapped while requests are under way: what is in flight is right, and the least is chosen', async t => {
  const random = seeded(SEED)
  const world = new World({}, random)
  for (const id of ['a', 'b', 'c', 'd']) world.put(id)
  const open: Pick[] = []
  const names: BalancerName[] = ['round-robin', 'least-requests', 'p2c-ewma', 'hash', 'random', 'least-requests', 'round-robin']
  for (const name of names) {
    world.service.configure(settings({ balancer: name }), true)
    for (let i = 0; i < 200; i++) {
      const least = Math.min(...[...world.service.peers.values()].map(({ inflight }) => inflight))
      const pick = world.picker.pick(world.service, undefined, world.now, `key ${i % 7}`)
      if (pick === undefined) throw new Error('nobody')
      if (name === 'least-requests') t.equal(pick.state.inflight - 1, least)
      open.push(pick)
      if (open.length > 20) open.splice(Math.floor(random() * open.length), 1)[0]?.done(OK, world.now)
    }
    t.same([...world.service.peers.values()].reduce((sum, { inflight }) => sum + inflight, 0), open.length, name)
  }
  for (const pick of open) pick.done(OK, world.now)
  t.same([...world.service.peers.values()].map(({ inflight }) => inflight), [0, 0, 0, 0])
  world.service.configure(settings({ balancer: 'least-requests' }), true)
  t.same([...tally(world.order(40)).values()], [10, 10, 10, 10])
})

t.test('who leaves with requests under way, and comes back, is as busy as he is', async t => {
  const world = new World({ balancer: 'least-requests' }, () => 0)
  for (const id of ['a', 'b']) world.put(id)
  const held = Array.from({ length: 10 }, () => world.pick())
  world.put('a', { status: 'down' })
  for (const pick of held.filter(pick => pick?.peer.id === 'b')) pick?.done(OK, world.now)
  world.order(3)
  world.put('a')
  t.same(new Set(world.order(10)), new Set(['b']), 'five are still under way at a')
  for (const pick of held) pick?.done(OK, world.now)
  t.same(tally(world.order(10)), new Map([['a', 5], ['b', 5]]))
})

t.test('shares by weight while enough is under way', async t => {
  const random = seeded(SEED)
  const got = steady(crowdOf([1, 2, 3, 4], random), 200, 20_000, random)
  got.forEach((n, i) => t.ok(Math.abs(n - 2000 * (i + 1)) < 200, `${n} of ${2000 * (i + 1)}`))
})

t.test('with nobody there, nobody is chosen', async t => {
  const crowd = crowdOf([1])
  crowd.rebuild([])
  t.equal(crowd.send(), '-')
  t.equal(crowd.send(null, () => true), '-')
})
