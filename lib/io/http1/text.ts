/** What `toString('latin1')` comes down to; a call of that spends as long on its arguments. */
export interface Bytes extends Buffer {
  latin1Slice: (start?: number, end?: number) => string
}

/**
 * The text of some bytes, kept for when the same bytes come again: to compare them costs a fifth of making a string of
 * them, and most of what peers say in their headers they have said before.
 */
export class LastText {
  /** Longer ones are not kept. */
  static readonly #longest = 48
  text = ''
  /** How many bytes it is; -1 when it is not kept. */
  length = -1
  readonly #bytes = new Uint8Array(LastText.#longest)

  /** Whether the same bytes stand at `at`. */
  isAt (bytes: Uint8Array, at: number): boolean {
    const { length } = this
    if (length < 0) return false
    for (let i = 0; i < length; i++) if (this.#bytes[i] !== bytes[at + i]) return false
    return true
  }

  /** Makes a string of those from `start` to `end`. */
  read (bytes: Buffer, start: number, end: number): string {
    const text = (bytes as Bytes).latin1Slice(start, end)
    const length = end - start
    this.text = text
    this.length = length > LastText.#longest ? -1 : length
    for (let i = 0; i < this.length; i++) this.#bytes[i] = bytes[start + i] as number
    return text
  }
}
