import { identityOf, type Peer } from '../store/peer.js'
import type { Registration } from './codec/registration.js'

/**
 * Which keys name a peer that another key names as well: the later revision wins, and when it is deleted the other counts
 * again. A peer that only one key names, as almost all are, is not in here. Each step costs O(keys that name the peer).
 */
export class Claims {
  readonly #contested = new Map<string, Peer[]>()

  /**
   * Adds or replaces what `registration.peer.key` says of this peer, and returns what counts now. `current` is what counted
   * so far, undefined when nobody named it.
   */
  set ({ service, peer }: Registration, current: Peer | undefined): Peer {
    if (current === undefined || (current.key === peer.key && this.#contested.size === 0)) return peer
    const name = nameOf(service, peer)
    const claims = (this.#contested.get(name) ?? [current]).filter(claim => claim.key !== peer.key)
    claims.push(peer)
    return this.#keep(name, claims)
  }

  /** Withdraws the key's claim, and returns what counts now: another key's word, or undefined when nobody names it. */
  withdraw ({ service, peer }: Registration): Peer | undefined {
    if (this.#contested.size === 0) return undefined
    const name = nameOf(service, peer)
    const claims = this.#contested.get(name)
    return claims === undefined ? undefined : this.#keep(name, claims.filter(claim => claim.key !== peer.key))
  }

  #keep (name: string, claims: Peer[]): Peer {
    if (claims.length > 1) this.#contested.set(name, claims)
    else this.#contested.delete(name)
    return claims.reduce((a, b) => isLater(b, a) ? b : a)
  }
}

/** Of two keys written by one transaction neither is later; the order of a listing must not decide. */
function isLater (a: Peer, b: Peer): boolean {
  return a.modRevision === b.modRevision ? a.key > b.key : a.modRevision > b.modRevision
}

function nameOf (service: string, peer: Peer): string {
  return `${service}\n${identityOf(peer)}`
}
