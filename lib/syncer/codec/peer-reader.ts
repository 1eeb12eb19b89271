import type { Peer, Scheme } from '../../store/peer.js'
import type { Address } from './address.js'
import type { Input } from './input.js'
import type { Registration } from './registration.js'
import { ValueFields } from './value-fields.js'

/** A peer as read, and the fields of it that were bad. */
export interface ReadPeer {
  readonly registration: Registration
  readonly errors: readonly string[]
}

/** What a layout takes for granted where its value says nothing, or nothing good. */
export interface Defaults {
  readonly weight?: number | undefined
  readonly priority?: number | undefined
}

/** What an input's key said before, by peer. Made at the first bad field, so that thousands of them are no square. */
const indexes = new WeakMap<Input, ReadonlyMap<string, Peer>>()

function indexOf (input: Input): ReadonlyMap<string, Peer> {
  const known = indexes.get(input)
  if (known !== undefined) return known
  const index = new Map<string, Peer>()
  for (const { service, peer } of input.previous) {
    const anyScheme = nameOf(service, peer.id, null)
    if (!index.has(anyScheme)) index.set(anyScheme, peer)
    index.set(nameOf(service, peer.id, peer.scheme), peer)
  }
  indexes.set(input, index)
  return index
}

function nameOf (service: string, id: string, scheme: Scheme | null): string {
  return `${service}\n${scheme ?? ''}\n${id}`
}

function find (input: Input, service: string, id: string, scheme: Scheme | null): Peer | undefined {
  return indexOf(input).get(nameOf(service, id, scheme))
}

/**
 * The peer of `service` at `address`, with all known fields of `value`. `layout` names fields of `value` that the
 * format has used itself, `defaults` replaces the common ones. Frozen. Bad fields never throw, they are told in `errors`.
 */
export function readPeer (
  input: Input, service: string, address: Address, value: Record<string, unknown>, layout: readonly string[],
  defaults: Defaults = {}
): ReadPeer {
  const { key, modRevision, lease } = input.entry
  const fields = new ValueFields(value, layout)
  // The scheme comes first: it is part of the identity that says which registration is the previous one.
  const scheme = fields.take('scheme', () => find(input, service, address.id, null))
  const recall = (): Peer | undefined => find(input, service, address.id, scheme)
  const isDown = fields.flag('down', recall, previous => previous.status === 'down')
  const isBackup = fields.flag('backup', recall, previous => previous.priority === 1)
  const status = fields.take('status', recall)
  const peer: Peer = Object.freeze({
    // Spelled out: a spread makes an object that every later read pays for.
    id: address.id,
    host: address.host,
    port: address.port,
    scheme,
    weight: fields.take('weight', recall, defaults.weight),
    status: isDown ? 'down' : status,
    slowStart: fields.take('slowStart', recall),
    checkUrl: fields.take('checkUrl', recall),
    startAt: fields.take('startAt', recall),
    priority: fields.take('priority', recall, isBackup ? 1 : defaults.priority),
    zone: fields.take('zone', recall),
    maxInflight: fields.take('maxInflight', recall),
    params: fields.params(recall),
    key,
    modRevision,
    lease
  })
  return { registration: Object.freeze({ service, peer }), errors: fields.errors }
}
