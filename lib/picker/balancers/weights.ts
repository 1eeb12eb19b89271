import type { Candidate } from '../balancer.js'

/** The largest power of two that a double holds. */
const MAX_EXPONENT = 1023

/**
 * The weights of `candidates`, raised by a power of two when all are below 1: something by a weight as tiny as doubles can
 * be would be infinite. Nothing is rounded, so what was equal stays equal.
 */
export function weightsOf (candidates: readonly Candidate[]): Float64Array<ArrayBuffer> {
  const most = candidates.reduce((most, { weight }) => Math.max(most, weight), 0)
  const scale = most < 1 ? 2 ** Math.min(MAX_EXPONENT, Math.ceil(-Math.log2(most))) : 1
  return Float64Array.from(candidates, ({ weight }) => weight * scale)
}
