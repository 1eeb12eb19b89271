import { Readable } from 'node:stream'
import { FORWARDING, isGone, whyNot, type Forwarding } from '../picker/forwarding.js'
import { isIdempotent } from '../picker/exchange.js'
import type { Picker } from '../picker/picker.js'
import type { PeerState } from '../store/peer.js'
import { Call } from './call.js'
import type { Means } from './message.js'
import { Pools } from './pools.js'
import { ReplyRecipient, type ForwardCallback } from './reply-recipient.js'
import { Tunnels } from './tunnels.js'
import { UpgradeRecipient } from './upgrade-recipient.js'
import { bodyFrom, type Body } from './upload.js'

/** What reply-from asks for. Its path and headers are placeholders: the real ones are in the forwarding. */
export interface ForwardOptions {
  readonly method: string
  readonly headers: { readonly [FORWARDING]?: Forwarding }
  readonly body?: string | Buffer | Readable | null
}

/** The `undici` object that reply-from is registered with: carries requests to peers that it picks for each attempt. */
export class Transport {
  readonly means: Means
  readonly #tunnels: Tunnels

  constructor (picker: Picker, clock: () => number, random: () => number, isSynced: () => boolean) {
    this.means = { picker, pools: new Pools(), clock, random, isSynced }
    this.#tunnels = new Tunnels(clock)
  }

  /** Forwards a request; calls back once, with the response as soon as its headers are there. */
  request ({ method, headers, body }: ForwardOptions, callback: ForwardCallback): void {
    const forwarding = headers[FORWARDING]
    if (forwarding === undefined) throw new Error('only reply.forward and proxied routes forward by this transport')
    // reply-from says '' for none.
    const sent = body === undefined || body === null || body === '' ? forwarding.body : body
    if (!(sent instanceof Readable)) return this.#start(forwarding, method, sent as Body, callback)
    // The parser that reads the headers may be about to read the body, too.
    process.nextTick(() => {
      // Who read it before us may have gone on meanwhile.
      const error = whyNot(sent)
      if (error !== null) return callback(error)
      const { retry } = forwarding.exchange
      const limit = isIdempotent(method) && retry !== false ? retry.bodyBytes : null
      this.#start(forwarding, method, bodyFrom(sent, limit, this.means.clock), callback)
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

  #start (forwarding: Forwarding, method: string, body: Body, callback: ForwardCallback): void {
    const { exchange, target, fields, host, upgrade } = forwarding
    const message = { path: target, method, fields, host, body, upgrade: upgrade === null ? null : upgrade.protocol }
    if (isGone(forwarding.client)) return callback(new Error('the client left before its request could be sent'))
    const recipient = upgrade === null
      ? new ReplyRecipient(callback, forwarding, method)
      : new UpgradeRecipient(callback, forwarding, method, upgrade, this.#tunnels)
    const call = new Call(this.means, exchange, message, recipient, forwarding.startedAt)
    forwarding.stop = call
    call.start()
  }
}
