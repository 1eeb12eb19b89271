import type { Socket } from 'node:net'
import { errors } from 'undici'
import { now } from '../clock.js'
import { isIdempotent } from '../../picker/exchange.js'
import type { Flow, Passenger } from '../carrier.js'
import type { Connect } from '../connector.js'
import { readFirst } from '../read-first.js'
import { ResponseReader } from './reader.js'
import { readFor, type Reader } from './reading.js'
import type { Ready } from './request.js'
import { sendSoon, type Due } from './soon.js'
import { UploadWriter } from './upload-writer.js'

/** Whose connection it is. */
export interface Depot {
  /** It can take the next request. */
  freed: (connection: Connection) => void
  /** It is closed, and will not be heard of again. */
  lost: (connection: Connection) => void
  /** It was closed before this request was sent, of which nothing is known anywhere. */
  returned: (ready: Ready, passenger: Passenger) => void
}

/** A connection is given up that much before its peer would, ms. */
const MARGIN = 2000

/**
 * One connection to a peer by HTTP/1, with one request at a time.
 *
 * A request on a connection that was used before is sent when all events of this turn of the loop have been seen: the
 * peer may have closed it, or have sent what nobody asked for, which the next request must not get for its answer. One
 * that could not be repeated waits for the next turn as well, in which an end that came behind the last answer is seen.
 */
export class Connection implements Flow, Due, Reader {
  readonly #depot: Depot
  /** How long it may be idle, ms. */
  readonly #patience: number
  readonly #reader = new ResponseReader()
  #socket: Socket | null = null
  #ready: Ready | null = null
  #passenger: Passenger | null = null
  #writer: UploadWriter | null = null
  #hasWaited = false
  #isSent = false
  /** The request is such that the connection ends with it. */
  #isLast = false
  #isClosed = false
  #idleSince = 0
  #idleTimer: NodeJS.Timeout | null = null
  /** How long the timer runs, and how long it should by what the peer said last, ms. */
  #armedFor = Infinity
  #idleFor: number
  /** Failed writes are told late, so that the answer is read first. */
  #readsFirst = false

  /** Connects at once. `patience` is how long it may be idle, ms. */
  constructor (depot: Depot, connect: Connect, patience: number) {
    this.#depot = depot
    this.#patience = patience
    this.#idleFor = patience
    connect((error, socket) => {
      if (error !== null) this.#fail(error)
      else if (this.#isClosed) socket.destroy()
      else this.#opened(socket)
    })
  }

  /** Takes a request; it must have none. */
  carry (ready: Ready, passenger: Passenger): void {
    this.#ready = ready
    this.#passenger = passenger
    this.#hasWaited = isIdempotent(ready.method)
    if (this.#socket !== null) sendSoon(this)
  }

  /** Whether its request is to wait for another turn of the loop. */
  waits (): boolean {
    const waits = !this.#hasWaited
    this.#hasWaited = true
    return waits
  }

  /** Sends the request that it has. */
  send (): void {
    const [socket, ready, passenger] = [this.#socket, this.#ready, this.#passenger]
    if (socket === null || ready === null || passenger === null) return
    this.#ready = null
    if (passenger.isOver) {
      this.#passenger = null
      this.#free()
      return
    }
    this.#isSent = true
    this.#isLast = ready.isHead || (ready.body !== null && !ready.expectsBody)
    this.#reader.begin(passenger, ready.isHead)
    passenger.sending(this)
    if (this.#isSent) this.#write(socket, ready)
  }

  get own (): Buffer<ArrayBuffer> | null {
    return this.#reader.own
  }

  received (bytes: Buffer, length: number): boolean {
    const passenger = this.#passenger
    // What comes before the request is no answer to it.
    if (passenger === null || !this.#isSent || this.#writer?.hasBegun === false) {
      this.#fail(new errors.SocketError('bad response'))
      return true
    }
    let used: number
    try {
      used = this.#reader.read(bytes, length)
    } catch (error) {
      this.#fail(error as Error)
      return true
    }
    // It may have been aborted by what it was told.
    if (this.#passenger !== passenger) return true
    if (this.#reader.isDone) this.#complete(passenger, used === length)
    return !this.#reader.isHeld
  }

  resume (): void {
    if (!this.#reader.isHeld) return
    this.#reader.isHeld = false
    this.#socket?.resume()
  }

  /** Nobody wants the rest. */
  abort (error: Error): void {
    this.#passenger = null
    this.#fail(error)
  }

  /** Closes a connection that has no request. */
  close (): void {
    this.#fail(new errors.ClientClosedError())
  }

  /** Cuts what is under way. */
  destroy (error: Error): void {
    this.#fail(error)
  }

  #opened (socket: Socket): void {
    this.#socket = socket
    readFor(socket, this)
    socket.on('error', error => this.#fail(error))
    socket.on('end', () => this.#peerEnded())
    socket.on('close', () => this.#fail(new errors.SocketError('closed')))
    // Who waits for an answer holds the process by a timer of his own.
    socket.unref()
    if (this.#passenger === null) this.#free()
    else this.send()
  }

  #write (socket: Socket, ready: Ready): void {
    const { head, body, length } = ready
    if (body === null) {
      socket.write(length === null ? `${head}\r\n` : `${head}content-length: 0\r\n\r\n`, 'latin1')
      return
    }
    if (!this.#readsFirst) readFirst(socket)
    this.#readsFirst = true
    if (Buffer.isBuffer(body)) {
      socket.cork()
      socket.write(`${head}content-length: ${length}\r\n\r\n`, 'latin1')
      socket.write(body)
      socket.uncork()
    } else {
      this.#writer = new UploadWriter(socket, body, ready, error => {
        this.#writer = null
        if (error !== null) this.#fail(error)
      })
    }
  }

  /** The answer is there. `isExact` when nothing came behind it. */
  #complete (passenger: Passenger, isExact: boolean): void {
    const { persists, waits, trailers } = this.#reader
    this.#passenger = null
    this.#isSent = false
    // Whoever did not want the rest has it all the same; the next one is not to wait for him.
    this.resume()
    // And nothing of him is to be kept for as long as this connection is idle.
    this.#reader.stop()
    // Its place is free for the next one before anybody hears of the end.
    this.#idleFor = waits === null ? this.#patience : Math.min(waits - MARGIN, this.#patience)
    if (isExact && persists && !this.#isLast && this.#writer === null && this.#idleFor > 0) this.#free()
    else this.#fail(new errors.InformationalError('reset'))
    passenger.end(trailers)
  }

  #free (): void {
    this.#idleSince = now()
    if (this.#idleFor < this.#armedFor) this.#arm(this.#idleFor)
    this.#depot.freed(this)
  }

  #arm (ms: number): void {
    if (this.#idleTimer !== null) clearTimeout(this.#idleTimer)
    this.#armedFor = ms
    this.#idleTimer = setTimeout(() => this.#idle(), ms).unref()
  }

  /** One timer that is late, instead of one for each request. */
  #idle (): void {
    const left = this.#passenger === null ? this.#idleFor - (now() - this.#idleSince) : this.#idleFor
    if (left <= 0) this.close()
    else this.#arm(left)
  }

  #peerEnded (): void {
    const passenger = this.#passenger
    if (passenger !== null && this.#reader.finish()) this.#complete(passenger, true)
    else this.#fail(new errors.SocketError('other side closed'))
  }

  /** It is over, and with it the request under way, if any. Only the first call counts. */
  #fail (error: Error): void {
    if (this.#isClosed) return
    this.#isClosed = true
    const [passenger, ready] = [this.#passenger, this.#ready]
    this.#passenger = this.#ready = null
    this.#isSent = false
    if (this.#idleTimer !== null) clearTimeout(this.#idleTimer)
    this.#reader.stop()
    this.#writer?.stop()
    this.#socket?.destroy()
    const isReturned = this.#socket !== null && passenger !== null && ready !== null
    // First of all, or its pool would think that nobody is left.
    if (isReturned) this.#depot.returned(ready, passenger)
    this.#depot.lost(this)
    if (!isReturned) passenger?.failed(error)
  }
}
