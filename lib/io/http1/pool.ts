import type { Carrier, Outbound, Passenger } from '../carrier.js'
import type { Connect } from '../connector.js'
import { Connection, type Depot } from './connection.js'
import { prepare, type Ready } from './request.js'
import { Waiting } from './waiting.js'

/**
 * The connections to one peer by HTTP/1, each with one request at a time. The one that was free last is taken first: its
 * socket is the likeliest to be alive and its memory to be near.
 */
export class Pool implements Carrier, Depot {
  readonly #connect: Connect
  readonly #most: number
  readonly #patience: number
  readonly #connections = new Set<Connection>()
  readonly #idle: Connection[] = []
  readonly #waiting = new Waiting()
  /** Set by `close`. */
  #closing: Promise<void> | null = null
  #closed: () => void = () => {}
  #isDestroyed = false

  /** At most `most` connections, each idle for at most `patience` ms. */
  constructor (connect: Connect, most: number, patience: number) {
    this.#connect = connect
    this.#most = most
    this.#patience = patience
  }

  dispatch (request: Outbound, passenger: Passenger): void {
    let ready: Ready
    try {
      ready = prepare(request)
    } catch (error) {
      passenger.failed(error as Error)
      return
    }
    this.returned(ready, passenger)
  }

  returned (ready: Ready, passenger: Passenger): void {
    if (this.#isDestroyed) return passenger.failed(new Error('the connections to this peer were closed'))
    const connection = this.#idle.pop() ?? (this.#connections.size < this.#most ? this.#add() : undefined)
    if (connection === undefined) this.#waiting.add(ready, passenger)
    else connection.carry(ready, passenger)
  }

  freed (connection: Connection): void {
    const next = this.#waiting.next()
    if (next !== undefined) connection.carry(...next)
    else if (this.#closing === null) this.#idle.push(connection)
    else connection.close()
  }

  lost (connection: Connection): void {
    this.#connections.delete(connection)
    const at = this.#idle.indexOf(connection)
    if (at !== -1) this.#idle.splice(at, 1)
    const next = this.#connections.size < this.#most ? this.#waiting.next() : undefined
    if (next !== undefined) this.#add().carry(...next)
    else this.#settle()
  }

  close (): Promise<void> {
    if (this.#closing !== null) return this.#closing
    this.#closing = new Promise(resolve => { this.#closed = resolve })
    for (const connection of [...this.#idle]) connection.close()
    this.#settle()
    return this.#closing
  }

  destroy (): void {
    const error = new Error('the connections to this peer were closed')
    this.#isDestroyed = true
    const waiting = this.#waiting.take()
    for (const connection of [...this.#connections]) connection.destroy(error)
    for (const [, passenger] of waiting) passenger.failed(error)
    this.#settle()
  }

  #add (): Connection {
    const connection = new Connection(this, this.#connect, this.#patience)
    this.#connections.add(connection)
    return connection
  }

  /** Closed is what has no connection left, and nobody who waits for one. */
  #settle (): void {
    if (this.#closing !== null && this.#connections.size === 0 && this.#waiting.isEmpty) this.#closed()
  }
}
