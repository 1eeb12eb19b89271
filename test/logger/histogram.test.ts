import fc from 'fast-check'
import t from 'tap'
import { BUCKETS, bucketOf, lowerBound, quantile } from '../../lib/logger/histogram.js'

const SEED = 20240611

function counted (values: readonly number[]): Uint32Array {
  const counts = new Uint32Array(BUCKETS)
  for (const ms of values) counts[bucketOf(ms)] = (counts[bucketOf(ms)] ?? 0) + 1
  return counts
}

t.test('every duration is in the bucket whose bounds enclose it', async t => {
  fc.assert(fc.property(fc.double({ min: 0, max: 65_535, noNaN: true }), ms => {
    const bucket = bucketOf(ms)
    return lowerBound(bucket) <= ms && ms < lowerBound(bucket + 1)
  }), { seed: SEED, numRuns: 5000 })
  for (let bucket = 0; bucket < BUCKETS; bucket++) t.equal(bucketOf(lowerBound(bucket)), bucket)
})

t.test('a bucket is a quarter of a millisecond wide, or at most an eighth of its value', async t => {
  for (let bucket = 0; bucket < BUCKETS; bucket++) {
    const low = lowerBound(bucket)
    const width = lowerBound(bucket + 1) - low
    t.ok(width > 0 && (low < 2 ? width === 0.25 : width <= low / 8), `${low} + ${width}`)
  }
})

t.test('the ends: nothing is too short, too long or too odd', async t => {
  for (const ms of [0, -0, -5, NaN, -Infinity, 0.1]) t.equal(bucketOf(ms), 0, String(ms))
  for (const ms of [65_536, 1e9, Infinity]) t.equal(bucketOf(ms), BUCKETS - 1, String(ms))
})

t.test('percentiles are within 12.5 % (0.25 ms below 2 ms) of a sorted reference', async t => {
  const values = fc.array(fc.oneof(fc.double({ min: 0, max: 65_000, noNaN: true }), fc.double({ min: 0, max: 50, noNaN: true })),
    { minLength: 1, maxLength: 300 })
  fc.assert(fc.property(values, fc.constantFrom(0.5, 0.9, 0.99, 0.01, 1), (values, q) => {
    const got = quantile(counted(values), q)
    const reference = [...values].sort((a, b) => a - b)[Math.ceil(q * values.length) - 1] as number
    if (got === null || Math.abs(got - reference) > Math.max(0.25, reference * 0.125)) throw new Error(`${got} instead of ${reference}`)
  }), { seed: SEED, numRuns: 2000 })
  t.pass()
})

t.test('nothing counted has no percentile', async t => {
  t.equal(quantile(new Uint32Array(BUCKETS), 0.5), null)
})

t.test('equal values are told as themselves, within their bucket', async t => {
  for (const ms of [0.1, 1, 3, 10, 250, 4000, 60_000]) {
    for (const q of [0, 0.5, 0.99, 1]) {
      const got = quantile(counted([ms, ms, ms]), q) ?? NaN
      t.ok(got >= lowerBound(bucketOf(ms)) && got <= lowerBound(bucketOf(ms) + 1), `${q} of ${ms}: ${got}`)
    }
  }
})
