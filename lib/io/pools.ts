import { Client, Pool as UndiciPool, type buildConnector, type Dispatcher } from 'undici'
import type { Peer, PeerState } from '../store/peer.js'
import type { ServiceSettings } from '../store/settings.js'
import { connector } from './connector.js'
import { Pool, type Passenger } from './pool.js'

/** How long requests under way may go on when a pool is closed for good (ms). */
const CLOSE_WITHIN = 4000
/** Requests at the same time on one HTTP/2 connection, unless the peer allows fewer. */
const STREAMS = 100

/** What carries requests to one peer. */
interface Carrier {
  dispatch: (options: Dispatcher.DispatchOptions, passenger: Passenger) => unknown
  close: () => Promise<void>
  destroy: () => unknown
}

interface Held {
  readonly pool: Carrier
  settings: ServiceSettings
}

/** The connections to peers: one pool for each, made when it is first needed. */
export class Pools {
  readonly #pools = new Map<PeerState, Held>()
  /** What upgrades go through where requests may go by HTTP/2, which has none. */
  readonly #upgrades = new Map<PeerState, Held>()
  /** Pools that finish what is under way. */
  readonly #closing = new Set<Carrier>()

  /** Nothing may be sent any more. */
  isClosed = false

  /** The pool for a peer under these settings. One made under others finishes its requests and closes. */
  for (state: PeerState, peer: Peer, settings: ServiceSettings, isUpgrade = false): Carrier {
    const { allowH2 } = settings.pool
    return isUpgrade && allowH2
      ? this.#in(this.#upgrades, state, peer, settings, false)
      : this.#in(this.#pools, state, peer, settings, allowH2)
  }

  /** The peer is gone or takes no new requests: those under way finish, then its connections close. */
  release (state: PeerState): void {
    for (const pools of [this.#pools, this.#upgrades]) {
      const held = pools.get(state)
      if (held === undefined) continue
      pools.delete(state)
      this.#finish(held.pool)
    }
  }

  /** Closes everything; what is still under way after 4 s is cut. */
  async close (): Promise<void> {
    this.isClosed = true
    for (const state of [...this.#pools.keys(), ...this.#upgrades.keys()]) this.release(state)
    const cut = setTimeout(() => {
      for (const pool of this.#closing) pool.destroy()
    }, CLOSE_WITHIN)
    await Promise.all([...this.#closing].map(pool => pool.close().catch(() => {})))
    clearTimeout(cut)
  }

  #in (pools: Map<PeerState, Held>, state: PeerState, peer: Peer, settings: ServiceSettings, allowH2: boolean): Carrier {
    const held = pools.get(state)
    if (held?.settings === settings) return held.pool
    if (held !== undefined && isSame(held.settings, settings)) {
      held.settings = settings
      return held.pool
    }
    if (held !== undefined) this.#finish(held.pool)
    // A peer's address is what it is known by, so it never changes under one state.
    const pool = open(originOf(peer), settings, allowH2)
    pools.set(state, { pool, settings })
    return pool
  }

  #finish (pool: Carrier): void {
    this.#closing.add(pool)
    // A pool that is closed twice says so; that it is closed is all we want.
    pool.close().catch(() => {}).finally(() => this.#closing.delete(pool))
  }
}

/** A peer's origin, the brackets of IPv6 included. */
export function originOf (peer: Peer): string {
  return `${peer.scheme}://${peer.id}`
}

function open (origin: string, { pool, tls, timeouts }: ServiceSettings, allowH2: boolean): Carrier {
  const connect = connector({ timeout: timeouts.connect, tls, allowH2 })
  const { connections, keepAlive } = pool
  const options = { keepAliveTimeout: keepAlive, keepAliveMaxTimeout: keepAlive, pipelining: 1, connect }
  if (!allowH2) return new Pool(() => new Client(origin, { ...options, allowH2 }), connections)
  // Here one connection may carry many, and undici knows how many.
  return new UndiciPool(origin, { ...options, connections, allowH2, factory: (target, given) => multiplexed(target, given, connect) })
}

/** A connection that takes many requests at the same time once the peer has agreed to HTTP/2, and one until then. */
function multiplexed (origin: URL, options: object, connect: buildConnector.connector): Client {
  const client = new Client(origin, {
    ...options,
    connect: (target, callback) => connect(target, (...told) => {
      const [error, socket] = told
      if (error === null && 'alpnProtocol' in socket && socket.alpnProtocol === 'h2') client.pipelining = STREAMS
      callback(...told)
    })
  })
  return client
}

function isSame (a: ServiceSettings, b: ServiceSettings): boolean {
  return a.timeouts.connect === b.timeouts.connect && isEqual(a.pool, b.pool) && isEqual(a.tls, b.tls)
}

function isEqual<T extends object> (a: T, b: T): boolean {
  return a === b || (Object.keys(a) as Array<keyof T>).every(key => a[key] === b[key])
}
