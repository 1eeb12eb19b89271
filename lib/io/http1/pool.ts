import type { Carrier, Outbound, Passenger } from '../carrier.js'
import type { Connect } from '../connector.js'
import { Connection, type Depot } from './connection.js'
import { prepare, type Ready } from './request.js'

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
  /** Those for whom there is no connection, in their order. */
  readonly #waiting = new Map<Passenger, Ready>()
  /** Set by `close`. */
  #closing: Promise<void> | null = null
  #closed: () => void = () => {}

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
    const connection = this.#idle.pop() ?? (this.#connections.size < this.#most ? this.#add() : undefined)
    if (connection === undefined) this.#waiting.set(passenger, ready)
    else connection.carry(ready, passenger)
  }

  freed (connection: Connection): void {
    const next = this.#next()
    if (next !== undefined) connection.carry(...next)
    else if (this.#closing === null) this.#idle.push(connection)
    else connection.close()
  }

  lost (connection: Connection): void {
    this.#connections.delete(connection)
    const at = this.#idle.indexOf(connection)
    if (at !== -1) this.#idle.splice(at, 1)
    const next = this.#connections.size < this.#most ? this.#next() : undefined
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
    const waiting = [...this.#waiting.keys()]
    this.#waiting.clear()
    for (const connection of [...this.#connections]) connection.destroy(error)
    for (const passenger of waiting) passenger.failed(error)
    this.#settle()
  }

  /** Who has waited longest, of those who still do. */
  #next (): [Ready, Passenger] | undefined {
    for (const [passenger, ready] of this.#waiting) {
      this.#waiting.delete(passenger)
      if (!passenger.isOver) return [ready, passenger]
    }
    return undefined
  }

  #add (): Connection {
    const connection = new Connection(this, this.#connect, this.#patience)
    this.#connections.add(connection)
    return connection
  }

  /** Closed is what has no connection left, and nobody who waits for one. */
  #settle (): void {
    if (this.#closing !== null && this.#connections.size === 0 && this.#waiting.size === 0) this.#closed()
  }
}
