import fc from 'fast-check'
import t from 'tap'
import { PlaceHeap } from '../../../lib/picker/balancers/heap.js'
import { PeerState } from '../../../lib/store/peer.js'
import { peer } from '../../fixtures/pure.js'

const SEED = 20240611
const key = fc.oneof(fc.nat(5), fc.double({ noNaN: true }), fc.constant(Infinity))

/** The first by a naive look at all: the lowest key, then the lowest tie; null where several are the same. */
function isFirst ({ keys, ties }: PlaceHeap, place: number, allowed: (place: number) => boolean = () => true): boolean {
  const [k, tie] = [keys[place] ?? NaN, ties[place] ?? NaN]
  return allowed(place) && [...keys].every((other, i) => !allowed(i) || k < other || (k === other && tie <= (ties[i] ?? NaN)))
}

t.test('the first is the lowest, by key and then by tie, after any changes', async t => {
  const places = fc.array(fc.tuple(key, fc.nat(3)), { minLength: 1, maxLength: 40 })
  const changes = fc.array(fc.tuple(fc.nat(), key, fc.nat(3)), { maxLength: 60 })
  fc.assert(fc.property(places, changes, (places, changes) => {
    const heap = new PlaceHeap(Float64Array.from(places, ([key]) => key), Float64Array.from(places, ([, tie]) => tie))
    if (!isFirst(heap, heap.first)) throw new Error('at its making')
    for (const [at, key, tie] of changes) {
      const place = at % places.length
      heap.keys[place] = key
      heap.ties[place] = tie
      heap.moved(place)
      if (!isFirst(heap, heap.first)) throw new Error(`after ${place} became ${key}, ${tie}`)
    }
  }), { seed: SEED, numRuns: 300 })
  t.pass()
})

t.test('taken one by one they come sorted', async t => {
  fc.assert(fc.property(fc.array(key, { minLength: 1, maxLength: 200 }), keys => {
    const heap = new PlaceHeap(Float64Array.from(keys), Float64Array.from(keys, (_, place) => place))
    const order = keys.map(() => {
      const place = heap.first
      // Behind everybody, also behind what is infinite.
      heap.keys[place] = Infinity
      heap.ties[place] = Infinity
      heap.moved(place)
      return place
    })
    t.strictSame(order, keys.map((key, place) => ({ key, place })).sort((a, b) => a.key === b.key ? a.place - b.place : a.key < b.key ? -1 : 1).map(({ place }) => place))
  }), { seed: SEED, numRuns: 50 })
})

t.test('the first of those allowed, few or many out', async t => {
  const states = Array.from({ length: 300 }, (_, i) => new PeerState(peer(String(i)), 0, null))
  const ones = fc.integer({ min: 1, max: 300 })
  fc.assert(fc.property(ones.chain(n => fc.tuple(fc.array(key, { minLength: n, maxLength: n }), fc.array(fc.boolean(), { minLength: n, maxLength: n }), fc.nat(300))),
    ([keys, flags, firstOut]) => {
      const heap = new PlaceHeap(Float64Array.from(keys), Float64Array.from(keys, (_, place) => place % 3))
      // Whoever comes first is out, so that the frontier grows beyond its bound; and some more by chance.
      const sorted = keys.map((key, place) => ({ key, place })).sort((a, b) => a.key - b.key || a.place % 3 - b.place % 3)
      const out = new Set(sorted.slice(0, firstOut).map(({ place }) => place))
      const allowed = (place: number): boolean => !out.has(place) && flags[place] === true
      const place = heap.firstOf(states, state => allowed(Number(state.peer.id)))
      const expected = keys.some((_, place) => allowed(place))
      if ((place !== -1) !== expected) throw new Error(`${place}`)
      if (place !== -1 && !isFirst(heap, place, allowed)) throw new Error(`${place} is not the first`)
    }), { seed: SEED, numRuns: 200 })
  t.pass()
})

t.test('nobody', async t => {
  const heap = new PlaceHeap(new Float64Array(0), new Float64Array(0))
  t.equal(heap.first, -1)
  t.equal(heap.firstOf([], () => true), -1)
})
