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
  readonly carrier: Carrier
  settings: ServiceSettings
}

/** What there is to one peer, kept on its state; each made when it is first needed. */
class Connections {
  pool: Held | null = null
  /** For what takes a connection of its own. */
  singles: Held | null = null
}

/** The connections to peers. */
export class Pools {
  /** The peers that have some. */
  readonly #states = new Set<PeerState>()
  /** Those that finish what is under way. */
  readonly #closing = new Set<Carrier>()

  /** Nothing may be sent any more. */
  isClosed = false

  /**
   * What carries requests to a peer under these settings. Upgrades keep their connection, and an `isOdd` body only undici
   * can write: each gets a connection of its own, the latter where that is not undici's anyway. What was made under other
   * settings finishes its requests and closes.
   */
  for (state: PeerState, peer: Peer, settings: ServiceSettings, isUpgrade = false, isOdd = false): Carrier {
    const held = this.#of(state)
    const { allowH2 } = settings.pool
    if (isUpgrade || (isOdd && !allowH2)) return (held.singles = this.#under(held.singles, peer, settings, 'single')).carrier
    if (held.pool?.settings !== settings) held.pool = this.#under(held.pool, peer, settings, allowH2 ? 'http2' : 'http1')
    return held.pool.carrier
  }

  /** The peer is gone or takes no new requests: those under way finish, then its connections close. */
  release (state: PeerState): void {
    if (!this.#states.delete(state) || !(state.connections instanceof Connections)) return
    const { pool, singles } = state.connections
    state.connections = null
    for (const held of [pool, singles]) if (held !== null) this.#finish(held.carrier)
  }

  /** Closes everything; what is still under way after 4 s is cut. */
  async close (): Promise<void> {
    this.isClosed = true
    for (const state of [...this.#states]) this.release(state)
    const cut = setTimeout(() => {
      for (const carrier of this.#closing) carrier.destroy()
    }, CLOSE_WITHIN)
    await Promise.all([...this.#closing].map(carrier => carrier.close().catch(() => {})))
    clearTimeout(cut)
  }

  #of (state: PeerState): Connections {
    if (state.connections instanceof Connections) return state.connections
    const made = new Connections()
    state.connections = made
    this.#states.add(state)
    return made
  }

  /** `held`, if it will do under these settings. */
  #under (held: Held | null, peer: Peer, settings: ServiceSettings, kind: Kind): Held {
    if (held !== null && isSame(held.settings, settings)) {
      held.settings = settings
      return held
    }
    if (held !== null) this.#finish(held.carrier)
    // A peer's address is what it is known by, so it never changes under one state.
    return { carrier: open(peer, settings, kind), settings }
  }

  #finish (carrier: Carrier): void {
    this.#closing.add(carrier)
    // One that is closed twice says so; that it is closed is all we want.
    carrier.close().catch(() => {}).finally(() => this.#closing.delete(carrier))
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
