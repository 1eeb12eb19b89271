import { Readable } from 'node:stream'

/** More than this may not lie here unread, bytes: what comes on top is made up for by a snapshot. */
const UNREAD = 256 * 1024
/** For so long may a viewer read nothing of what lies here, ms. */
const PATIENCE = 30_000

/** One who looks at the event stream. What is not read lies here, and it is never more than a snapshot beyond a bound. */
export class Viewer {
  readonly out = new Readable({ read () {} })
  /** The number of the last record that was sent. */
  seen: number
  /** A snapshot is to come, and records wait for it. */
  waits = true
  /** Since when nothing more is sent because too much is unread, epoch ms; null when that is not so. */
  #slowSince: number | null = null

  readonly #cut: () => void
  #isOver = false

  /** `seen` is the number of the last record that it knows; `cut` breaks its connection. */
  constructor (seen: number, cut: () => void) {
    this.seen = seen
    this.#cut = cut
  }

  /** Whether it hears of what happens now. */
  get isLive (): boolean {
    return !this.waits && this.#slowSince === null
  }

  send (chunk: Buffer): void {
    if (!this.#isOver) this.out.push(chunk)
  }

  /** Nothing more comes. What has not got through within `ms` will not. */
  end (ms: number): void {
    this.#isOver = true
    this.out.push(null)
    setTimeout(this.#cut, ms).unref()
  }

  /** At once, whatever is unread. */
  drop (): void {
    this.#isOver = true
    this.#cut()
    this.out.destroy()
  }

  /** Sends it to whom it is of use now: one that is too far behind is left out until it has read what it has. */
  offer (chunk: Buffer, at: number): boolean {
    if (!this.isLive) return false
    if (this.out.readableLength <= UNREAD) {
      this.send(chunk)
      return true
    }
    this.#slowSince = at
    return false
  }

  /** One that has caught up is to be told how all is by now; one that reads nothing is let go. */
  look (at: number): void {
    if (this.#slowSince === null) return
    if (this.out.readableLength === 0) {
      this.#slowSince = null
      this.waits = true
    } else if (at - this.#slowSince > PATIENCE) this.drop()
  }
}
