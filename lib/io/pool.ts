import type { Client, Dispatcher } from 'undici'

/** A request that a pool carries. It frees its lane once, when undici has told it the last. */
export interface Passenger extends Dispatcher.DispatchHandler {
  /** The connection that it has; set by the pool. */
  lane: Lane | null
  /** Nobody waits for it any more. */
  readonly isOver: boolean
}

/** One connection of a pool, and its turns. undici's Client connects, and connects anew when the peer has closed. */
export class Lane {
  readonly client: Client
  readonly #pool: Pool

  constructor (client: Client, pool: Pool) {
    this.client = client
    this.#pool = pool
  }

  /** `passenger` leaves it: free for the next one. */
  free (passenger: Passenger): void {
    passenger.lane = null
    this.#pool.freed(this)
  }

  /** The same where something went wrong: undici must have come to the end of it before its client is asked again. */
  freeLater (passenger: Passenger): void {
    passenger.lane = null
    setImmediate(() => this.#pool.freed(this))
  }
}

/**
 * The connections to one peer, each with one request at a time. The one that was free last is taken first: its socket is
 * the likeliest to be alive and its memory to be near. undici's own Pool looks through its clients twice for each request
 * and has each tell it by events when it is free, which can be seen in what a request costs.
 */
export class Pool {
  readonly #open: () => Client
  readonly #most: number
  readonly #lanes = new Set<Lane>()
  readonly #idle: Lane[] = []
  /** Those for whom there is no connection, in their order. */
  readonly #waiting = new Map<Passenger, Dispatcher.DispatchOptions>()
  /** Set by `close`. */
  #closing: Promise<void> | null = null
  #closed: () => void = () => {}

  /** `open` makes a client of one connection, of which there are at most `most`. */
  constructor (open: () => Client, most: number) {
    this.#open = open
    this.#most = most
  }

  /** Sends a request as soon as there is a connection. */
  dispatch (options: Dispatcher.DispatchOptions, passenger: Passenger): void {
    const lane = this.#next()
    if (lane === undefined) this.#waiting.set(passenger, options)
    else send(lane, options, passenger)
  }

  /** A connection can take the next request. */
  freed (lane: Lane): void {
    let taken = this.#lanes.has(lane) ? lane : undefined
    for (const [passenger, options] of this.#waiting) {
      if (!passenger.isOver) taken ??= this.#next()
      if (!passenger.isOver && taken === undefined) return
      this.#waiting.delete(passenger)
      if (!passenger.isOver && taken !== undefined) return send(taken, options, passenger)
    }
    if (taken === undefined) this.#settle()
    else if (this.#closing === null) this.#idle.push(taken)
    else this.#close(taken)
  }

  /** Connections close after the last request; resolves when all have. Nothing may be dispatched after it. */
  close (): Promise<void> {
    if (this.#closing !== null) return this.#closing
    this.#closing = new Promise(resolve => { this.#closed = resolve })
    for (const lane of this.#waiting.size === 0 ? this.#lanes : this.#idle) this.#close(lane)
    this.#settle()
    return this.#closing
  }

  /** Cuts what is under way. */
  destroy (): void {
    const error = new Error('the connections to this peer were closed')
    for (const passenger of this.#waiting.keys()) passenger.onError?.(error)
    this.#waiting.clear()
    for (const lane of this.#lanes) lane.client.destroy(error).catch(() => {}).finally(() => this.#drop(lane))
    this.#settle()
  }

  #next (): Lane | undefined {
    return this.#idle.pop() ?? (this.#lanes.size < this.#most ? this.#add() : undefined)
  }

  #add (): Lane {
    const client = this.#open()
    const lane = new Lane(client, this)
    // One that could not connect is not asked again: undici's may be in no state for it (its issue 3895).
    client.on('connectionError', () => this.#drop(lane))
    this.#lanes.add(lane)
    return lane
  }

  #drop (lane: Lane): void {
    this.#lanes.delete(lane)
    this.#settle()
  }

  /** Closed is what has no connection left, and nobody who waits for one. */
  #settle (): void {
    if (this.#closing !== null && this.#lanes.size === 0 && this.#waiting.size === 0) this.#closed()
  }

  #close (lane: Lane): void {
    lane.client.close().catch(() => {}).finally(() => this.#drop(lane))
  }
}

function send (lane: Lane, options: Dispatcher.DispatchOptions, passenger: Passenger): void {
  passenger.lane = lane
  lane.client.dispatch(options, passenger)
}
