import { connect, constants, type ClientHttp2Session } from 'node:http2'
import type { TLSSocket } from 'node:tls'
import { now } from '../clock.js'
import type { Passenger } from '../carrier.js'
import type { Ready } from '../http1/request.js'
import { Stream } from './stream.js'

/** Whose connection it is. */
export interface Owner {
  /**
   * The peer has done nothing with this request, and says so: it can be sent again. `isLeaving`: it took others, and then
   * ended the connection.
   */
  refused: (ready: Ready, passenger: Passenger, isLeaving: boolean) => void
  /** It has room for another request. */
  freed: () => void
  /** It takes no further request. */
  lost: (session: Session) => void
  /** The peer has ended it in order, after so many requests. */
  ended: (after: number) => void
  /** After so many requests the peer would end it anyway. */
  readonly most: number
}

/** Requests at the same time on one connection, unless the peer allows fewer. */
const STREAMS = 100
/**
 * MB that may wait to be sent on one connection. Node's own bound, 10, counts uploads that were handed over and then
 * refuses the *answers* of others; what waits is bounded by the requests there are.
 */
const MEMORY = 4000
/**
 * Bytes that a peer may send before it hears that they were read, on a stream and on the connection: the protocol's 64 KiB
 * are 2 MB/s where an answer takes 30 ms. What a client does not take is held up to the first.
 */
const STREAM_WINDOW = 262_144
const WINDOW = 4_194_304
/** Fields of an answer; Node's own bound is 128, and HTTP/1 here has none but that of 16 KiB. */
const FIELDS = 2000
/** How long a peer may take to show that it is still there, ms. */
const SIGN_OF_LIFE = 2000

/** How often a connection with requests is looked at, ms. */
const LOOK = 200

/** One connection by HTTP/2, with many requests at the same time. */
export class Session {
  readonly #session: ClientHttp2Session
  readonly #socket: TLSSocket
  #hasFailed = false
  /** It ends in order, and the peer took some of its requests. */
  #isLeaving = false
  readonly #owner: Owner
  readonly #scheme: string
  readonly #patience: number
  #streams = 0
  #carried = 0
  #heardAt = now()
  #isLost = false
  /** How many requests the peer allows is known. */
  #isReady = false
  #isAsked = false
  #idle: NodeJS.Timeout | null = null
  #look: NodeJS.Timeout | null = null
  /** When something last went in or out, and how much had gone out by then. */
  #movedAt = now()
  #written = 0

  /** Over a connection on which the peer has agreed to HTTP/2. `patience` is how long it may be idle, ms. */
  constructor (socket: TLSSocket, origin: string, owner: Owner, patience: number) {
    this.#owner = owner
    this.#socket = socket
    this.#scheme = new URL(origin).protocol.slice(0, -1)
    this.#patience = patience
    this.#session = connect(origin, {
      createConnection: () => socket,
      settings: { enablePush: false, initialWindowSize: STREAM_WINDOW },
      maxSessionMemory: MEMORY,
      maxHeaderListPairs: FIELDS
    })
    this.#session.on('error', () => {})
    this.#session.on('connect', () => this.#session.setLocalWindowSize(WINDOW))
    // Streams tell of their own ends.
    this.#session.on('goaway', (code, last) => {
      this.#hasFailed = code !== constants.NGHTTP2_NO_ERROR
      this.#isLeaving = last > 0
      // Requests have the odd numbers; 2 ** 31 - 1 is a first warning, and says nothing of those to come. Said once.
      if (!this.#isLost && !this.#hasFailed && this.#isLeaving && last <= 2 * this.#carried) this.#owner.ended((last + 1) / 2)
      this.#lose()
    })
    this.#session.on('close', () => this.#lose())
    this.#session.on('remoteSettings', () => {
      if (!this.#isReady) this.#rest()
      this.#isReady = true
      this.#owner.freed()
    })
    // Who waits for an answer holds the process by a timer of his own.
    this.#session.unref()
    this.#idle = setTimeout(() => this.destroy(new Error('no HTTP/2')), SIGN_OF_LIFE).unref()
  }

  /** Whether it can take another request. */
  get hasRoom (): boolean {
    const { closed, destroyed } = this.#session
    return this.#isReady && !this.#isLost && !closed && !destroyed && this.#streams < Math.min(STREAMS, this.#session.remoteSettings.maxConcurrentStreams ?? STREAMS)
  }

  /** Whether it is known how much room it has. */
  get isReady (): boolean {
    return this.#isReady
  }

  /** Sends a request. */
  carry (ready: Ready, passenger: Passenger): void {
    this.#streams++
    this.#carried++
    if (this.#idle !== null) clearTimeout(this.#idle)
    this.#idle = null
    this.#look ??= setTimeout(() => this.#keepLooking(), LOOK).unref()
    const { bytesWritten } = this.#socket
    const stream = new Stream(passenger, {
      heard: () => { this.#heardAt = now() },
      ended: () => this.#left(),
      // One that was not sent at all was refused by nobody.
      refused: again => this.#owner.refused(again, passenger, this.#isLeaving || this.#socket.destroyed),
      isUnsent: () => this.#socket.bytesWritten === bytesWritten,
      hasFailed: () => this.#hasFailed,
      // That it was given up may be because nothing comes any more, and others are to be spared that.
      aborted: startedAt => { if (this.#heardAt < startedAt) this.#ask() }
    })
    stream.start(ready, this.#session, this.#scheme)
    // What came after it would be refused; and what of a large upload was read by then, nobody could send again.
    if (this.#carried >= this.#owner.most) this.#lose()
  }

  /** Resolves when the requests under way have ended. */
  async close (): Promise<void> {
    this.#lose()
    if (this.#socket.destroyed) return
    await new Promise<void>(resolve => { this.#socket.once('close', () => resolve()) })
  }

  /** Node would wait for the peer to end its side, which one that is dead does not do. */
  destroy (error: Error): void {
    this.#session.destroy(error, constants.NGHTTP2_CANCEL)
    this.#socket.destroy()
    this.#lose()
  }

  #left (): void {
    this.#streams--
    if (this.#streams === 0 && this.#isLost) this.#end()
    else if (this.#streams === 0) this.#rest()
    if (this.hasRoom) this.#owner.freed()
  }

  #rest (): void {
    if (this.#idle !== null) clearTimeout(this.#idle)
    this.#idle = setTimeout(() => { this.close().catch(() => {}) }, this.#patience).unref()
  }

  #lose (): void {
    if (this.#isLost) return
    this.#isLost = true
    if (this.#idle !== null) clearTimeout(this.#idle)
    this.#owner.lost(this)
    // Told to close at once it would not send a request that was begun in this turn.
    if (this.#streams === 0) this.#end()
  }

  /** In order, and for sure. */
  #end (): void {
    if (this.#socket.destroyed) return
    this.#session.close()
    const cut = setTimeout(() => this.#socket.destroy(), SIGN_OF_LIFE).unref()
    this.#socket.once('close', () => clearTimeout(cut))
  }

  /**
   * Node stops reading while it writes, and when a write fails it may begin one that never ends: then it does not hear that
   * the connection is gone (nodejs: `TLSWrap::OnStreamAfterWrite` leaves `write_size_` as it was). So it is looked at from
   * outside: a connection that is gone has no remote address, and one that takes nothing for 2 s is as good as gone.
   */
  #keepLooking (): void {
    this.#look = null
    if (this.#session.destroyed || this.#streams === 0) return
    const { bytesWritten } = this.#socket
    const isWaiting = (this.#session.state.outboundQueueSize ?? 0) > 0 && bytesWritten === this.#written && this.#heardAt <= this.#movedAt
    if (!isWaiting) this.#movedAt = now()
    else if (this.#socket.remoteAddress === undefined || now() - this.#movedAt > SIGN_OF_LIFE) return this.destroy(new Error('the connection takes nothing any more'))
    this.#written = bytesWritten
    this.#look = setTimeout(() => this.#keepLooking(), LOOK).unref()
  }

  /** Cuts everything when the peer does not answer a ping. */
  #ask (): void {
    if (this.#isAsked || this.#session.destroyed) return
    this.#isAsked = true
    const timer = setTimeout(() => this.destroy(new Error(`no sign of life within ${SIGN_OF_LIFE} ms`)), SIGN_OF_LIFE).unref()
    const answered = (): void => {
      this.#isAsked = false
      clearTimeout(timer)
    }
    if (!this.#session.ping(answered)) answered()
  }
}
