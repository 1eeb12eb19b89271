import { Client, type buildConnector } from 'undici'
import type { Peer, PeerState } from '../store/peer.js'
import type { ServiceSettings } from '../store/settings.js'
import type { Carrier } from './carrier.js'
import { connector } from './connector.js'
import { onread } from './http1/reading.js'
import { Pool } from './http1/pool.js'
import { Multiplexed, OneByOne } from './undici.js'

/** How long requests under way may go on when a pool is closed for good (ms). */
const CLOSE_WITHIN = 4000
/** What carries requests: our own connections, those that may be HTTP/2, or one of undici's for each. */
type Kind = 'http1' | 'http2' | 'single'

interface Held {
  readonly pool: Carrier
  settings: ServiceSettings
}

/** The connections to peers: one pool for each, made when it is first needed. */
export class Pools {
  readonly #pools = new Map<PeerState, Held>()
  /** What takes a connection of its own. */
  readonly #singles = new Map<PeerState, Held>()
  /** Pools that finish what is under way. */
  readonly #closing = new Set<Carrier>()

  /** Nothing may be sent any more. */
  isClosed = false

  /**
   * The pool for a peer under these settings. Upgrades keep their connection, and an `isOdd` body only undici can write:
   * each gets a connection of its own, the latter where that is not undici's anyway. A pool made under other settings
   * finishes its requests and closes.
   */
  for (state: PeerState, peer: Peer, settings: ServiceSettings, isUpgrade = false, isOdd = false): Carrier {
    const { allowH2 } = settings.pool
    if (isUpgrade || (isOdd && !allowH2)) return this.#in(this.#singles, state, peer, settings, 'single')
    return this.#in(this.#pools, state, peer, settings, allowH2 ? 'http2' : 'http1')
  }

  /** The peer is gone or takes no new requests: those under way finish, then its connections close. */
  release (state: PeerState): void {
    for (const pools of [this.#pools, this.#singles]) {
      const held = pools.get(state)
      if (held === undefined) continue
      pools.delete(state)
      this.#finish(held.pool)
    }
  }

  /** Closes everything; what is still under way after 4 s is cut. */
  async close (): Promise<void> {
    this.isClosed = true
    for (const state of [...this.#pools.keys(), ...this.#singles.keys()]) this.release(state)
    const cut = setTimeout(() => {
      for (const pool of this.#closing) pool.destroy()
    }, CLOSE_WITHIN)
    await Promise.all([...this.#closing].map(pool => pool.close().catch(() => {})))
    clearTimeout(cut)
  }

  #in (pools: Map<PeerState, Held>, state: PeerState, peer: Peer, settings: ServiceSettings, kind: Kind): Carrier {
    const held = pools.get(state)
    if (held?.settings === settings) return held.pool
    if (held !== undefined && isSame(held.settings, settings)) {
      held.settings = settings
      return held.pool
    }
    if (held !== undefined) this.#finish(held.pool)
    // A peer's address is what it is known by, so it never changes under one state.
    const pool = open(peer, settings, kind)
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

function open (peer: Peer, { pool, tls, timeouts }: ServiceSettings, kind: Kind): Carrier {
  const settings = { timeout: timeouts.connect, tls, allowH2: kind === 'http2' }
  const { connections, keepAlive } = pool
  if (kind === 'http1') {
    const connect = connector(settings, onread)
    const target = { hostname: peer.host, host: peer.id, protocol: `${peer.scheme}:`, port: String(peer.port) }
    return new Pool(callback => connect(target, callback as buildConnector.Callback), connections, keepAlive)
  }
  const connect = connector(settings)
  const options = { keepAliveTimeout: keepAlive, keepAliveMaxTimeout: keepAlive, pipelining: 1, connect }
  if (kind === 'http2') return new Multiplexed(originOf(peer), peer.host, options, connections, connect)
  return new OneByOne(peer.host, () => new Client(originOf(peer), options))
}

function isSame (a: ServiceSettings, b: ServiceSettings): boolean {
  return a.timeouts.connect === b.timeouts.connect && isEqual(a.pool, b.pool) && isEqual(a.tls, b.tls)
}

function isEqual<T extends object> (a: T, b: T): boolean {
  return a === b || (Object.keys(a) as Array<keyof T>).every(key => a[key] === b[key])
}
