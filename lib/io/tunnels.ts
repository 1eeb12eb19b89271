import type { Duplex } from 'node:stream'
import type { Pick } from '../picker/picker.js'
import { identityOf, type PeerState } from '../store/peer.js'
import { Tunnel } from './tunnel.js'

/** How long a tunnel may take to end once its end has begun, ms. */
const END_WITHIN = 1000

/** All tunnels by peer, and the one timer that bounds their ends. */
export class Tunnels {
  readonly #clock: () => number
  readonly #byPeer = new Map<PeerState, Set<Tunnel>>()
  /** Those whose end has begun, with when it has to be over (epoch ms); the earliest first. */
  readonly #ending = new Map<Tunnel, number>()
  #timer: NodeJS.Timeout | null = null
  #isClosed = false
  #allGone: Array<() => void> = []

  constructor (clock: () => number) {
    this.#clock = clock
  }

  /** Joins a client's connection and that of the peer picked, which may have been taken out since. */
  join ({ service, state }: Pick, client: Duplex, peer: Duplex, isWebSocket: boolean): void {
    const tunnels = this.#byPeer.get(state) ?? new Set()
    const tunnel = new Tunnel(client, peer, isWebSocket, {
      ending: () => this.#bound(tunnel),
      gone: () => {
        this.#ending.delete(tunnel)
        tunnels.delete(tunnel)
        if (tunnels.size === 0) this.#byPeer.delete(state)
        this.#settle()
      }
    })
    this.#byPeer.set(state, tunnels.add(tunnel))
    const isOut = state.drain !== null || state.peer.status !== 'up' || service.peers.get(identityOf(state.peer)) !== state
    if (isOut || this.#isClosed) tunnel.close()
    tunnel.start()
  }

  /** Ends those to a peer, in order. */
  release (state: PeerState): void {
    for (const tunnel of this.#byPeer.get(state) ?? []) tunnel.close()
  }

  /** Ends all of them in order, and those to come. Resolves when none is left. */
  async close (): Promise<void> {
    this.#isClosed = true
    for (const state of this.#byPeer.keys()) this.release(state)
    await new Promise<void>(resolve => {
      this.#allGone.push(resolve)
      this.#settle()
    })
  }

  #bound (tunnel: Tunnel): void {
    if (this.#ending.has(tunnel)) return
    this.#ending.set(tunnel, this.#clock() + END_WITHIN)
    this.#timer ??= setTimeout(() => this.#cut(), END_WITHIN)
  }

  #cut (): void {
    this.#timer = null
    const now = this.#clock()
    for (const [tunnel, until] of this.#ending) {
      if (until > now) {
        this.#timer = setTimeout(() => this.#cut(), until - now)
        return
      }
      tunnel.destroy()
    }
  }

  #settle (): void {
    if (this.#ending.size === 0 && this.#timer !== null) {
      clearTimeout(this.#timer)
      this.#timer = null
    }
    if (this.#byPeer.size > 0) return
    for (const tell of this.#allGone.splice(0)) tell()
  }
}
