import { identityOf, PeerState, type Peer } from './peer.js'
import type { ServiceSettings } from './settings.js'

/**
 * One named group of peers. Its `stamp` rises with anything that can change a pick (peers, conditions, overrides,
 * settings, a slow-start step): whoever holds something derived compares it and rebuilds.
 */
export class Service {
  readonly name: string
  settings: ServiceSettings
  /** Named by an option or a route: known even without peers. */
  pinned = false
  /** The registry holds settings for it: known as well, and its settings are those. */
  settingsKey = false
  /** Identity → state, in order of arrival. */
  readonly peers = new Map<string, PeerState>()
  stamp = 0
  /** The time at the last tick (epoch ms), and how far the clock has gone back in all: what is added to it never does. */
  clock = -Infinity
  rewound = 0
  /** The picker's: when the first of its peers may no longer be held off; Infinity when none is. */
  heldUntil = Infinity
  /** When the first of its peers' overrides may end; Infinity when there is none. */
  overriddenUntil = Infinity
  /** The registry's revision of the last change to this service. */
  revision = 0n
  /** Share of requests refused by the operator, 0…1, and what of a whole refusal has added up. */
  shed = 0
  shedOwed = 0
  /** The logger's record of client requests, and what it counts of the service since it was first seen. */
  statistics: object | null = null
  tally: object | null = null
  /** The picker's: who may be picked just now, its count of requests and retries, and who waits for a peer with room. */
  plan: object | null = null
  budget: object | null = null
  queue: object | null = null
  /** What health has to look at. */
  rounds: object | null = null

  constructor (name: string, settings: ServiceSettings) {
    this.name = name
    this.settings = settings
  }

  /** Something that can change a pick has changed. */
  touch (): void {
    this.stamp++
  }

  /**
   * Adds or replaces a registration; what was learned of the peer stays. O(1). `boot` marks the first listing, whose
   * peers were there before this gateway and therefore do not ramp up.
   */
  put (peer: Peer, now: number, boot: boolean): PeerState {
    const identity = identityOf(peer)
    const known = this.peers.get(identity)
    this.touch()
    if (known !== undefined) {
      // A ramp that is over stays over, also when the registry now asks for a longer one.
      if (known.rampFrom !== null && now >= known.rampFrom + known.peer.slowStart) known.rampFrom = null
      known.peer = peer
      known.registeredAt = now
      return known
    }
    const state = new PeerState(peer, now, boot ? null : now)
    this.peers.set(identity, state)
    return state
  }

  /** Gives it other settings; `fromRegistry` when they are those of a settings key. */
  configure (settings: ServiceSettings, fromRegistry: boolean): void {
    this.settings = settings
    this.settingsKey = fromRegistry
    this.touch()
  }

  /** Removes a peer and returns what was known of it. O(1). */
  remove (identity: string): PeerState | undefined {
    const state = this.peers.get(identity)
    if (state === undefined) return undefined
    this.peers.delete(identity)
    state.isRemoved = true
    this.touch()
    return state
  }

  /** All peers at `host:port`: the same address by another scheme is another peer. */
  findAll (id: string): PeerState[] {
    return [this.peers.get(`http://${id}`), this.peers.get(`https://${id}`)].filter(state => state !== undefined)
  }

  /** Finds a peer by `host:port`; `http` before `https` when both are registered. */
  find (id: string): PeerState | undefined {
    return this.findAll(id)[0]
  }
}
