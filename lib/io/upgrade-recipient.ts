import { Duplex } from 'node:stream'
import type { Forwarding, Upgrade } from '../picker/forwarding.js'
import type { Pick } from '../picker/picker.js'
import { endToEndFields } from './fields.js'
import type { Answer } from './recipient.js'
import { ReplyRecipient } from './reply-recipient.js'
import type { Tunnels } from './tunnels.js'

/** Who asked for another protocol: gets the peer's connection after a 101, and any other answer as everybody else does. */
export class UpgradeRecipient extends ReplyRecipient {
  readonly #forwarding: Forwarding
  readonly #upgrade: Upgrade
  readonly #tunnels: Tunnels

  constructor (forwarding: Forwarding, upgrade: Upgrade, tunnels: Tunnels) {
    super(forwarding)
    this.#forwarding = forwarding
    this.#upgrade = upgrade
    this.#tunnels = tunnels
  }

  upgraded ({ statusCode, headers }: Answer, peer: Duplex, pick: Pick): void {
    // From here on a client that leaves ends the tunnel, and no attempt.
    this.#forwarding.stop = null
    const { 'content-length': _none, ...fields } = endToEndFields(Object.entries(headers).flatMap(
      ([name, values]) => [values].flat().flatMap(value => [name, String(value)])))
    const protocol = headers.upgrade ?? this.#upgrade.protocol
    try {
      this.#forwarding.keep(statusCode)
      const client = this.#upgrade.accept(protocol, fields)
      if (client instanceof Duplex) return this.#tunnels.join(pick, client, peer, protocol.toLowerCase() === 'websocket')
      peer.destroy()
    } catch (error) {
      peer.destroy()
      this.failed(error as Error)
    }
  }
}
