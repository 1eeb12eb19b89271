import fc from 'fast-check'
import t from 'tap'
import { Hash } from '../../../lib/picker/balancers/hash.js'
import { textHash } from '../../../lib/picker/balancers/text-hash.js'
import type { PeerState } from '../../../lib/store/peer.js'
import { chiBound, chiSquare, Crowd } from '../../fixtures/crowd.js'
import { seeded, settings, tally, World } from '../../fixtures/pure.js'

const SEED = 20240611
/** What a bound may be off by for rounding. */
const TINY = 1e-9
const KEYS = Array.from({ length: 20_000 }, (_, i) => `user-${i}`)
const ids = (n: number): string[] => Array.from({ length: n }, (_, i) => `10.0.${i >> 8}.${i & 255}:80`)

function crowdOf (weights: readonly number[], random: () => number = () => 0.5): Crowd {
  return new Crowd(new Hash(random), weights, ids(weights.length))
}

/** Who takes each key while nothing else is under way. */
function mapOf (crowd: Crowd, keys: readonly string[] = KEYS): string[] {
  return keys.map(key => crowd.send(key))
}

/** What part of the keys has moved. */
function moved (before: readonly string[], after: readonly string[]): number {
  return before.filter((id, i) => id !== after[i]).length / before.length
}

/** Breaks the promise that nobody is above 1.5 times his share of what is under way, or keeps it. */
function isBounded ({ states, weights }: Crowd): boolean {
  const total = weights.reduce((a, b) => a + b, 0)
  const inflight = states.reduce((sum, state) => sum + state.inflight, 0)
  return states.every((state, i) => state.inflight <= Math.ceil(1.5 * (weights[i] ?? 0) / total * inflight + TINY))
}

t.test('the same key, the same peer, while nothing is under way', async t => {
  const crowd = crowdOf([1, 1, 1, 1, 1])
  const first = mapOf(crowd)
  t.same(mapOf(crowd), first)
  t.equal(new Set(first).size, 5)
})

t.test('more peers than the largest table has hundreds of slots for', async t => {
  const n = 8000
  const crowd = crowdOf(Array.from({ length: n }, () => 1))
  const before = mapOf(crowd, KEYS.slice(0, 5000))
  const perPeer = tally(before)
  t.ok(Math.max(...perPeer.values()) < 8, 'five thousand keys lie thin')
  crowd.rebuild(Array.from({ length: n - 1 }, (_, place) => place))
  t.ok(moved(before, mapOf(crowd, KEYS.slice(0, 5000))) < 0.01)
})

t.test('keys by weight', async t => {
  const weights = [5, 1, 1, 3]
  const counts = tally(mapOf(crowdOf(weights)))
  const chi = chiSquare(ids(4).map(id => counts.get(id) ?? 0), weights)
  t.ok(chi < chiBound(4), `${chi}`)
})

t.test('losing one of n peers moves the keys of that one and few others; it comes back to the same table', async t => {
  for (const [n, bound] of [[3, 0.36], [10, 0.115], [100, 0.022], [656, 0.014], [1000, 0.012]] as const) {
    const crowd = crowdOf(Array.from({ length: n }, () => 1))
    const before = mapOf(crowd)
    const places = Array.from({ length: n }, (_, i) => i)
    const lost = Math.floor(n / 2)
    crowd.rebuild(places.filter(place => place !== lost))
    const after = mapOf(crowd)
    const part = moved(before, after)
    const own = before.filter(id => id === crowd.at(lost).peer.id).length / before.length
    t.ok(part >= own && part <= bound, `${n} peers: ${(100 * part).toFixed(2)} % moved, ${(100 * own).toFixed(2)} % were its own`)
    crowd.rebuild()
    t.same(mapOf(crowd), before, 'the same table again')
  }
})

t.test('a weight that is halved moves about what its peer loses', async t => {
  const crowd = crowdOf([2, 2, 2, 2, 2])
  const before = mapOf(crowd)
  crowd.weights[0] = 1
  crowd.rebuild()
  const part = moved(before, mapOf(crowd))
  t.ok(part > 0.08 && part < 0.16, `${part}; its share falls from 20 % to 11.1 %`)
})

t.test('every gateway agrees, whatever the order in which it heard of the peers', async t => {
  const keys = KEYS.slice(0, 500)
  const maps = [1, 2, 3].map(seed => {
    const random = seeded(seed)
    const world = new World({ balancer: 'hash' }, random)
    const order = ids(20).map(id => ({ id, at: random() })).sort((a, b) => a.at - b.at)
    for (const { id } of order) world.put(id, { weight: 1 + Number(id.split('.')[3]?.split(':')[0]) % 3 })
    return keys.map(key => {
      const pick = world.picker.pick(world.service, undefined, world.now, key)
      pick?.done({ status: 200, ms: 1 }, world.now)
      return pick?.peer.id
    })
  })
  t.same(maps[1], maps[0])
  t.same(maps[2], maps[0])
})

t.test('the peer that comes back is known anew, and has its keys again', async t => {
  const world = new World({ balancer: 'hash' })
  for (const id of ids(5)) world.put(id)
  const who = (key: string): PeerState | undefined => world.picker.pick(world.service, undefined, world.now, key)?.state
  const first = who('a')
  const id = first?.peer.id ?? ''
  world.remove(id)
  t.not(who('a')?.peer.id, id)
  world.put(id)
  t.equal(who('a'), world.state(id))
  t.not(who('a'), first)
})

t.test('a request without a key goes by weight', async t => {
  const random = seeded(SEED)
  const weights = [1, 2, 3, 4]
  const counts = tally(crowdOf(weights, random).order(10_000))
  const chi = chiSquare(ids(4).map(id => counts.get(id) ?? 0), weights)
  t.ok(chi < chiBound(4), `${chi}`)
})

t.test('nobody gets more than 1.5 times his share of what is under way, not of one hot key either', async () => {
  const odd = [10, ...Array.from({ length: 900 }, () => 1), 10, 10]
  const sets = [[1], [1, 1, 1], [5, 1, 1], Array.from({ length: 100 }, () => 1), odd, [100, ...Array.from({ length: 300 }, () => 1)]]
  for (const weights of sets) {
    for (const key of ['hot', 'other', 'x']) {
      const crowd = crowdOf(weights)
      for (let i = 0; i < 400; i++) {
        crowd.open(key)
        if (!isBounded(crowd)) throw new Error(`${weights.length} peers, ${i + 1} under way: ${Math.max(...crowd.states.map(({ inflight }) => inflight))} at one`)
      }
    }
  }
})

t.test('nobody is given one above his bound, whatever the keys are and in whatever order requests end', async t => {
  const step = fc.oneof(fc.record({ key: fc.oneof(fc.constantFrom('hot', 'warm', null), fc.string()) }), fc.record({ close: fc.nat() }))
  const weight = fc.oneof(fc.integer({ min: 1, max: 20 }), fc.double({ min: 1e-3, max: 10, noNaN: true }))
  fc.assert(fc.property(fc.array(weight, { minLength: 1, maxLength: 12 }), fc.array(step, { maxLength: 120, size: 'max' }), fc.integer(), (weights, steps, seed) => {
    const crowd = crowdOf(weights, seeded(seed))
    const total = weights.reduce((a, b) => a + b, 0)
    const open: PeerState[] = []
    for (const step of steps) {
      if ('close' in step) {
        const [state] = open.splice(step.close % (open.length + 1), 1)
        if (state !== undefined) crowd.close(state)
        continue
      }
      const state = crowd.open(step.key)
      if (state === undefined) throw new Error('nobody')
      open.push(state)
      // The bound is of the moment at which it is given the request; others' ends may leave it above.
      const bound = Math.ceil(1.5 * open.length * (weights[crowd.states.indexOf(state)] ?? 0) / total + TINY)
      if (state.inflight > bound) throw new Error(`${state.peer.id} has ${state.inflight}, its bound is ${bound}`)
    }
  }), { seed: SEED, numRuns: 60 })
  t.pass()
})

t.test('who was tried or is full is passed over, the same way each time', async t => {
  const crowd = crowdOf(Array.from({ length: 8 }, () => 1))
  const tried = new Set<PeerState>()
  const order = (key: string): string[] => {
    tried.clear()
    return Array.from({ length: 9 }, () => {
      const id = crowd.send(key, state => !tried.has(state))
      const state = crowd.states.find(({ peer }) => peer.id === id)
      if (state !== undefined) tried.add(state)
      return id
    })
  }
  const first = order('a')
  t.equal(new Set(first).size, 9, 'everybody once, then nobody')
  t.equal(first[8], '-')
  t.same(order('a'), first)
  t.equal(crowd.send('a'), first[0], 'it has its key again')
  t.not(order('b').join(), first.join(), 'another key, another order')
})

t.test('behind the last slot comes the first one', async t => {
  const SLOTS = 65537
  const keyAt = (slot: number): string => {
    for (let i = 0; ; i++) if (Math.floor(textHash(`${i}`, 0) / 2 ** 32 * SLOTS) === slot) return `${i}`
  }
  const crowd = crowdOf(Array.from({ length: 8 }, () => 1))
  const [last, ...others] = [keyAt(SLOTS - 1), ...[0, 1, 2, 3, 4, 5].map(keyAt)]
  const home = crowd.send(last)
  const expected = mapOf(crowd, others).find(id => id !== home)
  t.equal(crowd.send(last, ({ peer }) => peer.id !== home), expected)
})

t.test('all but one out, among many', async t => {
  const crowd = crowdOf(Array.from({ length: 1000 }, () => 1))
  for (const place of [0, 500, 999]) t.equal(crowd.send('a', state => state === crowd.at(place)), crowd.at(place).peer.id)
})

t.test('a peer whose share comes to nothing is still better than nobody', async t => {
  for (const tiny of [1e-310, Number.MIN_VALUE]) {
    const crowd = crowdOf([tiny, 1_000_000])
    t.same(new Set(mapOf(crowd, KEYS.slice(0, 100))), new Set([crowd.at(1).peer.id]))
    t.equal(crowd.send('a', state => state === crowd.at(0)), crowd.at(0).peer.id, `${tiny}`)
    t.equal(new Set(mapOf(crowdOf([tiny, tiny]))).size, 2, `two of ${tiny}`)
  }
})

t.test('with nobody there, nobody is chosen', async t => {
  const crowd = crowdOf([1])
  crowd.rebuild([])
  t.equal(crowd.send('a'), '-')
  t.equal(crowd.send(null), '-')
  crowd.rebuild()
  t.equal(crowd.send('a'), crowd.at(0).peer.id)
})

t.test('what is under way outlives a rebuild, and who left counts no more', async t => {
  const crowd = crowdOf([1, 1, 1])
  for (let i = 0; i < 30; i++) crowd.open('hot')
  crowd.rebuild()
  crowd.open('hot')
  t.ok(isBounded(crowd))
  const [gone] = crowd.states
  if (gone === undefined) throw new Error('nobody')
  crowd.rebuild([1, 2])
  const rest = (): number => crowd.at(1).inflight + crowd.at(2).inflight
  while (gone.inflight > 0) crowd.close(gone)
  for (let i = 0; i < 20; i++) {
    const state = crowd.open('hot')
    if ((state?.inflight ?? NaN) > Math.ceil(1.5 * rest() / 2)) t.fail(`${state?.inflight} of ${rest()}`)
  }
})

/** What a ramp of 100 s, looked at every 200 ms, does to the keys. */
function ramp (minWeight: number): { steps: number, shares: number[], first: string[] } {
  const world = new World({ balancer: 'hash', slowStart: { minWeight, aggression: 1 } })
  for (const id of ids(3)) world.put(id, { weight: 3 })
  const keys = KEYS.slice(0, 1000)
  world.put('new', { weight: 3, slowStart: 100_000 }, false)
  const map = (): string[] => keys.map(key => {
    const pick = world.picker.pick(world.service, undefined, world.now, key)
    pick?.done({ status: 200, ms: 1 }, world.now)
    return pick?.peer.id ?? '-'
  })
  const first = map()
  let [steps, before] = [0, first]
  const shares: number[] = []
  for (let at = 0; at <= 505; at++) {
    const after = map()
    if (moved(before, after) > 0) steps++
    before = after
    shares.push(after.filter(id => id === 'new').length / keys.length)
    world.wait(200)
  }
  return { steps, shares, first }
}

t.test('a ramp moves keys in at most 16 steps, and follows the ramp', async t => {
  const { steps, shares } = ramp(0.1)
  t.ok(steps <= 16 && steps >= 12, `${steps} steps`)
  for (const [i, share] of shares.entries()) {
    const part = Math.max(0.1, Math.min(1, i / 500))
    const least = part / (3 + part) - 0.03
    const most = (part + 1 / 16) / (3 + part + 1 / 16) + 0.03
    if (!(share >= least && share <= most)) t.fail(`after ${i / 5} s: ${share}, not ${least} … ${most}`)
  }
})

t.test('a ramp from 0 begins with few keys', async t => {
  const { steps, shares, first } = ramp(0)
  for (const id of ids(3)) t.ok((tally(first).get(id) ?? 0) > 250, `${id} keeps its keys`)
  t.ok(steps <= 17, `${steps} steps`)
  t.ok((shares[0] ?? 1) < 0.05, `${shares[0]} of the keys at once`)
  t.ok(Math.abs((shares.at(-1) ?? 0) - 0.25) < 0.04)
})

t.test('settings that change live leave the count of what is under way right', async t => {
  const world = new World({ balancer: 'hash' }, seeded(SEED))
  for (const id of ids(4)) world.put(id)
  const picks = Array.from({ length: 40 }, (_, i) => world.picker.pick(world.service, undefined, world.now, `k${i % 3}`))
  world.service.configure(settings({ balancer: 'round-robin' }), true)
  for (const pick of picks.slice(0, 20)) pick?.done({ status: 200, ms: 1 }, world.now)
  world.order(5)
  world.service.configure(settings({ balancer: 'hash' }), true)
  for (let i = 0; i < 60; i++) {
    const state = world.picker.pick(world.service, undefined, world.now, 'hot')?.state
    const bound = Math.ceil(1.5 * (21 + i) / 4)
    if ((state?.inflight ?? NaN) > bound) t.fail(`${state?.inflight} above ${bound}`)
  }
  t.equal([...world.service.peers.values()].reduce((sum, { inflight }) => sum + inflight, 0), 80)
})
