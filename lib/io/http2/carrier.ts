import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import type { Carrier, Outbound, Passenger } from '../carrier.js'
import type { Connect } from '../connector.js'
import { Pool } from '../http1/pool.js'
import { prepare, type Ready } from '../http1/request.js'
import { Waiting } from '../http1/waiting.js'
import { Session, type Owner } from './session.js'

/**
 * Connections to a peer that may speak HTTP/2. What it speaks is known when the first connection stands (ALPN): HTTP/2
 * with many requests on each, or HTTP/1.1, for which there is a pool.
 */
export class Multiplexed implements Carrier, Owner {
  readonly #origin: string
  readonly #connect: Connect
  readonly #connections: number
  readonly #patience: number
  readonly #http1: Pool
  #isHttp1 = false
  /** A connection by HTTP/1.1 for the pool to begin with. */
  #spare: Socket | null = null
  readonly #sessions = new Set<Session>()
  /** How many requests the peer takes on a connection, once that is known; and after how many it ended the last one. */
  most = Infinity
  #lastEnd = 0
  /** Those that end when their requests do. */
  readonly #ending = new Set<Session>()
  #opening = 0
  readonly #waiting = new Waiting()
  /** Those that were refused on a connection that goes on. */
  readonly #wereRefused = new WeakSet<Passenger>()
  #closing: Promise<void> | null = null
  #closed: () => void = () => {}

  /** At most `most` connections, each idle for at most `patience` ms. */
  constructor (origin: string, connect: Connect, most: number, patience: number) {
    this.#origin = origin
    this.#connect = connect
    this.#connections = most
    this.#patience = patience
    this.#http1 = new Pool(callback => this.#connectHttp1(callback), most, patience)
  }

  dispatch (request: Outbound, passenger: Passenger): void {
    if (this.#isHttp1) return this.#http1.dispatch(request, passenger)
    let ready: Ready
    try {
      ready = prepare(request)
    } catch (error) {
      passenger.failed(error as Error)
      return
    }
    this.#waiting.add(ready, passenger)
    this.freed()
  }

  ended (after: number): void {
    // Twice the same is a rule, as nginx's `keepalive_requests` is.
    if (after === this.#lastEnd) this.most = after
    this.#lastEnd = after
  }

  refused (ready: Ready, passenger: Passenger, isLeaving: boolean): void {
    if (!isLeaving && this.#wereRefused.has(passenger)) return passenger.failed(new Error('the peer has refused it twice'))
    if (!isLeaving) this.#wereRefused.add(passenger)
    // Before all others, or with connections that end after a few requests its turn might never come.
    this.#waiting.addFirst(ready, passenger)
    this.freed()
  }

  freed (): void {
    for (const session of this.#sessions) {
      while (session.hasRoom) {
        const next = this.#waiting.next()
        if (next === undefined) return this.#settle()
        session.carry(...next)
      }
    }
    // One at a time: it may have room for all.
    const isOpening = this.#opening > 0 || [...this.#sessions].some(({ isReady }) => !isReady)
    if (!this.#waiting.isEmpty && !isOpening && this.#sessions.size < this.#connections) this.#open()
  }

  lost (session: Session): void {
    if (!this.#sessions.delete(session)) return
    if (!session.isReady) this.#refuse(new Error('the peer has not begun HTTP/2'))
    this.#ending.add(session)
    session.close().finally(() => {
      this.#ending.delete(session)
      this.#settle()
    })
    this.freed()
  }

  close (): Promise<void> {
    if (this.#closing !== null) return this.#closing
    this.#closing = new Promise(resolve => { this.#closed = resolve })
    this.#settle()
    return this.#closing
  }

  destroy (): void {
    const error = new Error('the connections to this peer were closed')
    for (const [, passenger] of this.#waiting.take()) passenger.failed(error)
    for (const session of [...this.#sessions, ...this.#ending]) session.destroy(error)
    this.#http1.destroy()
  }

  #open (): void {
    this.#opening++
    this.#connect((error, socket) => {
      this.#opening--
      if (error !== null) {
        this.#refuse(error)
        this.#settle()
      } else if (isHttp2(socket)) this.#add(socket)
      else this.#fallBack(socket)
    })
  }

  /** There is no connection for those who wait, unless another one stands. */
  #refuse (error: Error): void {
    if (this.#sessions.size === 0) for (const [, passenger] of this.#waiting.take()) passenger.failed(error)
  }

  #add (socket: TLSSocket): void {
    this.#isHttp1 = false
    this.#sessions.add(new Session(socket, this.#origin, this, this.#patience))
    this.freed()
  }

  #fallBack (socket: Socket): void {
    this.#isHttp1 = true
    this.#spare = socket
    for (const [ready, passenger] of this.#waiting.take()) this.#http1.returned(ready, passenger)
    // Nobody was left to want it.
    this.#spare?.destroy()
    this.#spare = null
    this.#settle()
  }

  #connectHttp1 (callback: Parameters<Connect>[0]): void {
    const spare = this.#spare
    this.#spare = null
    if (spare !== null && !spare.destroyed) {
      queueMicrotask(() => callback(null, spare))
      return
    }
    this.#connect((...told) => {
      const [, socket] = told
      if (socket === null || !isHttp2(socket)) return callback(...told)
      // It speaks HTTP/2 by now: from here on so do we.
      this.#add(socket)
      callback(new Error('the peer has changed to HTTP/2'), null)
    })
  }

  #settle (): void {
    if (this.#closing === null || !this.#waiting.isEmpty || this.#opening > 0) return
    for (const session of [...this.#sessions]) this.lost(session)
    if (this.#ending.size === 0) this.#http1.close().then(this.#closed, this.#closed)
  }
}

function isHttp2 (socket: Socket): socket is TLSSocket {
  return socket instanceof TLSSocket && socket.alpnProtocol === 'h2'
}
