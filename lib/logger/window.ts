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

/**
 * What happened in one second: answers, clients that left among them; requests, which are these and what failed without an
 * answer; errors, which are those that failed and 5xx. `rtsum` is ms, of the answers.
 */
export interface Second {
  readonly second: number
  readonly answers: number
  readonly requests: number
  readonly errors: number
  readonly rtsum: number
}

const KINDS = ERROR_KINDS.length
const FULL = 0xffff
/** Status codes that have a cell in each slot, the first that are seen; a peer seldom has more. */
const CODES = 6

/**
 * A slot in bytes: the second and the sums of times, 64 bits each; errors, codes, and how far from its end and from its
 * beginning the histogram is in use, 32 bits each; the histogram, 16 bits each. One attempt then writes to two lines of the processor's cache, also where thousands of peers take turns in it.
 */
const COUNTS = 3 * 8
const USED = KINDS + CODES
const BINS = COUNTS + (USED + 2) * 4
const SLOT = BINS + BUCKETS * 2

/**
 * Counts by absolute second. A slot belongs to the second it was last written for, so hours without traffic need no
 * rotation and are never counted again. Recording is a few array writes; sums are made when asked for.
 */
export class Window {
  readonly #slots: number
  /** The same memory, as what stands in it. */
  readonly #sums: Float64Array
  readonly #counts: Uint32Array
  readonly #bins: Uint16Array
  /** The codes that have a cell, in its order. */
  readonly #codes: number[] = []
  /** Code → its count in each slot, for those that have none. */
  readonly #more = new Map<number, Uint32Array>()

  /** Remembers `seconds` full seconds beside the running one. */
  constructor (seconds: number) {
    this.#slots = seconds + 1
    const memory = new ArrayBuffer(this.#slots * SLOT)
    this.#sums = new Float64Array(memory)
    this.#counts = new Uint32Array(memory)
    this.#bins = new Uint16Array(memory)
    for (let slot = 0; slot < this.#slots; slot++) this.#sums[slot * SLOT / 8] = -1
  }

  /** One answer; `ms` until its last byte, `ttfb` until its headers, both in ms. */
  answer (second: number, code: number, ms: number, ttfb: number): void {
    const slot = this.#slotFor(second)
    const sums = slot * SLOT / 8;
    (this.#sums[sums + 1] as number) += ms;
    (this.#sums[sums + 2] as number) += ttfb
    const cell = this.#codes.indexOf(code)
    if (cell === -1) this.#count(slot, code)
    else (this.#counts[(slot * SLOT + COUNTS) / 4 + KINDS + cell] as number)++
    const bucket = bucketOf(ms)
    const used = (slot * SLOT + COUNTS) / 4 + USED
    if (BUCKETS - bucket > (this.#counts[used] as number)) this.#counts[used] = BUCKETS - bucket
    if (bucket >= (this.#counts[used + 1] as number)) this.#counts[used + 1] = bucket + 1
    const bin = (slot * SLOT + BINS) / 2 + bucket
    // Saturates rather than wraps: a full cell is more than one process can forward in a second.
    if (this.#bins[bin] !== FULL) (this.#bins[bin] as number)++
  }

  error (second: number, kind: ErrorKind): void {
    (this.#counts[(this.#slotFor(second) * SLOT + COUNTS) / 4 + ERROR_KINDS.indexOf(kind)] as number)++
  }

  /**
   * Adds up the seconds from `first` to `last`, both included; seconds no longer held count nothing. `histogram` is what the
   * latencies are added to: whoever asks for thousands of peers makes one of them.
   */
  sum (first: number, last: number, histogram: Uint32Array = new Uint32Array(BUCKETS)): Summary {
    const counted = new Map<number, number>()
    const errors = noErrors()
    let [count, rtsum, ttfbSum] = [0, 0, 0]
    const add = (code: number, n: number): void => {
      if (n > 0) counted.set(code, (counted.get(code) ?? 0) + n)
      count += n
    }
    for (let slot = 0; slot < this.#slots; slot++) {
      const [sums, counts, bins] = [slot * SLOT / 8, (slot * SLOT + COUNTS) / 4, (slot * SLOT + BINS) / 2]
      const second = this.#sums[sums] as number
      if (second < first || second > last) continue
      rtsum += this.#sums[sums + 1] as number
      ttfbSum += this.#sums[sums + 2] as number
      ERROR_KINDS.forEach((kind, i) => { errors[kind] += this.#counts[counts + i] as number })
      this.#codes.forEach((code, i) => add(code, this.#counts[counts + KINDS + i] as number))
      for (const [code, column] of this.#more) add(code, column[slot] as number)
      const end = this.#counts[counts + USED + 1] as number
      for (let i = BUCKETS - (this.#counts[counts + USED] as number); i < end; i++) (histogram[i] as number) += this.#bins[bins + i] as number
    }
    const codes = new Map([...counted].sort((a, b) => a[0] - b[0]))
    return { codes, errors, count, rtsum, ttfbSum, histogram }
  }

  /** Each second from `first` to `last`, both included, that anything was counted in and that is still held; oldest first. */
  series (first: number, last: number): Second[] {
    const found: Second[] = []
    for (let slot = 0; slot < this.#slots; slot++) {
      const [sums, counts] = [slot * SLOT / 8, (slot * SLOT + COUNTS) / 4]
      const second = this.#sums[sums] as number
      if (second < first || second > last) continue
      let [answers, failed] = [0, 0]
      const add = (code: number, n: number): void => {
        answers += n
        if (code >= 500) failed += n
      }
      this.#codes.forEach((code, i) => add(code, this.#counts[counts + KINDS + i] as number))
      for (const [code, column] of this.#more) add(code, column[slot] as number)
      let lost = 0
      ERROR_KINDS.forEach((kind, i) => { if (kind !== 'aborted') lost += this.#counts[counts + i] as number })
      found.push({ second, answers, requests: answers + lost, errors: failed + lost, rtsum: this.#sums[sums + 1] as number })
    }
    return found.sort((a, b) => a.second - b.second)
  }

  #slotFor (second: number): number {
    const slot = second % this.#slots
    const sums = slot * SLOT / 8
    if (this.#sums[sums] !== second) {
      this.#counts.fill(0, slot * SLOT / 4, (slot + 1) * SLOT / 4)
      this.#sums[sums] = second
      for (const column of this.#more.values()) column[slot] = 0
    }
    return slot
  }

  /** Counts a code that has no cell yet. */
  #count (slot: number, code: number): void {
    if (this.#codes.length < CODES) {
      const cell = this.#codes.push(code) - 1
      this.#counts[(slot * SLOT + COUNTS) / 4 + KINDS + cell] = 1
      return
    }
    let column = this.#more.get(code)
    if (column === undefined) {
      column = new Uint32Array(this.#slots)
      this.#more.set(code, column)
    }
    (column[slot] as number)++
  }
}
