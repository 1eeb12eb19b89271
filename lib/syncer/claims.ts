import { identityOf, type Peer } from '../store/peer.js'
import type { Registration } from './codec/registration.js'

/**
 * Which keys name which peer. Two keys may name one: the later revision wins, and when it is deleted the other counts
 * again. Each step costs O(keys that name the peer), which is one.
 */
export class Claims {
  readonly #peers = new Map<string, Peer[]>()

  /** Adds or replaces what `registration.peer.key` says of this peer, and returns what counts now. */
  set ({ service, peer }: Registration): Peer {
    const name = nameOf(service, peer)
    const claims = this.#others(name, peer)
    claims.push(peer)
    this.#peers.set(name, claims)
    return latest(claims)
  }

  /** Withdraws the key's claim, and returns what counts now: another key's word, or undefined when nobody names it. */
  withdraw ({ service, peer }: Registration): Peer | undefined {
    const name = nameOf(service, peer)
    const claims = this.#others(name, peer)
    if (claims.length > 0) {
      this.#peers.set(name, claims)
      return latest(claims)
    }
    this.#peers.delete(name)
    return undefined
  }

  #others (name: string, peer: Peer): Peer[] {
    return (this.#peers.get(name) ?? []).filter(claim => claim.key !== peer.key)
  }
}

function nameOf (service: string, peer: Peer): string {
  return `${service}\n${identityOf(peer)}`
}

function latest (claims: readonly Peer[]): Peer {
  return claims.reduce((a, b) => isLater(b, a) ? b : a)
}

/** Of two keys written by one transaction neither is later; the order of a listing must not decide. */
function isLater (a: Peer, b: Peer): boolean {
  return a.modRevision === b.modRevision ? a.key > b.key : a.modRevision > b.modRevision
}
