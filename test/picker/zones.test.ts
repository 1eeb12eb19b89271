import t from 'tap'
import { Picker } from '../../lib/picker/picker.js'
import { rankOf } from '../../lib/picker/plan.js'
import type { Peer, PeerState } from '../../lib/store/peer.js'
import type { ServiceSettings } from '../../lib/store/settings.js'
import { BALANCERS } from '../../lib/store/settings.js'
import { OK, seeded, settings, tally, World } from '../fixtures/pure.js'

/** A gateway in `zone`, without what health has to do with it: its peers are what their conditions are set to. */
class Zoned extends World {
  readonly gateway: Picker

  constructor (zone: string | null, fields: Partial<ServiceSettings> = {}) {
    super({ panic: 0, ...fields })
    this.gateway = new Picker(seeded(1), () => {}, () => {}, zone)
  }

  /** Peers by the first letter of their ids: h(ome), a(way), n(owhere). */
  fill (home: number, away: number, nowhere = 0, fields: Partial<Peer> = {}): void {
    for (let i = 0; i < home; i++) this.put(`h${i}`, { zone: 'home', ...fields })
    for (let i = 0; i < away; i++) this.put(`a${i}`, { zone: 'away', ...fields })
    for (let i = 0; i < nowhere; i++) this.put(`n${i}`, fields)
  }

  fail (...ids: string[]): void {
    for (const id of ids) this.state(id).check = 'failing'
    this.service.touch()
  }

  /** How many of 1000 requests go to peers of each letter. */
  letters (tried?: ReadonlySet<PeerState>): Map<string, number> {
    return tally(Array.from({ length: 1000 }, () => {
      const pick = this.gateway.pick(this.service, tried, this.now)
      pick?.done(OK, this.now)
      return pick?.peer.id[0] ?? '-'
    }))
  }
}

/** Who got more or less than he should have, by more than one of a thousand. */
function off (got: Map<string, number>, expected: Record<string, number>): string[] {
  return [...new Set([...got.keys(), ...Object.keys(expected)])].filter(letter => Math.abs((got.get(letter) ?? 0) - (expected[letter] ?? 0)) > 1)
    .map(letter => `${letter}: ${got.get(letter)}`)
}

t.test('ranks: by priority, within it the own zone first', async t => {
  const world = new World()
  const state = (priority: number, zone: string | null): PeerState => world.put('x', { priority, zone })
  t.ok(rankOf(state(0, 'home'), 'home') < rankOf(state(0, 'away'), 'home'))
  t.equal(rankOf(state(0, null), 'home'), rankOf(state(0, 'away'), 'home'), 'no zone is not the own one')
  t.ok(rankOf(state(0, 'away'), 'home') < rankOf(state(1, 'home'), 'home'))
  t.equal(rankOf(state(0, 'home'), null), rankOf(state(0, 'away'), null), 'a gateway without a zone has no preference')
})

t.test('the own zone takes all while at least 71.4 % of it is healthy, else the excess spills', async t => {
  for (const [home, out, expected] of [[7, 0, 1000], [7, 2, 1000], [7, 3, 800], [10, 3, 980], [10, 5, 700], [10, 10, 0], [1, 0, 1000], [1, 1, 0]] as const) {
    const world = new Zoned('home')
    world.fill(home, 5)
    world.fail(...Array.from({ length: out }, (_, i) => `h${i}`))
    t.same(off(world.letters(), { h: expected, a: 1000 - expected }), [], `${out} of ${home} out`)
  }
})

t.test('no peer in the own zone, or none left', async t => {
  const none = new Zoned('home')
  none.fill(0, 3)
  t.same(off(none.letters(), { a: 1000 }), [], 'none there')
  const gone = new Zoned('home')
  gone.fill(1, 3)
  t.same(off(gone.letters(), { h: 1000 }), [], 'one')
  gone.remove('h0')
  t.same(off(gone.letters(), { a: 1000 }), [], 'it left')
  gone.put('h0', { zone: 'home' })
  t.same(off(gone.letters(), { h: 1000 }), [], 'it is back')
  gone.put('h0', { zone: 'home', status: 'drain' })
  t.same(off(gone.letters(), { a: 1000 }), [], 'it drains')
  gone.put('h0', { zone: 'away' })
  const moved = tally(Array.from({ length: 400 }, () => gone.gateway.pick(gone.service, undefined, gone.now)?.peer.id))
  t.same(new Set(moved.values()), new Set([100]), 'it moved: four peers of one rank')
})

t.test('a gateway without a zone, and peers without one', async t => {
  const world = new Zoned(null)
  world.fill(2, 3, 5)
  t.same(off(world.letters(), { h: 200, a: 300, n: 500 }), [], 'all alike')
  const zoned = new Zoned('home')
  zoned.fill(1, 1, 2)
  t.same(off(zoned.letters(), { h: 1000 }), [], 'the own zone')
  zoned.fail('h0')
  t.same(off(zoned.letters(), { a: 333, n: 667 }), [], 'all the others are one group')
})

t.test('zones within priorities: own, other, then the next priority', async t => {
  const world = new Zoned('home')
  world.fill(2, 2)
  world.put('H', { zone: 'home', priority: 1 })
  world.put('A', { zone: 'away', priority: 1 })
  t.same(off(world.letters(), { h: 1000 }), [], 'all well')
  world.fail('h0')
  t.same(off(world.letters(), { h: 700, a: 300 }), [], 'half of the own zone')
  world.fail('a0')
  t.same(off(world.letters(), { h: 700, a: 300 }), [], 'half of each')
  world.fail('h1')
  t.same(off(world.letters(), { a: 700, H: 300 }), [], 'the own zone gone')
  world.fail('a1')
  t.same(off(world.letters(), { H: 1000 }), [], 'the priority gone')
  world.fail('H')
  t.same(off(world.letters(), { A: 1000 }), [], 'one left')
  world.fail('A')
  t.same(off(world.letters(), { '-': 1000 }), [], 'none')
})

t.test('who was tried, or is full, leaves the request to the next group', async t => {
  const world = new Zoned('home', { limits: { maxInflight: 1, queue: 0, queueTimeout: 1000 } })
  world.fill(1, 1)
  t.same(off(world.letters(new Set([world.state('h0')])), { a: 1000 }), [], 'tried')
  const picks = Array.from({ length: 3 }, () => world.gateway.pick(world.service, undefined, world.now))
  t.same(picks.map(pick => pick?.peer.id), ['h0', 'a0', undefined])
})

t.test('panic: the own zone takes all, sick or not', async t => {
  const world = new Zoned('home', { panic: 0.5 })
  world.fill(2, 2)
  world.fail('h0', 'h1', 'a0')
  // Of the own zone nobody is healthy, of the other one half: it gets what it is good for, stretched to all.
  t.same(off(world.letters(), { a: 1000 }), [], 'one healthy elsewhere')
  world.fail('a1')
  t.same(off(world.letters(), { h: 1000 }), [], 'nobody healthy anywhere')
})

t.test('every balancer keeps to the own zone, and to its bounds', async t => {
  for (const balancer of BALANCERS) {
    const world = new Zoned('home', { balancer, limits: { maxInflight: 3, queue: 0, queueTimeout: 1000 } })
    world.fill(2, 2)
    t.same(off(world.letters(), { h: 1000 }), [], balancer)
    const ids = Array.from({ length: 13 }, () => world.gateway.pick(world.service, undefined, world.now)?.peer.id)
    t.same(tally(ids.map(id => id ?? '-')), tally(['h0', 'h1', 'a0', 'a1', 'h0', 'h1', 'a0', 'a1', 'h0', 'h1', 'a0', 'a1', '-']), balancer)
    t.notOk(ids.slice(0, 6).some(id => id?.startsWith('a')), 'the own ones first')
    world.service.configure(settings({ balancer }), true)
    t.not(world.gateway.pick(world.service, undefined, world.now), undefined, 'a bound that is lifted is lifted at once')
  }
})

t.test('shares tell the same', async t => {
  const world = new Zoned('home')
  world.fill(2, 1)
  world.fail('h0')
  const shares = [...world.gateway.shares(world.service, world.now)].map(([{ peer }, { expectedShare }]) => [peer.id, Math.round(expectedShare * 100)])
  t.same(shares, [['h0', 0], ['h1', 70], ['a0', 30]])
})
