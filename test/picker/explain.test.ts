import t from 'tap'
import { explain, type Explanation } from '../../lib/picker/explain.js'
import { holdOff } from '../../lib/picker/hold-off.js'
import { Picker, type Pick } from '../../lib/picker/picker.js'
import { drain } from '../../lib/store/overrides.js'
import { BALANCERS, type ServiceSettings } from '../../lib/store/settings.js'
import { OK, seeded, World } from '../fixtures/pure.js'

/** A world in a zone, and what it says of itself. */
class Told {
  readonly world: World
  readonly zone: string | null
  readonly #picker: Picker
  readonly #open: Pick[] = []

  constructor (fields: Partial<ServiceSettings>, zone: string | null = null) {
    const random = seeded(7)
    this.world = new World(fields, random)
    this.zone = zone
    this.#picker = new Picker(random, () => {}, () => {}, zone)
  }

  explain (key: string | null = null): Explanation {
    const { service, now } = this.world
    return explain(this.#picker.plan(service, now), service, this.zone, now, key)
  }

  /** The next request; it stays open until `end`. */
  pick (key: string | null = null): string {
    const pick = this.#picker.pick(this.world.service, undefined, this.world.now, key)
    if (pick !== undefined) this.#open.push(pick)
    return pick?.peer.id ?? '-'
  }

  end (): void {
    this.#open.shift()?.done({ ...OK, ttfb: this.#open.length }, this.world.now)
  }

  /** Of one peer. */
  of (id: string, key: string | null = null): Explanation['peers'][number] {
    const found = this.explain(key).peers.find(({ state }) => state.peer.id === id)
    if (found === undefined) throw new Error(`nothing of ${id}`)
    return found
  }
}

/** Peers of all sorts. */
const CASTS: Record<string, (told: Told) => void> = {
  nobody: () => {},
  one: ({ world }) => { world.put('a') },
  few: ({ world }) => { for (const [i, weight] of [5, 1, 1].entries()) world.put(`p${i}`, { weight }) },
  odd: ({ world }) => { for (const [i, weight] of [0.1, 1 / 3, Math.PI, 1e-3].entries()) world.put(`p${i}`, { weight }) },
  many: ({ world }) => { for (let i = 0; i < 80; i++) world.put(`p${i}`, { weight: 1 + i % 7 }) },
  bounded: ({ world }) => { for (let i = 0; i < 5; i++) world.put(`p${i}`, { weight: 1 + i, maxInflight: 1 + i % 2 }) },
  'many and bounded': ({ world }) => { for (let i = 0; i < 70; i++) world.put(`p${i}`, { weight: 1 + i % 3, maxInflight: 1 + i % 2 }) },
  levels: ({ world }) => {
    for (let i = 0; i < 8; i++) world.put(`p${i}`, { priority: i % 2, zone: i % 3 === 0 ? 'here' : 'there' })
    for (const id of ['p0', 'p1', 'p2']) world.state(id).check = 'failing'
  },
  'held off': ({ world }) => {
    for (let i = 0; i < 4; i++) world.put(`p${i}`, { maxInflight: 1 })
    for (const id of ['p0', 'p3']) holdOff(world.service, world.state(id), 30_000, world.now)
  }
}

t.test('explaining changes nothing, and who it says is next is next', async t => {
  for (const balancer of BALANCERS) {
    for (const [cast, enter] of Object.entries(CASTS)) {
      const [told, silent] = [new Told({ balancer }, 'here'), new Told({ balancer }, 'here')]
      for (const each of [told, silent]) enter(each)
      const dice = seeded(3)
      let [same, right, known] = [0, 0, 0]
      for (let i = 0; i < 200; i++) {
        if (dice() < 0.45) for (const each of [told, silent]) each.end()
        const key = dice() < 0.7 ? `k${i % 50}` : null
        told.explain(`another ${i}`)
        const { next } = told.explain(key)
        for (const { world } of [told, silent]) world.now += 10
        const got = told.pick(key)
        if (got === silent.pick(key)) same++
        if (next === null) continue
        known++
        if (next.peer.id === got) right++
      }
      t.equal(same, 200, `${balancer}, ${cast}: as if nobody had asked`)
      t.equal(right, known, `${balancer}, ${cast}: ${known} of 200 were known`)
      const isSure = balancer === 'round-robin' || balancer === 'least-requests' || cast === 'one'
      if (isSure && cast !== 'nobody') t.ok(known > 0)
    }
  }
})

t.test('round robin: what is owed, as nginx counts', async t => {
  const told = new Told({})
  for (const [id, weight] of [['a', 5], ['b', 1], ['c', 1]] as const) told.world.put(id, { weight })
  const sequence = Array.from({ length: 7 }, () => told.pick())
  t.same(new Map([['a', 5], ['b', 1], ['c', 1]]), new Map(['a', 'b', 'c'].map(id => [id, sequence.filter(got => got === id).length])))
  while (told.explain().peers[0]?.weighs !== 5 / 7) told.pick()
  t.same(told.explain().levels, [{ rank: 0, load: 1, by: 'owed' }])
  t.same(told.explain().peers.map(({ weighs }) => weighs), [5 / 7, 1 / 7, 1 / 7], 'at the beginning of its cycle each is owed its share')
  told.pick()
  t.same(told.explain().peers.map(({ weighs }) => weighs?.toFixed(9)), [(5 - 7 + 5) / 7, 2 / 7, 2 / 7].map(owed => owed.toFixed(9)))
})

t.test('round robin of many: how many picks until each has its turn', async t => {
  const told = new Told({})
  for (let i = 0; i < 100; i++) told.world.put(`p${i}`)
  const { levels, peers, next } = told.explain()
  t.match(levels, [{ by: 'turn' }])
  const soonest = peers.toSorted((a, b) => Number(a.weighs) - Number(b.weighs))
  t.equal(soonest[0]?.state, next)
  t.equal(soonest[0]?.weighs, 0)
  t.same(Array.from({ length: 100 }, () => told.pick()), soonest.map(({ state }) => state.peer.id), 'in that order they come')
})

t.test('least requests, latency and weight', async t => {
  const least = new Told({ balancer: 'least-requests' })
  least.world.put('a', { weight: 2 })
  least.world.put('b')
  least.pick()
  least.pick()
  const expected = least.world.state('a').inflight
  t.equal(least.of('a').weighs, (expected + 1) / 2)
  t.match(least.explain(), { levels: [{ by: 'load' }], next: { peer: { id: String } } })

  const quick = new Told({ balancer: 'p2c-ewma' })
  quick.world.put('a', { weight: 2 })
  quick.world.put('b')
  t.equal(quick.of('b').weighs, 0.05, 'nothing is known of anybody')
  const [a, b] = [quick.world.state('a'), quick.world.state('b')]
  Object.assign(a, { latency: 80, latencyAt: quick.world.now, inflight: 1 })
  Object.assign(b, { latency: 10, latencyAt: quick.world.now + 1000 })
  t.equal(quick.of('a').weighs, 80 * 2 / 2)
  t.equal(quick.of('b').weighs, 10, 'a time to come is now')
  t.equal(b.latencyAt, quick.world.now + 1000, 'and stays where it is')
  quick.world.now += 10_000
  t.ok(Math.abs(Number(quick.of('a').weighs) - 80 / Math.E) < 2, 'it fades')
  t.match(quick.explain(), { levels: [{ by: 'cost' }], next: null })
  quick.world.now += 1e9
  t.equal(quick.of('a').weighs, 0.05)

  const random = new Told({ balancer: 'random' })
  random.world.put('a', { weight: 2 })
  random.world.put('b')
  t.match(random.explain('k'), { levels: [{ by: 'weight' }], next: null, peers: [{ weighs: 2, place: null }, { weighs: 1 }] })
})

t.test('hash: whose the key is, and who comes after him', async t => {
  const told = new Told({ balancer: 'hash' })
  for (const id of ['a', 'b', 'c']) told.world.put(id)
  const { peers, next, levels } = told.explain('k')
  t.match(levels, [{ by: 'room' }])
  const order = peers.toSorted((a, b) => Number(a.place) - Number(b.place))
  t.same(order.map(({ place }) => place), [0, 1, 2])
  t.equal(order[0]?.state, next)
  t.equal(peers[0]?.weighs, 0.5, '1.5 × the mean of one request among three')
  t.equal(told.pick('k'), next?.peer.id)
  t.equal(told.explain('k').next, order[1]?.state, 'who has his share is passed over')
  t.match(told.explain(), { next: null, peers: [{ place: null }, {}, {}] }, 'without a key chance decides')
})

t.test('who may be picked, and who may not', async t => {
  const told = new Told({ panic: 0 }, 'here')
  const { world } = told
  for (const id of ['in', 'full', 'down', 'drained', 'held', 'far']) world.put(id, { zone: id === 'far' ? null : 'here', maxInflight: id === 'full' ? 1 : 0 })
  world.state('down').check = 'failing'
  world.state('full').inflight = 1
  drain(world.service, world.state('drained'), world.now, world.now + 1000)
  holdOff(world.service, world.state('held'), 1000, world.now)
  t.same(Object.fromEntries(told.explain().peers.map(({ state, candidate, hasRoom, rank, weighs }) => [state.peer.id, [candidate, hasRoom, rank, weighs === null]])), {
    in: ['yes', true, 0, false],
    full: ['yes', false, 0, false],
    down: ['no', true, 0, true],
    drained: ['no', true, 0, true],
    held: ['reserve', true, 0, true],
    far: ['yes', true, 1, false]
  })
  t.equal(told.explain().levels.length, 2)
  for (const id of ['in', 'far']) world.remove(id)
  t.equal(told.explain().next?.peer.id, 'held', 'at need')
  world.remove('held')
  t.equal(told.explain().next, null)
})

t.test('of somebody\'s own balancer nothing is known', async t => {
  const told = new Told({ balancer: { rebuild: () => {}, pick: () => undefined } })
  told.world.put('a')
  told.world.put('b')
  t.match(told.explain('k'), { levels: [{ by: null }], next: null, peers: [{ candidate: 'yes', weighs: null, place: null }, {}] })
  told.world.remove('b')
  t.equal(told.explain().next?.peer.id, 'a', 'but of one')
})
