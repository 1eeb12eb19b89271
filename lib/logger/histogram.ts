/**
 * Latency buckets, log-linear as in HdrHistogram: quarters of a millisecond up to 2 ms, then eight equal steps in each
 * octave up to 65 s (the last bucket takes the rest). A bucket is at most an eighth of its value wide, so a quantile is
 * off by 12.5 % at worst. Finding a bucket is a few integer operations.
 */

const LINEAR = 8
const HIGHEST = 2 ** 18 - 1
export const BUCKETS = 128

/** The bucket for a duration in ms; what is no positive number goes to the first. */
export function bucketOf (ms: number): number {
  const quarters = Math.trunc(Math.min(ms * 4, HIGHEST))
  if (!(quarters >= LINEAR)) return quarters > 0 ? quarters : 0
  const exponent = 31 - Math.clz32(quarters)
  return (exponent - 2) * LINEAR + (quarters >> (exponent - 3)) - LINEAR
}

/** Where a bucket begins, in ms; `BUCKETS` gives the end of the last one. */
export function lowerBound (bucket: number): number {
  if (bucket < LINEAR) return bucket / 4
  return ((LINEAR + bucket % LINEAR) * 2 ** (Math.floor(bucket / LINEAR) - 1)) / 4
}

/** The q-quantile (0…1) in ms, interpolated within its bucket; null when nothing was counted. */
export function quantile (counts: Uint32Array, q: number): number | null {
  let total = 0
  for (const count of counts) total += count
  if (total === 0) return null
  const rank = q * total
  let bucket = 0
  let below = 0
  while (bucket < BUCKETS - 1 && ((counts[bucket] as number) === 0 || below + (counts[bucket] as number) < rank)) {
    below += (counts[bucket] as number)
    bucket++
  }
  const low = lowerBound(bucket)
  return low + (lowerBound(bucket + 1) - low) * (rank - below) / (counts[bucket] as number)
}
