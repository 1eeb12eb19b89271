import t from 'tap'
import { AliasTable } from '../../../lib/picker/balancers/alias.js'
import { Chance } from '../../../lib/picker/balancers/chance.js'
import { Random } from '../../../lib/picker/balancers/random.js'
import { chiBound, chiSquare, Crowd } from '../../fixtures/crowd.js'
import { seeded } from '../../fixtures/pure.js'

const SEED = 20240611
const N = 100_000
const many = Array.from({ length: 1000 }, (_, i) => 1 + i % 5)

/** Weights, and those of them that can be expected to be seen at all. */
const sets: Array<[what: string, weights: number[], parts?: number[]]> = [
  ['one', [3]],
  ['equal', [1, 1, 1]],
  ['5 : 3 : 1 : 1', [5, 3, 1, 1]],
  ['fractions', [0.1, 0.2, 0.3, 1 / 3]],
  ['a thousand', many],
  ['a few heavy among many', [500, 500, 500, ...many]],
  ['huge', [1e308, 1e308, 1e308, 5e307]],
  ['as tiny as can be', [Number.MIN_VALUE, Number.MIN_VALUE, 2 * Number.MIN_VALUE]],
  ['1e-310', [1e-310, 3e-310]],
  ['tiny beside huge', [1e-310, 1e6, Number.MIN_VALUE, 1e6], [0, 1, 0, 1]],
  ['one heavy among nothings', [...Array.from({ length: 999 }, () => Number.MIN_VALUE), 1], [...Array.from({ length: 999 }, () => 0), 1]],
  ['three heavy among nothings', [7, 7, 7, ...Array.from({ length: 997 }, () => 1e-310)], [1, 1, 1, ...Array.from({ length: 997 }, () => 0)]]
]

function check (counts: readonly number[], parts: readonly number[]): string | null {
  const impossible = counts.findIndex((count, i) => parts[i] === 0 && count > 0)
  if (impossible !== -1) return `${impossible} was chosen ${counts[impossible]} times`
  const seen = parts.map((_, i) => i).filter(i => parts[i] !== 0)
  const chi = chiSquare(seen.map(i => counts[i] ?? 0), seen.map(i => parts[i] ?? 0))
  return chi <= chiBound(seen.length) ? null : `${chi}`
}

/** Weights by the largest, whose sum is a number. */
const scaled = (weights: readonly number[]): number[] => weights.map(weight => weight / Math.max(...weights))

t.test('each as often as its weight says', async t => {
  for (const [what, weights, parts = scaled(weights)] of sets) {
    const table = new AliasTable(Float64Array.from(weights), new Chance(seeded(SEED)))
    const counts = weights.map(() => 0)
    for (let i = 0; i < N; i++) (counts[table.pick()] as number)++
    t.equal(check(counts, parts), null, what)
  }
})

t.test('the ends of chance are in the table', async t => {
  for (const bits of [0, 2 ** 32 - 1]) {
    for (const [what, weights] of sets) {
      const place = new AliasTable(Float64Array.from(weights), { bits: () => bits }).pick()
      t.ok(place >= 0 && place < weights.length, what)
    }
  }
})

t.test('among those allowed as well, few or many out', async t => {
  const random = seeded(SEED)
  const weights = [5, 3, 1, 1, 2, 4, 1, 1, 1, 1, 1, 1]
  for (const out of [[0], [0, 1, 5], [0, 1, 2, 4, 5, 6, 7, 8, 9], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]]) {
    const crowd = new Crowd(new Random(random), weights)
    const counts = weights.map(() => 0)
    for (let i = 0; i < 20_000; i++) (counts[Number(crowd.send(null, state => !out.includes(Number(state.peer.id))))] as number)++
    t.equal(check(counts, weights.map((weight, i) => out.includes(i) ? 0 : weight)), null, `${out.length} out`)
  }
})

t.test('nobody allowed, nobody there', async t => {
  const crowd = new Crowd(new Random(seeded(SEED)), [1, 1])
  t.equal(crowd.send(null, () => false), '-')
  crowd.rebuild([])
  t.equal(crowd.send(), '-')
  t.equal(crowd.send(null, () => true), '-')
})

t.test('one allowed among thousands is found, however little it weighs', async t => {
  const crowd = new Crowd(new Random(seeded(SEED)), [...Array.from({ length: 3000 }, () => 1e6), Number.MIN_VALUE])
  for (const place of [0, 1500, 3000]) t.equal(crowd.send(null, state => state === crowd.at(place)), String(place))
})
