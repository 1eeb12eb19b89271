import { classOf, type StatusClass } from './outcome.js'

/** Status codes that are counted one by one, the first that are seen. What comes later is told by its class. */
const EXACT = 32

const CLASSES: ReadonlyArray<readonly [StatusClass, string]> = [[1, '1xx'], [2, '2xx'], [3, '3xx'], [4, '4xx'], [5, '5xx'], [0, 'other']]

/** Answers by status since first seen. Whatever is answered, there are at most 38 numbers to tell. */
export class CodeCounts {
  /** By class: `classes[2]` are the 2xx. */
  readonly classes: Record<StatusClass, number> = { 0: 0, 1: 0, 2: 0, 3: 0, 4: 0, 5: 0 }
  readonly #codes: number[] = []
  readonly #counts: number[] = []

  add (status: number): void {
    this.classes[classOf(status)]++
    const cell = this.#codes.indexOf(status)
    if (cell !== -1) (this.#counts[cell] as number)++
    else if (this.#codes.length < EXACT) this.#counts[this.#codes.push(status) - 1] = 1
  }

  /** Code → count, codes rising; then those codes that have no number of their own, by class (`4xx`, or `other`). */
  told (): Array<readonly [string, number]> {
    const rest = { ...this.classes }
    const exact = this.#codes.map((code, cell) => [code, this.#counts[cell] as number] as const).sort((a, b) => a[0] - b[0])
    for (const [code, count] of exact) rest[classOf(code)] -= count
    const classes = CLASSES.map(([digit, name]) => [name, rest[digit]] as const).filter(([, count]) => count > 0)
    return [...exact.map(([code, count]) => [String(code), count] as const), ...classes]
  }
}
