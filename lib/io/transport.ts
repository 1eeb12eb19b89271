import { Readable } from 'node:stream'
import { isGone, whyNot, type Forwarding } from '../picker/forwarding.js'
import type { Picker } from '../picker/picker.js'
import type { PeerState } from '../store/peer.js'
import { Call } from './call.js'
import type { Means } from './message.js'
import { Pools } from './pools.js'
import { ReplyRecipient } from './reply-recipient.js'
import { Tunnels } from './tunnels.js'
import { UpgradeRecipient } from './upgrade-recipient.js'
import { bodyFrom, type Body } from './upload.js'

/** Carries requests to peers that it picks for each attempt. */
export class Transport {
  readonly means: Means
  readonly #tunnels: Tunnels

  constructor (picker: Picker, clock: () => number, random: () => number, isSynced: () => boolean) {
    this.means = { picker, pools: new Pools(), clock, random, isSynced }
    this.#tunnels = new Tunnels(clock)
  }

  /** Sends a client's request on, and tells its forwarding what came of it. */
  forward (forwarding: Forwarding): void {
    const { body, exchange, method } = forwarding
    if (!(body instanceof Readable)) return this.#start(forwarding, body as Body)
    // The parser that reads the headers may be about to read the body, too.
    process.nextTick(() => {
      // Who read it before us may have gone on meanwhile.
      const error = whyNot(body)
      if (error !== null) return forwarding.failed(error)
      this.#start(forwarding, bodyFrom(body, exchange.kept(method), this.means.clock))
    })
  }

  /**
   * A removed peer's connections finish, then close; so do those of one that takes no new requests. What was upgraded
   * has no end of its own and is told to end.
   */
  release (state: PeerState): void {
    this.means.pools.release(state)
    this.#tunnels.release(state)
  }

  /** Ends what was upgraded, in order and within a second; requests go on. */
  hangUp (): void {
    this.#tunnels.close().catch(() => {})
  }

  async close (): Promise<void> {
    await Promise.all([this.means.pools.close(), this.#tunnels.close()])
  }

  #start (forwarding: Forwarding, body: Body): void {
    const { exchange, method, target, fields, host, upgrade } = forwarding
    if (isGone(forwarding.client)) return forwarding.failed(new Error('the client left before its request could be sent'))
    const message = { path: target, method, fields, host, body, upgrade: upgrade === null ? null : upgrade.protocol }
    const recipient = upgrade === null ? new ReplyRecipient(forwarding) : new UpgradeRecipient(forwarding, upgrade, this.#tunnels)
    const call = new Call(this.means, exchange, message, recipient, forwarding.startedAt)
    forwarding.stop = call
    call.start()
  }
}
