import fc from 'fast-check'
import t from 'tap'
import { maglev, type Preference } from '../../../lib/picker/balancers/maglev.js'
import { seeded } from '../../fixtures/pure.js'

const SEED = 20240611
const SIZE = 65537

const even = (offset: number, skip: number): Preference => ({ offset, skip, weight: 1 })

/** The pseudocode of the paper (3.4), as it stands there. */
function populate (preferences: readonly Preference[], size: number): number[] {
  const next = preferences.map(() => 0)
  const entry = Array.from({ length: size }, () => -1)
  for (let n = 0; ;) {
    for (const [i, { offset, skip }] of preferences.entries()) {
      let c = -1
      do c = (offset + (next[i] = (next[i] ?? 0) + 1, next[i] - 1) * skip) % size
      while ((entry[c] ?? -1) >= 0)
      entry[c] = i
      if (++n === size) return entry
    }
  }
}

/** Peers of these weights, each with an order of its own by chance. */
function preferencesOf (weights: readonly number[], size = SIZE, random = seeded(SEED)): Preference[] {
  return weights.map(weight => ({ offset: Math.floor(random() * size), skip: 1 + Math.floor(random() * (size - 1)), weight }))
}

function slotsOf (weights: readonly number[], size = SIZE): number[] {
  const slots = weights.map(() => 0)
  for (const place of maglev(preferencesOf(weights, size), size)) slots[place] = (slots[place] ?? NaN) + 1
  return slots
}

t.test('the paper\'s Table 1', async t => {
  const [b0, b1, b2] = [even(3, 4), even(0, 2), even(3, 1)]
  t.same([...maglev([b0, b1, b2], 7)], [1, 0, 1, 0, 2, 2, 0])
  t.same([...maglev([b0, b2], 7)], [0, 0, 0, 0, 1, 1, 1], 'without B1; B2 stands at place 1 then')
})

t.test('with equal weights it is the paper\'s pseudocode', async t => {
  const size = fc.constantFrom(2, 3, 5, 7, 13, 101)
  fc.assert(fc.property(size.chain(size => fc.tuple(fc.constant(size), fc.array(fc.record({
    offset: fc.nat(size - 1), skip: fc.integer({ min: 1, max: Math.max(1, size - 1) }), weight: fc.constantFrom(3)
  }), { minLength: 1, maxLength: 9 }))), ([size, preferences]) => {
    t.strictSame([...maglev(preferences, size)], populate(preferences, size))
  }), { seed: SEED, numRuns: 300 })
})

t.test('nobody, and one', async t => {
  t.same(maglev([], 7), new Int32Array(0))
  t.same([...maglev([even(5, 3)], 7)], [0, 0, 0, 0, 0, 0, 0])
  t.same([...maglev([{ offset: 0, skip: 1, weight: Number.MIN_VALUE }], 3)], [0, 0, 0])
})

/**
 * Rounds go on until the table is full. Each weight's part of a turn that is left over is lost by its peer and shared by
 * all, so with n peers nobody has two slots less than his share, nor more than n / size above it and one.
 */
function check (weights: readonly number[], size = SIZE): string | null {
  const slots = slotsOf(weights, size)
  const total = weights.reduce((a, b) => a + b, 0)
  if (slots.reduce((a, b) => a + b, 0) !== size) return 'not every slot is taken'
  for (const [place, weight] of weights.entries()) {
    const share = size * (weight / total)
    const got = slots[place] ?? NaN
    if (!(got > share - 2 && got <= share * (1 + weights.length / size) + 1)) return `${weight}: ${got} slots of ${share}`
  }
  return null
}

t.test('slots by weight, within two of the share', async t => {
  const many = Array.from({ length: 6000 }, (_, i) => 1 + i % 7)
  const cases: Array<[what: string, weights: number[], size?: number]> = [
    ['equal', [1, 1, 1]],
    ['5 : 1 : 1', [5, 1, 1]],
    ['nearly equal', [0.1 + 0.2, 0.3, 0.3]],
    ['fractions', [1 / 3, 0.1, 0.7, 1e-3]],
    ['one in a million', [1, 1_000_000]],
    ['a thousand of one in a million', [...Array.from({ length: 600 }, () => 1), 1_000_000]],
    ['tiny ones', [1e-310, 1e-310, 2e-310]],
    ['the tiniest', [Number.MIN_VALUE, Number.MIN_VALUE]],
    ['tiny beside huge', [1e-310, Number.MIN_VALUE, 1_000_000]],
    ['thousands', many, 655373],
    ['ten thousand', Array.from({ length: 10_000 }, () => 1), 655373]
  ]
  for (const [what, weights, size] of cases) t.equal(check(weights, size), null, what)
  const weight = fc.oneof(fc.integer({ min: 1, max: 1_000_000 }), fc.double({ min: 1e-6, max: 1e6, noNaN: true }), fc.constantFrom(1e-310, 1))
  fc.assert(fc.property(fc.array(weight, { minLength: 1, maxLength: 90 }), weights => {
    const said = check(weights, 9973)
    if (said !== null) throw new Error(said)
  }), { seed: SEED, numRuns: 200 })
})

t.test('equal weights have equal slots to the one', async t => {
  for (const n of [2, 3, 10, 100, 655]) {
    const slots = slotsOf(Array.from({ length: n }, () => 1))
    t.ok(Math.max(...slots) - Math.min(...slots) <= 1, `${n} peers`)
  }
})
