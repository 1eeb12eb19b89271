import { BUCKETS, bucketOf } from './histogram.js'
import { ERROR_KINDS, noErrors, type ErrorCounts, type ErrorKind } from './outcome.js'

/** What a window holds over some seconds. `rtsum` and `ttfbSum` are ms; `histogram` counts response times. */
export interface Summary {
  /** Exact status code → answers, codes rising. */
  readonly codes: Map<number, number>
  readonly errors: ErrorCounts
  /** Answers, whatever their code. */
  readonly count: number
  readonly rtsum: number
  readonly ttfbSum: number
  readonly histogram: Uint32Array
}

const KINDS = ERROR_KINDS.length
const FULL = 0xffff

/**
 * Counts by absolute second in typed arrays. A slot belongs to the second it was last written for, so hours without
 * traffic need no rotation and are never counted again. Recording is a few array writes; sums are made when asked for.
 */
export class Window {
  readonly #slots: number
  readonly #second: Float64Array
  readonly #rtsum: Float64Array
  readonly #ttfb: Float64Array
  readonly #errors: Uint32Array
  readonly #histogram: Uint16Array
  /** Code → its count in each slot; grows when a code is seen for the first time. */
  readonly #codes = new Map<number, Uint32Array>()

  /** Remembers `seconds` full seconds beside the running one. */
  constructor (seconds: number) {
    this.#slots = seconds + 1
    this.#second = new Float64Array(this.#slots).fill(-1)
    this.#rtsum = new Float64Array(this.#slots)
    this.#ttfb = new Float64Array(this.#slots)
    this.#errors = new Uint32Array(this.#slots * KINDS)
    this.#histogram = new Uint16Array(this.#slots * BUCKETS)
  }

  /** One answer; `ms` until its last byte, `ttfb` until its headers, both in ms. */
  answer (second: number, code: number, ms: number, ttfb: number): void {
    const slot = this.#slotFor(second)
    const column = this.#column(code);
    (column[slot] as number)++;
    (this.#rtsum[slot] as number) += ms;
    (this.#ttfb[slot] as number) += ttfb
    const cell = slot * BUCKETS + bucketOf(ms)
    // Saturates rather than wraps: a full cell is more than one process can forward in a second.
    if (this.#histogram[cell] !== FULL) (this.#histogram[cell] as number)++
  }

  error (second: number, kind: ErrorKind): void {
    const cell = this.#slotFor(second) * KINDS + ERROR_KINDS.indexOf(kind);
    (this.#errors[cell] as number)++
  }

  /** Adds up the seconds from `first` to `last`, both included; seconds no longer held count nothing. */
  sum (first: number, last: number): Summary {
    const slots: number[] = []
    this.#second.forEach((second, slot) => { if (second >= first && second <= last) slots.push(slot) })
    const codes = new Map<number, number>()
    const errors = noErrors()
    const histogram = new Uint32Array(BUCKETS)
    let [count, rtsum, ttfbSum] = [0, 0, 0]
    for (const [code, column] of [...this.#codes].sort((a, b) => a[0] - b[0])) {
      const n = slots.reduce((sum, slot) => sum + (column[slot] as number), 0)
      if (n > 0) codes.set(code, n)
      count += n
    }
    for (const slot of slots) {
      ERROR_KINDS.forEach((kind, i) => { errors[kind] += this.#errors[slot * KINDS + i] as number })
      rtsum += this.#rtsum[slot] as number
      ttfbSum += this.#ttfb[slot] as number
      for (let i = 0; i < BUCKETS; i++) (histogram[i] as number) += this.#histogram[slot * BUCKETS + i] as number
    }
    return { codes, errors, count, rtsum, ttfbSum, histogram }
  }

  #slotFor (second: number): number {
    const slot = second % this.#slots
    if (this.#second[slot] !== second) {
      this.#second[slot] = second
      this.#rtsum[slot] = 0
      this.#ttfb[slot] = 0
      this.#errors.fill(0, slot * KINDS, (slot + 1) * KINDS)
      this.#histogram.fill(0, slot * BUCKETS, (slot + 1) * BUCKETS)
      for (const column of this.#codes.values()) column[slot] = 0
    }
    return slot
  }

  #column (code: number): Uint32Array {
    let column = this.#codes.get(code)
    if (column === undefined) {
      column = new Uint32Array(this.#slots)
      this.#codes.set(code, column)
    }
    return column
  }
}
