/**
 * Reading and adding in number arrays whose index the caller knows to be in range. They exist because the compiler
 * takes every indexed read for possibly undefined, and a fallback that never runs would be a lie in the code.
 */

export type Cells = Float64Array | Uint32Array | Uint16Array | number[]

/** The value at `i`. */
export function at (cells: Cells, i: number): number {
  return cells[i] as number
}

/** Adds `n` to the value at `i`. */
export function add (cells: Cells, i: number, n: number): void {
  cells[i] = (cells[i] as number) + n
}
