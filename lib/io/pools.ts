import { Client, type buildConnector } from 'undici'
import type { Peer, PeerState } from '../store/peer.js'
import type { ServiceSettings } from '../store/settings.js'
import type { Carrier } from './carrier.js'
import { connector, type Connect } from './connector.js'
import { onread } from './http1/reading.js'
import { Pool } from './http1/pool.js'
import { Multiplexed } from './http2/carrier.js'
import { OneByOne } from './undici.js'

/** How long requests under way may go on when a pool is closed for good (ms). */
const CLOSE_WITHIN = 4000
/** What asks for a connection of its own, which is undici's: an upgrade keeps it, and an odd body only undici can write. */
export type Kind = 'plain' | 'upgrade' | 'odd'

interface Held {
  readonly carrier: Carrier
  settings: ServiceSettings
}

/** What there is to one peer, kept on its state; each made when it is first needed. */
class Connections implements Record<Kind, Held | null> {
  plain: Held | null = null
  upgrade: Held | null = null
  odd: Held | null = null
}

/** The connections to peers. */
export class Pools {
  /** The peers that have some. */
  readonly #states = new Set<PeerState>()
  /** Those that finish what is under way. */
  readonly #closing = new Set<Carrier>()

  /** Nothing may be sent any more. */
  isClosed = false

  /** What carries requests to a peer under these settings. What was made under others finishes its requests and closes. */
  for (state: PeerState, peer: Peer, settings: ServiceSettings, kind: Kind): Carrier {
    const connections = this.#of(state)
    const held = connections[kind]
    if (held?.settings === settings) return held.carrier
    const renewed = this.#under(held, peer, settings, kind)
    connections[kind] = renewed
    return renewed.carrier
  }

  /** The peer is gone or takes no new requests: those under way finish, then its connections close. */
  release (state: PeerState): void {
    if (!this.#states.delete(state) || !(state.connections instanceof Connections)) return
    const { plain, upgrade, odd } = state.connections
    state.connections = null
    for (const held of [plain, upgrade, odd]) if (held !== null) this.#finish(held.carrier)
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
  const { connections, keepAlive } = pool
  const origin = originOf(peer)
  const allowH2 = pool.allowH2 && kind !== 'upgrade'
  const isOurs = kind === 'plain' && !allowH2
  const connect = connector({ timeout: timeouts.connect, tls, allowH2 }, isOurs ? onread : undefined)
  if (kind !== 'plain') return new OneByOne(peer.host, () => new Client(origin, { pipelining: 1, connect, allowH2 }))
  const target = { hostname: peer.host, host: peer.id, protocol: `${peer.scheme}:`, port: String(peer.port) }
  const connectToPeer: Connect = callback => connect(target, callback as buildConnector.Callback)
  return isOurs ? new Pool(connectToPeer, connections, keepAlive) : new Multiplexed(origin, connectToPeer, connections, keepAlive)
}

function isSame (a: ServiceSettings, b: ServiceSettings): boolean {
  return a.timeouts.connect === b.timeouts.connect && isEqual(a.pool, b.pool) && isEqual(a.tls, b.tls)
}

function isEqual<T extends object> (a: T, b: T): boolean {
  return a === b || (Object.keys(a) as Array<keyof T>).every(key => a[key] === b[key])
}
