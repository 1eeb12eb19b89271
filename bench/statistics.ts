/** Ratios over rounds: robust geometric means with bootstrap intervals, always from the same seed. */

/** A ratio with its 95 % interval. */
export interface Ratio {
  readonly mean: number
  readonly low: number
  readonly high: number
}

const RESAMPLES = 10_000

/** Numbers from 0 to 1, the same for the same seed (mulberry32). */
export function seeded (seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6D2B79F5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** The same items in another order (Fisher and Yates). */
export function shuffled<T> (items: readonly T[], random: () => number): T[] {
  const left = [...items]
  const order: T[] = []
  while (left.length > 0) order.push(...left.splice(Math.floor(random() * left.length), 1))
  return order
}

/** The middle value, or the mean of the two in the middle; NaN of nothing. */
export function median (values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length / 2
  const upper = sorted[Math.floor(middle)] ?? NaN
  return Number.isInteger(middle) ? ((sorted[middle - 1] ?? NaN) + upper) / 2 : upper
}

/** The mean of the middle half of the values: rounds in which the machine did something else meanwhile do not count. */
function middleMean (values: number[]): number {
  const sorted = values.sort((a, b) => a - b)
  const aside = Math.floor(sorted.length / 4)
  const middle = sorted.slice(aside, sorted.length - aside)
  return middle.reduce((sum, value) => sum + value, 0) / middle.length
}

/** The geometric mean of the middle half of ratios, one of each round, and its interval: percentiles of those of rounds drawn anew. */
export function combine (ratios: readonly number[]): Ratio {
  const random = seeded(1)
  const logs = ratios.map(ratio => Math.log(ratio))
  const means = Array.from({ length: RESAMPLES }, () => middleMean(logs.map(() => logs[Math.floor(random() * logs.length)] ?? NaN)))
  means.sort((a, b) => a - b)
  const at = (share: number): number => Math.exp(means[Math.round(share * (RESAMPLES - 1))] ?? NaN)
  return { mean: Math.exp(middleMean([...logs])), low: at(0.025), high: at(0.975) }
}
