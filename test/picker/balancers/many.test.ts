import fc from 'fast-check'
import t from 'tap'
import { Deadlines } from '../../../lib/picker/balancers/deadlines.js'
import { RoundRobin } from '../../../lib/picker/balancers/round-robin.js'
import { Crowd } from '../../fixtures/crowd.js'
import { seeded, tally, World } from '../../fixtures/pure.js'

/** Round robin among more than 64 peers, which goes by deadlines. */

const SEED = 20240611

function crowdOf (weights: readonly number[], random: () => number = seeded(SEED)): Crowd {
  return new Crowd(new RoundRobin(random), weights)
}

const sum = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0)
const even = (n: number): number[] => Array.from({ length: n }, () => 1)

/** The first window of as many picks as the weights add up to in which somebody has not exactly his weight. */
function offWindow (crowd: Crowd, windows: number): string | null {
  const { weights } = crowd
  const total = sum(weights)
  const order = crowd.order(total + windows).map(Number)
  const got = weights.map(() => 0)
  let wrong = weights.length
  const count = (place: number, by: number): void => {
    const before = got[place] === weights[place]
    got[place] = (got[place] ?? 0) + by
    wrong += Number(before) - Number(got[place] === weights[place])
  }
  for (const [i, place] of order.entries()) {
    count(place, 1)
    if (i >= total) count(order[i - total] ?? NaN, -1)
    if (i >= total - 1 && wrong > 0) return `from pick ${i - total + 1}: ${wrong} peers`
  }
  return null
}

t.test('exactly the weight in any window of Σ(weights) picks', async t => {
  const weight = fc.integer({ min: 1, max: 9 })
  fc.assert(fc.property(fc.array(weight, { minLength: 65, maxLength: 130 }), fc.integer(), (weights, seed) => {
    const said = offWindow(crowdOf(weights, seeded(seed)), 3 * sum(weights))
    if (said !== null) throw new Error(said)
  }), { seed: SEED, numRuns: 40 })
  t.pass()
})

t.test('exact also where many are owed the same: 64 become 65 and more, and come back', async t => {
  for (const [n, weight] of [[64, 1], [64, 3], [40, 2], [10, 1]] as const) {
    const crowd = crowdOf(Array.from({ length: 120 }, () => weight))
    const few = Array.from({ length: n }, (_, place) => place)
    crowd.rebuild(few)
    crowd.order(17)
    crowd.rebuild()
    // Within two of the share at once, exact from the second cycle on.
    const total = sum(crowd.weights)
    const first = tally(crowd.order(total))
    for (const place of crowd.weights.keys()) if (Math.abs((first.get(String(place)) ?? 0) - weight) > 2) t.fail(`${n} peers: ${place} got ${first.get(String(place))}`)
    t.equal(offWindow(crowd, 3 * total), null, `${n} and more of weight ${weight}`)
  }
})

t.test('exact also where some are owed the same, whatever they weigh', async t => {
  const weights = fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 65, maxLength: 80 })
  fc.assert(fc.property(weights, fc.integer({ min: 2, max: 64 }), fc.nat(60), fc.integer(), (weights, few, picks, seed) => {
    const crowd = crowdOf(weights, seeded(seed))
    crowd.rebuild(weights.flatMap((_, place) => place < few ? [place] : []))
    crowd.order(picks)
    crowd.rebuild()
    // Exact from the second cycle on.
    crowd.order(sum(weights))
    const said = offWindow(crowd, 3 * sum(weights))
    if (said !== null) throw new Error(said)
  }), { seed: SEED, numRuns: 100 })
  t.pass()
})

t.test('ten thousand even peers take exact turns', async t => {
  const crowd = crowdOf(even(10_000))
  const order = crowd.order(30_000)
  for (const from of [0, 1, 777, 10_000, 20_000]) t.equal(new Set(order.slice(from, from + 10_000)).size, 10_000)
})

t.test('smooth: nobody has a run of picks, and the heaviest waits no longer than he must', async t => {
  const weights = [20, ...even(80)]
  const order = crowdOf(weights).order(1000)
  const at = order.flatMap((id, i) => id === '0' ? [i] : [])
  const gaps = at.slice(1).map((i, k) => i - (at[k] ?? NaN))
  t.equal(at.length, 200)
  t.ok(Math.min(...gaps) >= 3 && Math.max(...gaps) <= 7, `one in five, after ${Math.min(...gaps)} to ${Math.max(...gaps)}`)
  const mixed = crowdOf(Array.from({ length: 100 }, (_, i) => 1 + i % 3)).order(2000)
  t.notOk(mixed.some((id, i) => id === mixed[i + 1]), 'nobody twice in a row')
})

t.test('odd weights, and the tiniest ones, within two picks of the share', async t => {
  const random = seeded(SEED)
  const sets = [Array.from({ length: 100 }, () => random() * 5 + 1e-3), Array.from({ length: 70 }, () => 1e-310), [...even(70), 1e6], [...even(70), Number.MIN_VALUE]]
  for (const weights of sets) {
    const got = tally(crowdOf(weights).order(5000))
    weights.forEach((weight, i) => {
      const share = 5000 * (weight / Math.max(...weights)) / sum(weights.map(weight => weight / Math.max(...weights)))
      if (Math.abs((got.get(String(i)) ?? 0) - share) > 2) t.fail(`${i} got ${got.get(String(i))} of ${share}`)
    })
  }
})

t.test('gateways begin at different points', async t => {
  t.ok(new Set(Array.from({ length: 50 }, (_, seed) => crowdOf(even(100), seeded(seed)).send())).size > 15)
})

t.test('who was passed over does not save up turns', async t => {
  for (const weights of [even(100), [20, ...even(99)], [...even(99), 20]]) {
    const crowd = crowdOf(weights)
    const total = sum(weights)
    const out = crowd.at(0)
    for (let i = 0; i < 50 * total; i++) crowd.send(null, state => state !== out)
    const got = tally(crowd.order(total)).get('0') ?? 0
    const [weight = NaN] = weights
    t.ok(got >= weight && got <= weight + 2, `${got} of ${weight} when it is back`)
  }
})

t.test('not either when the set changes meanwhile, or right then', async t => {
  for (const n of [65, 100, 500]) {
    const crowd = crowdOf(even(n + 1))
    const all = Array.from({ length: n }, (_, place) => place)
    crowd.rebuild(all)
    for (let round = 0; round < 5; round++) {
      for (let i = 0; i < 20 * n; i++) crowd.send(null, state => state !== crowd.at(0))
      crowd.rebuild(round % 2 === 0 ? [...all, n] : all)
    }
    const order = crowd.order(2 * n)
    const got = tally(order).get('0') ?? 0
    t.ok(got >= 1 && got <= 4, `one of ${n}: ${got} in two cycles, where two are its own`)
    const run = order.findIndex(id => id !== '0')
    t.ok(run <= 3, `${run} in a row`)
  }
})

t.test('almost all out: turns among those that are left', async t => {
  const crowd = crowdOf(even(500))
  const left = [3, 250, 499].map(place => crowd.at(place))
  const order = Array.from({ length: 300 }, () => crowd.send(null, state => left.includes(state)))
  t.same(tally(order), new Map(order.slice(0, 3).map(id => [id, 100])))
  t.equal(crowd.send(null, () => false), '-')
})

/** Follows what each peer should have got so far, by its share at each pick, and what it got. */
class Ledger {
  readonly balance = new Map<string, number>()

  request (world: World): void {
    for (const [{ peer }, { expectedShare }] of world.picker.shares(world.service, world.now)) this.#add(peer.id, expectedShare)
    this.#add(world.send(), -1)
  }

  get worst (): number {
    return Math.max(...[...this.balance.values()].map(Math.abs))
  }

  #add (id: string, n: number): void {
    this.balance.set(id, (this.balance.get(id) ?? 0) + n)
  }
}

t.test('shares stay within two picks for each change, with newcomers, departures and weights, across 64 peers', async t => {
  const random = seeded(SEED)
  for (const base of [62, 64, 100]) {
    const world = new World({}, random)
    for (let i = 0; i < base; i++) world.put(`p${i}`, { weight: 1 + i % 3 })
    const ledger = new Ledger()
    for (let round = 0; round < 60; round++) {
      for (let i = 0; i < 40; i++) ledger.request(world)
      const id = `n${Math.floor(random() * 6)}`
      if (world.service.find(id) === undefined) world.put(id, { weight: 1 + Math.floor(random() * 3) })
      else if (random() < 0.7) world.remove(id)
      else world.put(id, { weight: 1 + Math.floor(random() * 3) })
    }
    for (const id of ledger.balance.keys()) if (id.startsWith('n')) ledger.balance.delete(id)
    t.ok(ledger.worst <= 2, `around ${base}: ${ledger.worst.toFixed(2)} off at worst`)
  }
})

t.test('a relisting before each pick changes nothing', async t => {
  const world = new World({}, seeded(SEED))
  const ids = Array.from({ length: 80 }, (_, i) => `p${i}`)
  for (const id of ids) world.put(id)
  const order = Array.from({ length: 320 }, (_, i) => {
    world.put(ids[i % 80] ?? '', { modRevision: BigInt(i) })
    return world.send()
  })
  t.same(new Set(tally(order).values()), new Set([4]))
})

t.test('the plain order is a cycle after all: two cycles are the same', async t => {
  const crowd = crowdOf(Array.from({ length: 90 }, (_, i) => 1 + i % 4))
  const total = sum(crowd.weights)
  t.same(crowd.order(total), crowd.order(total))
})

t.test('turns that come at the same moment have an order, the same in each cycle', async t => {
  const weights = Array.from({ length: 70 }, (_, i) => 1 + i % 6)
  const deadlines = new Deadlines(Float64Array.from(weights), new Float64Array(70))
  const cycle = (): number[] => Array.from({ length: sum(weights) }, () => deadlines.next([]))
  const first = cycle()
  t.strictSame(cycle(), first)
  t.strictSame(cycle(), first)
})
