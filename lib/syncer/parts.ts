import type { Peer } from '../store/peer.js'
import type { Decoded, Part, Registration } from './codec/registration.js'

interface Server {
  readonly name: string
  /** What its keys say; a bad value leaves the last good one. */
  url: Registration | null
  weight: number | null
  /** How many of its keys there are. */
  keys: number
  /** What was told of it last. */
  told: Registration | null
}

/** What became of one peer of several keys: as it was told last, and as it is. */
export interface Joined {
  readonly was: Registration | null
  readonly is: Registration | null
  readonly revision: bigint
}

/**
 * Peers whose fields have keys of their own (Traefik's servers). A peer is there once its url is; its registration is
 * that of the url's key, with the weight of the other one. Each step costs O(1), and `take` what was touched since.
 */
export class Parts {
  readonly #servers = new Map<string, Server>()
  /** Key → what it is a part of. */
  readonly #keys = new Map<string, { readonly server: Server, readonly field: Part['field'] }>()
  /** What changed since the last `take`, and the revision that changed it. */
  readonly #touched = new Map<Server, bigint>()

  /** How many servers have a key, good or bad; what was deleted is among them until it is taken. */
  get size (): number {
    return this.#servers.size
  }

  /** What a key says now. A value that could not be read at all leaves the part as it was. */
  put (key: string, decoded: Decoded, revision: bigint): void {
    if (decoded.kind === 'invalid') return
    if (decoded.kind !== 'part') return this.delete(key, revision)
    const { server: name } = decoded
    const server = this.#servers.get(name) ?? { name, url: null, weight: null, keys: 0, told: null }
    this.#servers.set(name, server)
    if (!this.#keys.has(key)) server.keys++
    this.#keys.set(key, { server, field: decoded.field })
    if (decoded.value === undefined) return
    if (decoded.field === 'url') server.url = decoded.value
    else server.weight = decoded.value
    this.#touched.set(server, revision)
  }

  /** The key is gone, and with it the field: without its url the peer goes, without its weight it has 1. */
  delete (key: string, revision: bigint): void {
    const part = this.#keys.get(key)
    if (part === undefined) return
    const { server, field } = part
    this.#keys.delete(key)
    server[field] = null
    server.keys--
    this.#touched.set(server, revision)
  }

  /** All that changed since this was asked last, in the order of the changes. */
  take (): Joined[] {
    const joined = [...this.#touched].map(([server, revision]) => {
      const was = server.told
      server.told = join(server)
      // Not before: a key that is deleted and put again is still the same peer.
      if (server.keys === 0) this.#servers.delete(server.name)
      return { was, is: server.told, revision }
    })
    this.#touched.clear()
    return joined
  }
}

function join ({ url, weight }: Server): Registration | null {
  if (url === null || weight === null) return url
  return Object.freeze({ service: url.service, peer: weighted(url.peer, weight) })
}

function weighted (peer: Peer, weight: number): Peer {
  return Object.freeze({
    // Spelled out: a spread makes an object that every later read pays for.
    id: peer.id,
    host: peer.host,
    port: peer.port,
    scheme: peer.scheme,
    weight,
    status: peer.status,
    slowStart: peer.slowStart,
    checkUrl: peer.checkUrl,
    startAt: peer.startAt,
    priority: peer.priority,
    zone: peer.zone,
    maxInflight: peer.maxInflight,
    params: peer.params,
    key: peer.key,
    modRevision: peer.modRevision,
    lease: peer.lease
  })
}
