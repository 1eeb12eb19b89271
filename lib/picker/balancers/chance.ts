/**
 * Chance without a number that has to be kept in memory of its own: 32 bits at a time by xorshift32 (Marsaglia, 2003),
 * which is even enough to balance by, and nothing else. Starts from `random` (0 ≤ n < 1).
 */
export class Chance {
  readonly #state = new Uint32Array(1)

  constructor (random: () => number) {
    // All bits 0 would stay so.
    this.#state[0] = 1 + random() * 0xfffffffe
  }

  /** 32 bits, as an integer from 0 (but never 0 itself) to 2^32 - 1. */
  bits (): number {
    let bits = this.#state[0] as number
    bits ^= bits << 13
    bits ^= bits >>> 17
    bits ^= bits << 5
    this.#state[0] = bits
    return bits >>> 0
  }

  /** An integer from 0 to `n` - 1. */
  below (n: number): number {
    return Math.floor(this.bits() / 0x100000000 * n)
  }
}
