import type { Logger } from '../logger/logger.js'
import type { Settings } from '../options.js'
import type { Forwarding } from '../picker/forwarding.js'
import type { Picker } from '../picker/picker.js'
import type { PeerState } from '../store/peer.js'
import type { Service } from '../store/service.js'
import type { Store } from '../store/store.js'
import type { Amendment } from '../syncer/amend.js'
import type { Registry } from '../syncer/registry.js'
import type { Syncer } from '../syncer/syncer.js'
import type { Journal } from './news/journal.js'
import type { News } from './news/news.js'
import type { Waiters } from './waiters.js'

/** The parts as the Fastify surface sees them; the composition root makes it. */
export interface Gateway {
  readonly settings: Settings
  readonly store: Store
  readonly picker: Picker
  readonly logger: Logger
  readonly registry: Registry
  readonly syncer: Syncer
  /** Epoch ms. */
  readonly now: () => number
  readonly node: { readonly id: string, readonly pid: number, readonly startedAt: number, readonly version: string }
  /** Tells this run of the gateway from another one; a part of every record's id. */
  readonly epoch: string
  readonly journal: Journal
  readonly news: News
  readonly waiters: Waiters
  /** Called with the time (epoch ms) at each tick of the gateway's interval. */
  readonly ticking: Set<(now: number) => void>
  /** An operator's call changed something: derived values and waiters want to know. */
  readonly changed: () => void
  /** Finds out whether the registry as of `revision` is applied; `syncer.reached` will tell. */
  readonly ask: (revision: bigint) => void
  /** Has the peer checked at once; false when there is nothing to check of it. */
  readonly hurry: (service: Service, state: PeerState) => boolean
  /** Changes a registration at the registry. Resolves with the revision, rejects with a `Refusal` or `Unreachable`. */
  readonly amend: (service: Service, state: PeerState, amendment: Amendment) => Promise<bigint>
  readonly transport: {
    /** The peer takes no new requests: its connections end when what is under way there has. */
    readonly release: (state: PeerState) => void
    readonly forward: (forwarding: Forwarding) => void
  }
}
