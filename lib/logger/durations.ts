/** The highest duration (ms) of each bucket but the last one, which takes the rest: as OpenTelemetry advises for HTTP. */
export const BOUNDS: readonly number[] = [5, 10, 25, 50, 75, 100, 250, 500, 750, 1000, 2500, 5000, 7500, 10_000]

/** Durations since first seen, by bucket. Adding one is a handful of comparisons and two writes. */
export class Durations {
  /** How many there were in each bucket, those of lower buckets not included. */
  readonly counts = new Float64Array(BOUNDS.length + 1)
  /** Of all, ms. */
  sum = 0

  /** One more; what is no positive number of ms counts as 0, for it would spoil the sum for good. */
  add (ms: number): void {
    const known = ms > 0 && ms < Infinity ? ms : 0
    let bucket = 0
    while (bucket < BOUNDS.length && known > (BOUNDS[bucket] as number)) bucket++
    this.sum += known;
    (this.counts[bucket] as number)++
  }
}
