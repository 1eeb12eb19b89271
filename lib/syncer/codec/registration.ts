import type { Peer } from '../../store/peer.js'

/** What one key and its value say, decoded. Nothing in it is hostile any more. */
export type Decoded =
  /** Peers of `service`; `errors` lists fields that were bad and fell back, `[]` when all was good. */
  | { readonly kind: 'peers', readonly peers: readonly Registration[], readonly errors: readonly string[] }
  /** An object without an address: raw settings of `service`, still to be checked. */
  | { readonly kind: 'settings', readonly service: string, readonly value: Readonly<Record<string, unknown>> }
  /** A custom format said that this key is not its business. */
  | { readonly kind: 'ignored' }
  /** Nothing can be made of it. */
  | { readonly kind: 'invalid', readonly error: string }

/** A peer and the service it belongs to. */
export interface Registration {
  readonly service: string
  readonly peer: Peer
}

/** Text to JSON that cannot reach a prototype; throws on anything that is not JSON. */
export type ParseJson = (text: string) => unknown
