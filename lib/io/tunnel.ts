import { randomBytes } from 'node:crypto'
import type { Duplex } from 'node:stream'
import { Frames, goingAway } from './frames.js'

/** Told by a tunnel when its end has begun, which is to be bounded, and when both of its connections are closed. */
export interface Keeper {
  ending: (tunnel: Tunnel) => void
  gone: (tunnel: Tunnel) => void
}

/** One direction: what comes from one side goes to the other, as fast as that takes it. */
class Flow {
  readonly #from: Duplex
  readonly #to: Duplex
  readonly #frames: Frames | null
  readonly #farewell: () => Buffer
  readonly #changed: () => void
  /** A Close frame of ours goes out as soon as no frame is under way. */
  #isClosing = false
  #isShut = false

  /** `frames` of a WebSocket, null otherwise; `changed` is called whenever `isShut` or `isClosed` may have become true. */
  constructor (from: Duplex, to: Duplex, frames: Frames | null, farewell: () => Buffer, changed: () => void) {
    this.#from = from
    this.#to = to
    this.#frames = frames
    this.#farewell = farewell
    this.#changed = changed
    from.on('data', (chunk: Buffer) => this.#take(chunk))
    to.on('drain', () => from.resume())
  }

  /** The source has said its last word. */
  get isClosed (): boolean {
    return this.#frames?.isClosed === true
  }

  /** Nothing more is handed on. */
  get isShut (): boolean {
    return this.#isShut
  }

  /** Says farewell in the source's place at the next boundary, unless the source has done so. */
  close (): void {
    this.#isClosing = true
    if (this.#frames === null || this.#frames.isBetween) this.#shut()
  }

  #take (chunk: Buffer): void {
    const end = this.#frames?.take(chunk) ?? 0
    if (!this.#isClosing || end === 0) this.#write(chunk)
    else {
      this.#write(chunk.subarray(0, end))
      this.#shut()
    }
    if (this.#isClosing) this.#changed()
  }

  /** What the source still sends is read, for its own farewell, and goes nowhere. */
  #shut (): void {
    if (this.#isShut) return
    if (this.#frames !== null && !this.#frames.isClosed) this.#write(this.#farewell())
    this.#isShut = true
    this.#from.resume()
  }

  #write (chunk: Buffer): void {
    // Who has hung up gets nothing more.
    if (this.#isShut || !this.#to.writable) return
    if (!this.#to.write(chunk)) this.#from.pause()
  }
}

/**
 * Two connections joined after a 101, for as long as both live: bytes go through as they are, in both directions, and
 * so does the end of each direction. What breaks one connection ends the other.
 */
export class Tunnel {
  readonly #client: Duplex
  readonly #peer: Duplex
  readonly #keeper: Keeper
  readonly #isWebSocket: boolean
  readonly #up: Flow
  readonly #down: Flow
  #isClosing = false
  #alive = 2

  constructor (client: Duplex, peer: Duplex, isWebSocket: boolean, keeper: Keeper) {
    this.#client = client
    this.#peer = peer
    this.#keeper = keeper
    this.#isWebSocket = isWebSocket
    const frames = (): Frames | null => isWebSocket ? new Frames() : null
    const changed = (): void => this.#hangUp()
    this.#watch(client, peer)
    this.#watch(peer, client)
    this.#up = new Flow(client, peer, frames(), () => goingAway(randomBytes(4)), changed)
    this.#down = new Flow(peer, client, frames(), () => goingAway(null), changed)
  }

  /** Lets bytes flow. */
  start (): void {
    this.#client.resume()
    this.#peer.resume()
  }

  /**
   * Ends it in order. Both sides of a WebSocket are told 1001 at the next frame boundary and are hung up on when they
   * have answered; of any other protocol nothing is known but that a connection ends.
   */
  close (): void {
    if (this.#isClosing) return
    this.#isClosing = true
    this.#keeper.ending(this)
    this.#up.close()
    this.#down.close()
    this.#hangUp()
  }

  /** Ends it at once. */
  destroy (): void {
    this.#client.destroy()
    this.#peer.destroy()
  }

  #watch (side: Duplex, other: Duplex): void {
    // One end may come long before the other one.
    side.allowHalfOpen = true
    side.on('error', () => {})
    side.on('end', () => other.end(() => {
      // A WebSocket has no use for one direction alone. Other protocols may take their time.
      if (this.#isWebSocket && this.#alive > 0) this.#keeper.ending(this)
    }))
    side.on('close', () => {
      if (--this.#alive === 0) return this.#keeper.gone(this)
      // Who was told of the end may still answer.
      if (this.#isClosing) return
      this.#keeper.ending(this)
      other.end(() => other.destroy())
    })
  }

  /** Hangs up on each side that was told the end and has no word left to say. */
  #hangUp (): void {
    if (this.#down.isShut && (!this.#isWebSocket || this.#up.isClosed)) this.#client.end()
    if (this.#up.isShut && (!this.#isWebSocket || this.#down.isClosed)) this.#peer.end()
  }
}
