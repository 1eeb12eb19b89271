import { Readable } from 'node:stream'

/** More than this may not lie here unread, bytes: what comes on top is made up for by a snapshot. */
const UNREAD = 256 * 1024
/** Long texts go in pieces, bytes: what is left of them tells whether anybody reads. */
const PIECE = 64 * 1024
/** For so long may a viewer read nothing of what lies here, ms. */
const PATIENCE = 30_000

/** What a viewer hangs on. */
export interface Line {
  /** Breaks it, whatever is under way. */
  readonly cut: () => void
  /** Nothing else is to come by its connection: that ends with the stream. */
  readonly last: () => void
  /** It has not ended: breaks the connection. */
  readonly hangUp: () => void
}

/** One who looks at the event stream. What is not read lies here, and it is never more than a snapshot beyond a bound. */
export class Viewer {
  readonly out = new Readable({ read () {} })
  /** The number of the last record that was sent. */
  seen: number
  /** A snapshot is to come, and records wait for it. */
  waits = true
  /** Nothing more is sent because `left` bytes are unread, and have been since (epoch ms); null when that is not so. */
  #slow: { readonly since: number, readonly left: number } | null = null

  /** How much may lie here: a snapshot on its way is no sign that nobody reads. */
  #room = UNREAD
  readonly #line: Line
  #isOver = false

  /** `seen` is the number of the last record that it knows. */
  constructor (seen: number, line: Line) {
    this.seen = seen
    this.#line = line
    this.out.once('close', () => { this.#isOver = true })
  }

  /** Whether it hears of what happens now. */
  get isLive (): boolean {
    return !this.waits && this.#slow === null && !this.#isOver
  }

  send (chunk: Buffer): void {
    if (this.#isOver) return
    for (let at = 0; at < chunk.length; at += PIECE) this.out.push(chunk.subarray(at, at + PIECE))
  }

  /** It is told how all is: what has happened until `seen` is in it, or was sent. */
  welcome (seen: number): void {
    this.seen = seen
    this.waits = false
    this.#room = UNREAD + this.out.readableLength
  }

  /** Nothing more comes. What has not got through within `ms` will not. */
  end (ms: number): void {
    if (this.#isOver) return
    this.#isOver = true
    this.out.push(null)
    this.#line.last()
    setTimeout(this.#line.hangUp, ms).unref()
  }

  /** At once, whatever is unread. */
  drop (): void {
    this.#isOver = true
    this.#line.cut()
    this.out.destroy()
  }

  /** Sends it to whom it is of use now: one that is too far behind is left out until it has read what it has. */
  offer (chunk: Buffer, at: number): boolean {
    if (!this.isLive) return false
    const left = this.out.readableLength
    if (left <= this.#room) {
      if (left <= UNREAD) this.#room = UNREAD
      this.send(chunk)
      return true
    }
    this.#slow = { since: at, left }
    return false
  }

  /** One that has caught up is to be told how all is by now; one that reads nothing is let go. */
  look (at: number): void {
    if (this.#slow === null || this.#isOver) return
    const left = this.out.readableLength
    if (left === 0) {
      this.#slow = null
      this.waits = true
    } else if (left < this.#slow.left) this.#slow = { since: at, left }
    else if (at - this.#slow.since > PATIENCE) this.drop()
  }
}
