import type { Peer } from '../../store/peer.js'

/** What one key and its value say, decoded. Nothing in it is hostile any more. */
export type Decoded =
  /** Peers of `service`; `errors` lists fields that were bad and fell back, `[]` when all was good. */
  | { readonly kind: 'peers', readonly peers: readonly Registration[], readonly errors: readonly string[] }
  /** An object without an address: raw settings of `service`, still to be checked. */
  | { readonly kind: 'settings', readonly service: string, readonly value: Readonly<Record<string, unknown>> }
  /** One field of a peer whose fields have keys of their own; `value` is undefined when it was bad. */
  | Part
  /** A custom format said that this key is not its business. */
  | { readonly kind: 'ignored' }
  /** Nothing can be made of it. */
  | { readonly kind: 'invalid', readonly error: string }

/** Where a part belongs; `server` names the peer within all keys below the prefix. */
interface PartOf {
  readonly kind: 'part'
  readonly server: string
  /** What was bad, `[]` when all was good. */
  readonly errors: readonly string[]
}

/** The peer itself, or its weight. */
export type Part =
  | PartOf & { readonly field: 'url', readonly value: Registration | undefined }
  | PartOf & { readonly field: 'weight', readonly value: number | undefined }

/** A peer and the service it belongs to. */
export interface Registration {
  readonly service: string
  readonly peer: Peer
}

/** Text to JSON that cannot reach a prototype; throws on anything that is not JSON. */
export type ParseJson = (text: string) => unknown
