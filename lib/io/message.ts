import type { Fields } from '../picker/forwarding.js'
import type { Picker } from '../picker/picker.js'
import type { Pools } from './pools.js'
import type { Body } from './upload.js'

/** What is sent to a peer, the same in each attempt but for the Host, which may be the peer's own. */
export interface Message {
  readonly path: string
  readonly method: string
  readonly fields: Fields
  /** The Host that the request came with, if any. */
  readonly host: string | undefined
  readonly body: Body
  /** The protocol asked for, or null. */
  readonly upgrade: string | null
}

/** What calls share. */
export interface Means {
  readonly picker: Picker
  readonly pools: Pools
  /** Epoch ms. */
  readonly clock: () => number
  readonly random: () => number
  readonly isSynced: () => boolean
}

/** The Host that a peer is told; `client` is what the request came with. */
export function hostFor (mode: string, client: string | undefined, peer: string): string {
  if (mode === 'client') return client ?? peer
  return mode === 'peer' ? peer : mode
}
