import { saysTheSame, type Peer } from '../store/peer.js'
import { createCodec, type Codec, type CodecOptions } from './codec/codec.js'
import { METADATA } from './codec/fields.js'
import { readValue } from './codec/input.js'
import { membersOf, withMember } from './codec/members.js'
import type { Decoded, Registration } from './codec/registration.js'
import { Refusal } from './refusal.js'
import type { Entry } from './source.js'

/** What of a registration may be changed. */
export interface Amendment {
  readonly weight?: number
  readonly status?: string
}

/** The value that says of the peer what `amendment` says, and of everything else what `entry` says. Throws a `Refusal`. */
export type Amend = (entry: Entry, registration: Registration, amendment: Amendment) => string

/**
 * Changes values in the package's own layout, at the top or below `Metadata`, wherever a field is read from. They are changed
 * as text: a number that no double holds, the order, the spaces stay as they are. What is written is read first as everybody
 * reads it, so nothing is that would not come to what was asked for.
 */
export function createAmend (options: CodecOptions): Amend {
  const [codec, plain] = [createCodec(options), createCodec({ ...options, format: 'plain' })]
  return (entry, registration, amendment) => {
    const { peer } = registration
    if (!saysOnly(plain, entry, registration, peer) || !saysOnly(codec, entry, registration, peer)) {
      throw new Refusal('its registration is in a layout that cannot be changed here')
    }
    const { problem } = readValue(entry.value, options.parse)
    if (problem !== undefined) throw new Refusal(`its registration cannot be changed here: ${problem}`)
    const value = changed(entry.value, amendment)
    // All that is added is ASCII.
    const size = entry.size + value.length - entry.value.length
    if (!saysOnly(codec, { ...entry, value, size }, registration, { ...peer, ...amendment })) {
      throw new Refusal('its registration holds something else that would overrule the change')
    }
    return value
  }
}

/** Does the entry say this of the peer, and nothing of others, where single bad fields are what they were before? */
function saysOnly (codec: Codec, entry: Entry, known: Registration, peer: Peer): boolean {
  const said = peersIn(codec.decode(entry, [known]))
  // What is bad as a whole would pass for what was known before.
  const isGood = peersIn(codec.decode(entry, undefined)).length === 1 && said.length === 1
  return isGood && said.every(said => said.service === known.service && saysTheSame(said.peer, peer))
}

function peersIn (decoded: Decoded): readonly Registration[] {
  return decoded.kind === 'peers' ? decoded.peers : []
}

function changed (value: string, amendment: Amendment): string {
  let text = value.trim() === '' ? '{}' : value
  for (const [name, field] of Object.entries(amendment)) text = withMember(text, levelOf(text, name), name, JSON.stringify(field))
  return text
}

/** Where the object begins that `name` is read from: the top, unless it is only below `Metadata`, or would be there. */
function levelOf (text: string, name: string): number {
  const open = text.indexOf('{')
  const top = membersOf(text, open)
  // Of equal names the last one counts.
  const own = top.findLast(member => member.name === name)
  const metadata = top.findLast(member => member.name === METADATA)
  const isThere = own !== undefined && text.slice(own.from, own.to) !== 'null'
  return !isThere && metadata !== undefined && text[metadata.from] === '{' ? metadata.from : open
}
