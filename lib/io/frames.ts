/** A frame that closes a WebSocket (RFC 6455, 5.5.1). */
const CLOSE = 0x8
const MASKED = 0x80
/** Of a frame's second byte, what says how long the payload is, or that the length follows in 2 or 8 bytes. */
const LENGTH = 0x7f
const IN_TWO_BYTES = 126
/** "Going away": whoever says it is about to leave (RFC 6455, 7.4.1). */
const GOING_AWAY = 1001

/**
 * Knows where the frames of one direction of a WebSocket end, from their headers alone (RFC 6455, 5.2). Payloads are
 * neither read nor kept: a chunk costs as much as it has frames.
 */
export class Frames {
  readonly #header = Buffer.alloc(10)
  /** Bytes of a header that is not whole yet. */
  #have = 0
  /** Bytes still to come of the frame whose header was read last, its mask included. */
  #left = 0
  #closed = false

  /** The last byte taken was the last one of a frame, or none was taken yet. */
  get isBetween (): boolean {
    return this.#have === 0 && this.#left === 0
  }

  /** A whole Close frame has passed. */
  get isClosed (): boolean {
    return this.#closed
  }

  /** Takes what comes next. Returns where in `chunk` the last frame ends that ends in it; 0 when none does. */
  take (chunk: Buffer): number {
    let end = 0
    for (let at = 0; at < chunk.length;) {
      if (this.#left > 0) {
        const step = Math.min(this.#left, chunk.length - at)
        this.#left -= step
        at += step
      } else this.#readHeader(chunk.readUInt8(at++))
      if (!this.isBetween) continue
      end = at
      if ((this.#header.readUInt8(0) & 0xf) === CLOSE) this.#closed = true
    }
    return end
  }

  #readHeader (byte: number): void {
    this.#header.writeUInt8(byte, this.#have++)
    if (this.#have < 2) return
    const second = this.#header.readUInt8(1)
    const short = second & LENGTH
    const size = short < IN_TWO_BYTES ? 2 : short === IN_TWO_BYTES ? 4 : 10
    if (this.#have < size) return
    const payload = size === 2 ? short : size === 4 ? this.#header.readUInt16BE(2) : Number(this.#header.readBigUInt64BE(2))
    this.#left = payload + ((second & MASKED) === 0 ? 0 : 4)
    this.#have = 0
  }
}

/** A Close frame with status 1001; `mask` (4 bytes) as a client has to use one, null from a server. */
export function goingAway (mask: Buffer | null): Buffer {
  const payload = Buffer.alloc(2)
  payload.writeUInt16BE(GOING_AWAY)
  const first = 0x80 | CLOSE
  if (mask === null) return Buffer.from([first, payload.length, ...payload])
  return Buffer.from([first, MASKED | payload.length, ...mask, ...payload.map((byte, i) => byte ^ mask.readUInt8(i))])
}
