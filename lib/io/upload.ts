import type { Blob } from 'node:buffer'
import { IncomingMessage } from 'node:http'
import { Readable } from 'node:stream'
import type { FormData } from 'undici'

/** How long a client may go on sending what nobody will read, ms, before its connection is closed; nginx's lingering close. */
const LINGER = 5000

/** What one attempt reads: the upload from its beginning. That it is destroyed does not concern the client's connection. */
class Part extends Readable {
  readonly #upload: Upload

  constructor (upload: Upload) {
    super()
    // What could not be sent is destroyed with the reason, of which the attempt is told anyway.
    this.on('error', () => {})
    this.#upload = upload
  }

  override _read (): void {
    this.#upload.flow(this)
  }

  override _destroy (error: Error | null, callback: (error?: Error | null) => void): void {
    this.#upload.leave(this)
    callback(error)
  }
}

/**
 * A request body that is still coming. It goes to the peer as it comes, and its beginning is kept, so that as long as
 * all that was read is kept a second attempt can be given the whole of it.
 */
export class Upload {
  readonly #source: Readable
  readonly #clock: () => number
  readonly #kept: Buffer[] = []
  #room: number
  #inHand = true
  #isOver = false
  #isSettled = false
  #part: Part | null = null
  #linger: NodeJS.Timeout | undefined
  /** When something of it last went on its way, ms; 0 when nothing has yet. */
  progressAt = 0
  /** Why it will never be whole, which is no peer's fault. */
  error: Error | null = null

  /** Keeps the first `limit` bytes. */
  constructor (source: Readable, limit: number, clock: () => number) {
    this.#source = source
    this.#room = limit
    this.#clock = clock
    source.on('data', (chunk: Buffer) => this.#take(chunk))
    source.on('end', () => this.#finish(null))
    source.on('error', error => this.#finish(error))
    source.on('close', () => {
      // An error is dear to make, and most streams close after their end.
      if (!this.#isOver) this.#finish(new Error('the request ended before its body'))
    })
    source.pause()
  }

  /** Whether a further attempt could be given all of it. */
  get isInHand (): boolean {
    return this.#inHand
  }

  /** Whether all of it has come and was kept. */
  get isWhole (): boolean {
    return this.#inHand && this.#isOver && this.error === null
  }

  /** Whether nothing of it has come yet, not even its end. */
  get isUntouched (): boolean {
    return this.progressAt === 0 && !this.#isOver
  }

  /** Whether a peer would take more of it, and the client does not send it. */
  get isAwaited (): boolean {
    return this.#part !== null && !this.#isOver && !this.#source.isPaused()
  }

  /** The body for one attempt; the one before it gets no more. */
  open (): Readable {
    const part = new Part(this)
    this.#part = part
    for (const chunk of this.#kept) part.push(chunk)
    if (this.#isOver) this.#tell(part)
    return part
  }

  /** The part wants more. */
  flow (part: Part): void {
    if (part === this.#part && !this.#isOver) this.#source.resume()
  }

  /** The part wants no more. */
  leave (part: Part): void {
    if (part !== this.#part) return
    this.#part = null
    if (this.#isOver) return
    if (this.#isSettled) this.#drain()
    else this.#source.pause()
  }

  /** No further attempt will want it. What nobody reads is read away, or the client's next request would wait behind it. */
  settle (): void {
    this.#isSettled = true
    if (this.#part === null && !this.#isOver) this.#drain()
  }

  /** Nothing of it will be sent any more, also of what an attempt was given that never came to read it. */
  giveUp (): void {
    this.#part?.destroy()
    this.settle()
  }

  #drain (): void {
    this.#source.resume()
    this.#linger = setTimeout(() => this.#source.destroy(), LINGER).unref()
  }

  #take (chunk: Buffer): void {
    if (this.#isSettled && this.#part === null) return
    this.progressAt = this.#clock()
    this.#room -= chunk.length
    if (this.#room >= 0) this.#kept.push(chunk)
    else {
      this.#inHand = false
      this.#kept.length = 0
    }
    if (this.#part?.push(chunk) !== true) this.#source.pause()
  }

  #finish (error: Error | null): void {
    if (this.#isOver) return
    this.#isOver = true
    clearTimeout(this.#linger)
    this.error = error
    if (this.#part !== null) this.#tell(this.#part)
  }

  #tell (part: Part): void {
    if (this.error === null) part.push(null)
    else part.destroy(this.error)
  }
}

/** What of a body is sent: bytes in hand, what can be read again at will, or what is still coming. */
export type Body = Buffer | string | Blob | FormData | Upload | null

/** Whether the body can be sent again from its beginning once the attempt that had it is over. */
export function isInHand (body: Body): boolean {
  return !(body instanceof Upload) || body.isInHand
}

/** The same while that attempt is still there, and may yet want the rest of it. */
export function isWhole (body: Body): boolean {
  return !(body instanceof Upload) || body.isWhole
}

/** Whether the body is in a form that takes work to write it down. */
export function isOdd (body: Body): body is Blob | FormData {
  return body !== null && typeof body === 'object' && !(body instanceof Uint8Array) && !(body instanceof Upload)
}

/**
 * The body of a request whose first bytes the parser may still be busy with; to be asked one tick after the headers.
 * A body that came whole with them is bytes, which are cheaper to send and in hand for every attempt. What can never be
 * sent twice need not be kept: `limit` is null then.
 */
export function bodyFrom (source: Readable, limit: number | null, clock: () => number): Body {
  const length = source.readableLength
  if (source instanceof IncomingMessage && length > 0 && length <= (limit ?? Infinity) && source.headers['content-length'] === String(length)) {
    const whole: Buffer = source.read()
    // There is nothing more to read but the end.
    source.resume()
    return whole
  }
  return new Upload(source, limit ?? 0, clock)
}
