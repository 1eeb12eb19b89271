import { Pool } from 'undici'
import type { Peer, PeerState } from '../store/peer.js'
import type { ServiceSettings } from '../store/settings.js'
import { connector } from './connector.js'

/** How long requests under way may go on when a pool is closed for good (ms). */
const CLOSE_WITHIN = 4000

interface Held {
  readonly pool: Pool
  readonly settings: ServiceSettings
  readonly origin: string
}

/** The connections to peers: one pool for each, made when it is first needed. */
export class Pools {
  readonly #pools = new Map<PeerState, Held>()
  /** Pools that finish what is under way. */
  readonly #closing = new Set<Pool>()

  /** The pool for a peer under these settings. One made under others finishes its requests and closes. */
  for (state: PeerState, peer: Peer, settings: ServiceSettings): Pool {
    const held = this.#pools.get(state)
    const origin = originOf(peer)
    if (held !== undefined && held.origin === origin && isSame(held.settings, settings)) return held.pool
    if (held !== undefined) this.#finish(held.pool)
    const pool = new Pool(origin, {
      connections: settings.pool.connections,
      keepAliveTimeout: settings.pool.keepAlive,
      keepAliveMaxTimeout: settings.pool.keepAlive,
      pipelining: 1,
      connect: connector(settings.timeouts.connect)
    })
    this.#pools.set(state, { pool, settings, origin })
    return pool
  }

  /** The peer is gone: requests under way finish, then its connections close. */
  release (state: PeerState): void {
    const held = this.#pools.get(state)
    if (held === undefined) return
    this.#pools.delete(state)
    this.#finish(held.pool)
  }

  /** Closes everything; what is still under way after 4 s is cut. */
  async close (): Promise<void> {
    for (const state of [...this.#pools.keys()]) this.release(state)
    const cut = setTimeout(() => {
      for (const pool of this.#closing) pool.destroy().catch(() => {})
    }, CLOSE_WITHIN)
    await Promise.all([...this.#closing].map(pool => pool.close().catch(() => {})))
    clearTimeout(cut)
  }

  #finish (pool: Pool): void {
    this.#closing.add(pool)
    // A pool that is closed twice says so; that it is closed is all we want.
    pool.close().catch(() => {}).finally(() => this.#closing.delete(pool))
  }
}

/** A peer's origin, the brackets of IPv6 included. */
export function originOf (peer: Peer): string {
  return `${peer.scheme}://${peer.id}`
}

function isSame (a: ServiceSettings, b: ServiceSettings): boolean {
  return a === b || (a.timeouts.connect === b.timeouts.connect &&
    a.pool.connections === b.pool.connections && a.pool.keepAlive === b.pool.keepAlive)
}
