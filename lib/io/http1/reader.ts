import type { IncomingHttpHeaders } from 'node:http'
import { errors } from 'undici'
import { garbled, HeadReader } from './head.js'
import { SIZE } from './reading.js'

/** A head, with all its lines, may be this long; so may trailers, and what stands beside the size of a chunk. */
const LONGEST_HEAD = 16_384
const LONGEST_CHUNK_LINE = 1024
/** How much of a long answer is read at once, in bytes. With twice as much, V8 now and then marks all the time. */
const LONG = 131_072

/** What a response is read for. */
export interface Sink {
  head: (status: number, text: string, fields: IncomingHttpHeaders) => void
  data: (chunk: Buffer) => boolean
}

/**
 * What is to be read next: the head; a body of a known length, or until the connection ends; the size of a chunk, its
 * bytes, the line end behind it, the trailers. `done` also stands for an answer that nobody wants any more.
 */
type State = 'done' | 'head' | 'length' | 'close' | 'size' | 'chunk' | 'chunk end' | 'trailers'

/** Nothing of a message stays in it between two calls, so one will do for all. */
const heads = new HeadReader()
const NO_FIELDS: IncomingHttpHeaders = Object.freeze({})
const [CR, LF] = [13, 10]

/**
 * Reads one response after another from the bytes of a connection, and tells them as they come. All bytes are used up at
 * once, so nobody may change what it is waiting for while it reads; what is told may call `stop`.
 */
export class ResponseReader {
  /** Good once the head is there: the connection can take another request, and how long (ms) the peer will wait for it. */
  persists = false
  waits: number | null = null
  trailers = NO_FIELDS
  /** The sink wants no more for now. */
  isHeld = false
  /** Where the next bytes are to be read to; null for where all read to. Set while a long answer flows freely. */
  own: Buffer<ArrayBuffer> | null = null
  #state: State = 'done'
  #sink: Sink | null = null
  #isHead = false
  #isGiven = false
  #left = 0
  /** The beginning of lines that have not come whole. */
  #rest: Buffer | null = null

  /** All of the response is there, or it is not wanted. */
  get isDone (): boolean {
    return this.#state === 'done'
  }

  /** The next response is for `sink`; one to HEAD has no body whatever it says. */
  begin (sink: Sink, isHead: boolean): void {
    this.#sink = sink
    this.#isHead = isHead
    this.#state = 'head'
    this.#rest = null
    this.isHeld = false
    this.persists = false
    this.waits = null
    this.trailers = NO_FIELDS
  }

  /** The rest is not wanted. */
  stop (): void {
    this.#state = 'done'
    this.#sink = null
    this.#rest = null
    this.isHeld = false
    this.own = null
  }

  /**
   * Reads the first `length` bytes of `bytes`, which may be overwritten afterwards unless they were its `own`. Returns how many belong to the
   * response; what is left when it is done was not asked for. Throws HTTPParserError or HeadersOverflowError.
   */
  read (bytes: Buffer, length: number): number {
    // A buffer of its own is handed on as it is: a copy would cost as much as a tenth of a long answer.
    this.#isGiven = bytes === this.own && length >= bytes.length / 4
    const at = this.#steps(bytes, length)
    this.own = this.#room(length === bytes.length ? length * 2 : length >= bytes.length / 2 ? bytes.length : bytes.length / 2)
    return at
  }

  #steps (bytes: Buffer, length: number): number {
    let at = 0
    while (at < length && this.#state !== 'done') {
      const next = this.#step(bytes, at, length)
      if (next === at) {
        this.#keep(bytes, at, length)
        return length
      }
      at = next
    }
    return at
  }

  /** The connection has ended. Whether that is the end of the response. */
  finish (): boolean {
    if (this.#state !== 'close') return false
    this.stop()
    return true
  }

  /** One step; returns where the next one begins, or `from` when there is not enough for it. */
  #step (bytes: Buffer, from: number, to: number): number {
    switch (this.#state) {
      case 'head': return this.#rest === null ? this.#head(bytes, from, to) : this.#joined(bytes, from, to)
      case 'length': return this.#body(bytes, from, to, 'done')
      case 'close': {
        this.#give(bytes, from, to)
        return to
      }
      case 'chunk': return this.#body(bytes, from, to, 'chunk end')
      default: return this.#rest === null ? this.#lines(bytes, from, to) : this.#joined(bytes, from, to)
    }
  }

  /** With what was kept of the step that is still to be done. */
  #joined (bytes: Buffer, from: number, to: number): number {
    const rest = this.#rest ?? bytes.subarray(0, 0)
    const joined = Buffer.concat([rest, bytes.subarray(from, to)])
    this.#rest = null
    const end = this.#state === 'head' ? this.#head(joined, 0, joined.length) : this.#lines(joined, 0, joined.length)
    if (end !== 0) return from + end - rest.length
    this.#keep(joined, 0, joined.length)
    return to
  }

  #keep (bytes: Buffer, from: number, to: number): void {
    const longest = this.#state === 'size' || this.#state === 'chunk end' ? LONGEST_CHUNK_LINE : LONGEST_HEAD
    if (to - from > longest) throw new errors.HeadersOverflowError()
    this.#rest = Buffer.from(bytes.subarray(from, to))
  }

  #head (bytes: Buffer, from: number, to: number): number {
    if (!heads.head(bytes, from, to)) return from
    const { at, read: { status, text, fields, length, isChunked, persists, waits } } = heads
    if (at - from > LONGEST_HEAD) throw new errors.HeadersOverflowError()
    // Nobody asked for another protocol here.
    if (status === 101) throw garbled('101 that was not asked for')
    // The others are on their way to the answer; no request of ours asks for 100.
    if (status < 200) {
      if (status === 100) throw garbled('100 that was not asked for')
      return at
    }
    // What may be followed by a body that there must not be is not followed by another request.
    this.persists = persists && !(status === 204 && length > 0) && !((status === 204 || status === 304) && isChunked)
    this.waits = waits
    if (this.#isHead || status === 204 || status === 304) this.#state = 'done'
    else if (isChunked) this.#state = 'size'
    else if (length >= 0) {
      this.#left = length
      this.#state = length === 0 ? 'done' : 'length'
    } else {
      this.#state = 'close'
      this.persists = false
    }
    this.#sink?.head(status, text, fields)
    return at
  }

  /** Bytes of which it is known how many come, and what comes `then`. */
  #body (bytes: Buffer, from: number, to: number, then: State): number {
    const end = Math.min(to, from + this.#left)
    this.#left -= end - from
    if (this.#left === 0) this.#state = then
    this.#give(bytes, from, end)
    return end
  }

  #give (bytes: Buffer, from: number, to: number): void {
    let chunk: Buffer
    if (this.#isGiven) chunk = bytes.subarray(from, to)
    else {
      chunk = Buffer.allocUnsafe(to - from)
      bytes.copy(chunk, 0, from, to)
    }
    if (this.#sink?.data(chunk) === false) this.isHeld = true
  }

  /**
   * `size` bytes for what is still to come, if that is worth it. It grows as long as reads fill it: few long reads cost less
   * than many short ones, and a long buffer for a short read costs more than it saves.
   */
  #room (size: number): Buffer<ArrayBuffer> | null {
    if (size < SIZE || this.isHeld || this.#state === 'done' || this.#state === 'head' || this.#state === 'trailers') return null
    const room = Math.min(size, LONG, this.#state === 'length' ? this.#left : LONG)
    return room < SIZE / 4 ? null : Buffer.allocUnsafeSlow(room)
  }

  /** What frames chunks (RFC 9112, 7.1). */
  #lines (bytes: Buffer, from: number, to: number): number {
    if (this.#state === 'trailers') {
      const trailers = heads.trailers(bytes, from, to)
      if (trailers === null) return from
      if (heads.at - from > LONGEST_HEAD) throw new errors.HeadersOverflowError()
      this.trailers = trailers
      this.#state = 'done'
      return heads.at
    }
    const end = bytes.subarray(from, to).indexOf(LF)
    if (end === -1) return from
    if (end === 0 || bytes[from + end - 1] !== CR) throw garbled('a chunk is not framed')
    if (end > LONGEST_CHUNK_LINE) throw new errors.HeadersOverflowError()
    const line = bytes.toString('latin1', from, from + end - 1)
    if (this.#state === 'chunk end') {
      if (line !== '') throw garbled('a chunk is longer than its size')
      this.#state = 'size'
    } else {
      this.#left = sizeOf(line)
      this.#state = this.#left === 0 ? 'trailers' : 'chunk'
    }
    return from + end + 1
  }
}

/** The size of a chunk. Extensions are read over; they may say nothing that is passed on. */
function sizeOf (line: string): number {
  const [, size] = /^([\da-f]{1,13})(?:;[\t\x20-\x7e\x80-\xff]*)?$/i.exec(line) ?? []
  if (size === undefined) throw garbled('invalid chunk size')
  return parseInt(size, 16)
}
