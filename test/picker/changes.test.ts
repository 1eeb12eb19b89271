import fc from 'fast-check'
import t from 'tap'
import type { Peer } from '../../lib/store/peer.js'
import * as overrides from '../../lib/store/overrides.js'
import { inRotation, isEligible } from '../../lib/store/condition.js'
import { BAD, OK, outlier, peer, seeded, tally, World } from '../fixtures/pure.js'

const SEED = 20240611
const IDS = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h']

/** Follows what each peer should have got so far, by its weight at each pick, and what it got. */
class Ledger {
  readonly balance = new Map<string, number>()

  request (world: World): void {
    const shares = world.picker.shares(world.service, world.now)
    for (const [{ peer }, { expectedShare }] of shares) this.#add(peer.id, expectedShare)
    this.#add(world.send(), -1)
  }

  get ahead (): number {
    return -Math.min(...this.balance.values())
  }

  get behind (): number {
    return Math.max(...this.balance.values())
  }

  #add (id: string, n: number): void {
    this.balance.set(id, (this.balance.get(id) ?? 0) + n)
  }
}

t.test('1000 picks, each after a change that rewrites the same registration, are exact', async t => {
  const world = new World({}, () => 0)
  for (const id of ['a', 'b', 'c', 'd']) world.put(id)
  const got = Array.from({ length: 1000 }, (_, i) => {
    world.put('a', { params: { round: i }, modRevision: BigInt(i) })
    return world.send()
  })
  t.same(tally(got), new Map([['a', 250], ['b', 250], ['c', 250], ['d', 250]]))
})

t.test('1000 picks, each after a change of some weight, stay with the shares', async t => {
  const random = seeded(SEED)
  for (let round = 0; round < 10; round++) {
    const world = new World({}, random)
    const ids = IDS.slice(0, 2 + Math.floor(random() * 7))
    for (const id of ids) world.put(id)
    const ledger = new Ledger()
    for (let i = 0; i < 1000; i++) {
      world.put(ids[Math.floor(random() * ids.length)] as string, { weight: 1 + Math.floor(random() * 3) })
      ledger.request(world)
    }
    t.ok(ledger.ahead <= 2.5 && ledger.behind <= 2.5, `${ids.length} peers: ${ledger.ahead} ahead, ${ledger.behind} behind`)
  }
})

t.test('a weight that changes to and fro before every pick neither starves nor feeds its peer', async t => {
  const world = new World({}, () => 0)
  for (const id of ['a', 'b', 'c']) world.put(id)
  const ledger = new Ledger()
  for (let i = 0; i < 1000; i++) {
    world.put('a', { weight: i % 2 === 0 ? 1 : 1000 })
    ledger.request(world)
  }
  t.ok(ledger.ahead <= 2 && ledger.behind <= 2, JSON.stringify([...ledger.balance]))
})

t.test('a peer that comes and goes before every pick leaves the others their shares', async t => {
  const world = new World({}, () => 0)
  for (const id of ['a', 'b', 'c', 'd']) world.put(id)
  const got = Array.from({ length: 1000 }, (_, i) => {
    if (i % 2 === 0) world.put('z', { modRevision: BigInt(i) })
    else world.remove('z')
    return world.send()
  })
  const counts = tally(got)
  for (const id of ['a', 'b', 'c', 'd']) {
    // The newcomer stands to get at most every second pick's fifth.
    const n = counts.get(id) ?? 0
    t.ok(n >= 200 && n <= 275, `${id} got ${n}`)
  }
})

type Step = (world: World, id: string) => void

const STEPS: Record<string, Step> = {
  weight: (world, id) => { world.put(id, { weight: 1 + (world.service.stamp * 7) % 5 }, false) },
  join: (world, id) => { world.put(id, {}, false) },
  leave: (world, id) => { if (world.service.find(id) !== undefined && world.service.peers.size > 1) world.remove(id) },
  down: (world, id) => { world.put(id, { status: 'down' }, false) },
  cutdown: (world, id) => { overrides.cutdown(world.service, world.state(id), 0.5, world.now, world.now + 5000) },
  recover: (world, id) => { overrides.recover(world.service, world.state(id)) },
  fail: (world, id) => { world.tell(id, BAD, 5) },
  wait: world => { world.wait(7000) }
}

t.test('after arbitrary changes: within two picks at once, exact after one cycle', async t => {
  const step = fc.record({
    kind: fc.constantFrom(...Object.keys(STEPS)), id: fc.constantFrom(...IDS.slice(0, 6)), picks: fc.nat({ max: 9 })
  })
  fc.assert(fc.property(fc.array(step, { maxLength: 40 }), fc.integer(), (steps, seed) => {
    const world = new World({ outlier: outlier({ baseEjection: 10_000 }) }, seeded(seed))
    for (const id of IDS.slice(0, 4)) world.put(id)
    for (const { kind, id, picks } of steps) {
      if (kind === 'weight' || kind === 'join' || kind === 'down' || world.service.find(id) !== undefined) STEPS[kind]?.(world, id)
      for (let i = 0; i < picks; i++) world.send()
    }
    // From here on nothing changes any more: one request each for those that wait for it to prove themselves.
    for (let i = 0; i < IDS.length; i++) world.send()
    const { panic } = world.picker.plan(world.service, world.now)
    const weights = new Map([...world.service.peers.values()].filter(panic ? inRotation : isEligible)
      .map(state => [state.peer.id, 2 * state.peer.weight * (state.cutdown?.share ?? 1)]))
    const total = [...weights.values()].reduce((a, b) => a + b, 0)
    const order = world.order(3 * total)
    const check = (from: number, length: number, bound: number): void => {
      const got = tally(order.slice(from, from + length))
      for (const [id, weight] of weights) {
        const off = (got.get(id) ?? 0) - length * weight / total
        if (Math.abs(off) > bound) throw new Error(`${id} is ${off} off in ${length} picks from ${from}`)
      }
    }
    for (let n = 1; n <= total; n++) check(0, n, 2)
    for (let from = total; from < 2 * total; from++) check(from, total, 1e-9)
  }), { seed: SEED, numRuns: 300 })
  t.pass()
})

t.test('state survives: a relisting in the middle of a cycle goes on where it was', async t => {
  const world = new World({}, () => 0)
  const weights: Record<string, Partial<Peer>> = { a: { weight: 5 }, b: { weight: 1 }, c: { weight: 1 } }
  for (const [id, fields] of Object.entries(weights)) world.put(id, fields)
  let order = ''
  for (let i = 0; i < 14; i++) {
    order += world.send()
    for (const [id, fields] of Object.entries(weights)) world.put(id, { ...fields, modRevision: BigInt(i) })
  }
  t.equal(order, 'aabacaaaabacaa')
})

t.test('state survives all peers being out for a while', async t => {
  const world = new World({}, () => 0)
  for (const id of ['a', 'b', 'c']) world.put(id)
  let order = ''
  for (let i = 0; i < 6; i++) {
    order += world.send()
    for (const id of ['a', 'b', 'c']) world.put(id, { status: 'down' })
    t.equal(world.send(), '-')
    for (const id of ['a', 'b', 'c']) world.put(id)
  }
  t.equal(order, 'abcabc')
})

t.test('a removed peer takes its debts with it', async t => {
  const world = new World({}, () => 0)
  for (const id of ['a', 'b']) world.put(id)
  const first = world.pick()
  world.remove('a')
  world.service.put(peer('a'), world.now, true)
  t.not(world.state('a'), first?.state)
  t.equal(world.state('a').inflight, 0)
  first?.done(OK, world.now)
  t.equal(world.state('a').inflight, 0, 'the late end of an earlier request is not its')
  t.same(tally(world.order(10)), new Map([['a', 5], ['b', 5]]))
})
