import fc from 'fast-check'
import t from 'tap'
import { RoundRobin } from '../../lib/picker/balancers/round-robin.js'
import { PeerState } from '../../lib/store/peer.js'
import { peer, seeded, tally, World } from '../fixtures/pure.js'

const SEED = 20240611

function roundRobin (weights: readonly number[], random: () => number) {
  const states = weights.map((_, i) => new PeerState(peer(String(i)), 0, null))
  const balancer = new RoundRobin(random)
  const rebuild = (): void => balancer.rebuild(states.map((state, i) => ({ state, weight: weights[i] as number })))
  rebuild()
  const order = (n: number): number[] => Array.from({ length: n }, () => Number(balancer.pick(0, null, () => true)?.peer.id))
  return { order, rebuild, balancer, states }
}

function worldOf (weights: Record<string, number>, random: () => number = () => 0): World {
  const world = new World({}, random)
  for (const [id, weight] of Object.entries(weights)) world.put(id, { weight })
  return world
}

t.test('golden sequences', async t => {
  const cases: Array<[Record<string, number>, string]> = [
    [{ a: 5, b: 1, c: 1 }, 'aabacaa'],
    [{ a: 1, b: 1, c: 1 }, 'abc'],
    [{ a: 3, b: 2, c: 1 }, 'abacba'],
    [{ a: 4, b: 3, c: 2 }, 'abcabacba'],
    [{ a: 2, b: 1 }, 'aba'],
    [{ a: 1.5, b: 0.5 }, 'aaba'],
    [{ a: 7 }, 'a'],
    [{ a: 1e6, b: 1e6 }, 'ab']
  ]
  for (const [weights, cycle] of cases) {
    t.equal(worldOf(weights).order(3 * cycle.length).join(''), cycle.repeat(3), JSON.stringify(weights))
  }
})

t.test('a random start is that cycle from some point, and every point happens', async t => {
  const random = seeded(SEED)
  const seen = new Set<string>()
  for (let i = 0; i < 200; i++) {
    const order = worldOf({ a: 5, b: 1, c: 1 }, random).order(14).join('')
    t.ok('aabacaa'.repeat(3).includes(order), order)
    seen.add(order)
  }
  t.equal(seen.size, 7)
})

t.test('a fleet of gateways does not march in step', async t => {
  const random = seeded(SEED)
  const firsts = tally(Array.from({ length: 1000 }, () => worldOf({ a: 1, b: 1, c: 1, d: 1 }, random).send()))
  for (const id of ['a', 'b', 'c', 'd']) t.ok(Math.abs((firsts.get(id) ?? 0) - 250) < 60, `${id} first: ${firsts.get(id)}`)
})

t.test('over any window of Σ(weights) picks of an unchanged set each peer gets exactly its weight', async t => {
  const weights = fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 1, maxLength: 8 })
  fc.assert(fc.property(weights, fc.integer(), (weights, seed) => {
    const total = weights.reduce((a, b) => a + b, 0)
    const order = roundRobin(weights, seeded(seed)).order(3 * total)
    for (let from = 0; from < 2 * total; from++) {
      const got = tally(order.slice(from, from + total))
      weights.forEach((weight, i) => { if (got.get(i) !== weight) throw new Error(`peer ${i} got ${got.get(i)} of ${weight} from ${from}`) })
    }
  }), { seed: SEED, numRuns: 300 })
  t.pass()
})

t.test('cycles too long to walk through are exact as well', async t => {
  const weights = [9973, 7919, 6007]
  const total = weights.reduce((a, b) => a + b, 0)
  const { order } = roundRobin(weights, seeded(3))
  t.same([...tally(order(total))].sort().map(([, n]) => n), weights)
  t.same([...tally(order(total))].sort().map(([, n]) => n), weights)
})

t.test('fractional weights from 1e-3 to 1e6 are right within two picks and 1 in 1000 of the share', async t => {
  const weight = fc.oneof(fc.constantFrom(0.5, 1e-3, 1e6, 1 / 3, 0.1),
    fc.double({ min: 1e-3, max: 1e6, noNaN: true }), fc.double({ min: 1e-3, max: 2, noNaN: true }))
  fc.assert(fc.property(fc.array(weight, { minLength: 1, maxLength: 8 }), fc.integer(), (weights, seed) => {
    const total = weights.reduce((a, b) => a + b, 0)
    const got = tally(roundRobin(weights, seeded(seed)).order(5000))
    weights.forEach((weight, i) => {
      const share = 5000 * weight / total
      const off = Math.abs((got.get(i) ?? 0) - share)
      if (off > 2 + share / 1000) throw new Error(`peer ${i} got ${got.get(i)} of ${share}`)
    })
  }), { seed: SEED, numRuns: 150 })
  t.pass()
})

t.test('weights as small as a double can be neither hang nor stop it', async t => {
  for (const tiny of [1e-310, Number.MIN_VALUE, 1e-300]) {
    t.same(tally(roundRobin([tiny, tiny], () => 0).order(10)), new Map([[0, 5], [1, 5]]), `two of ${tiny}`)
    t.same(tally(roundRobin([tiny], () => 0).order(10)), new Map([[0, 10]]), `one of ${tiny}`)
    t.same(tally(roundRobin([tiny, 1], () => 0).order(10)), new Map([[1, 10]]), `${tiny} beside 1`)
  }
})

t.test('ten thousand peers each get their turn', async t => {
  const { order } = roundRobin(Array.from({ length: 10_000 }, () => 1), seeded(1))
  t.equal(new Set(order(2000)).size, 2000, 'nobody twice before everybody')
})

t.test('with nobody to choose from there is no pick, and the place in the cycle is kept', async t => {
  const { balancer, rebuild, order } = roundRobin([5, 1, 1], () => 0)
  t.same(order(3), [0, 0, 1])
  t.equal(balancer.pick(0, null, () => false), undefined)
  balancer.rebuild([])
  t.equal(balancer.pick(0, null, () => true), undefined)
  rebuild()
  t.same(order(4), [0, 2, 0, 0])
  const fresh = new RoundRobin(() => 0.99)
  fresh.rebuild([])
  t.equal(fresh.pick(0, null, () => true), undefined)
})
