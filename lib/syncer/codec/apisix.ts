/**
 * APISIX, as its admin API writes upstreams: `/apisix/upstreams/<id>`, the value
 * `{"type":"roundrobin","nodes":{"10.0.0.5:1980":1},"scheme":"http",…}`, or `nodes` as a list of
 * `{"host","port","weight","priority","metadata"}`; the bare list is read too. One key holds all peers of a service, and
 * all of the key names it. A node of weight 0 takes no requests. A node without a port has that of the scheme.
 *
 * In APISIX a higher `priority` is preferred, negative ones included; here the lowest number is. So the highest one of
 * the value becomes 0, the next one 1, and so on.
 *
 * What is said of the whole upstream (its algorithm, checks, time-outs) is not repeated for each node.
 */
import { bracketed, checkService, splitPath } from './address.js'
import { IGNORED } from './decoded.js'
import { MAX_PRIORITY, METADATA } from './fields.js'
import type { Input } from './input.js'
import { readMany } from './many.js'
import { readPeer, type ReadPeer } from './peer-reader.js'
import { isRecord, shown } from './plain-data.js'
import { decodeOther } from './plain.js'
import type { Decoded } from './registration.js'
import { parseAuthority, portOf } from './url.js'

const LAYOUT = ['host', 'port', 'metadata']

interface Node {
  /** `host` or `host:port`, IPv6 in brackets. */
  readonly address: string
  readonly value: Record<string, unknown>
}

/**
 * Whether an entry is in this form: `nodes` as a map or a list, or a list of hosts, under a key without an address.
 * Nodes with an `address` are go-micro's, which is asked before.
 */
export function isApisix ({ object, list, path }: Input): boolean {
  const first: unknown = list?.[0]
  const isOne = isRecord(object?.nodes) || Array.isArray(object?.nodes) || (isRecord(first) && typeof first.host === 'string')
  return isOne && !splitPath(path).segment.includes(':')
}

function nodeOf (item: unknown): Node {
  if (!isRecord(item)) throw new Error(`nodes: expected an object with host and port, got ${shown(item)}`)
  const { host, port, metadata } = item
  if (typeof host !== 'string') throw new Error(`host: expected a text, got ${shown(host)}`)
  if (port !== undefined && typeof port !== 'number') throw new Error(`port: expected a number, got ${shown(port)}`)
  const address = port === undefined ? bracketed(host) : `${bracketed(host)}:${port}`
  return { address, value: { ...item, [METADATA]: metadata } }
}

function nodesOf (nodes: unknown): Node[] {
  if (Array.isArray(nodes)) return nodes.map(nodeOf)
  if (!isRecord(nodes)) throw new Error(`nodes: expected an object or a list, got ${shown(nodes)}`)
  return Object.entries(nodes).map(([address, weight]) => ({ address, value: { weight } }))
}

/** A node's priority in APISIX' own order, undefined when it is bad. */
function priorityOf ({ value }: Node): number | undefined {
  const priority = value.priority ?? 0
  const number = typeof priority === 'string' ? Number(priority) : priority
  return typeof number === 'number' && Number.isInteger(number) ? number : undefined
}

/** From an APISIX priority to ours: how many higher ones there are. A bad one counts as 0, the default. */
function ranksOf (nodes: readonly Node[]): ReadonlyMap<number, number> {
  const used = new Set(nodes.map(node => priorityOf(node) ?? 0))
  return new Map([...used].sort((a, b) => b - a).map((priority, rank) => [priority, Math.min(rank, MAX_PRIORITY)]))
}

/** Decodes one entry; throws when nothing can be made of it. */
export function decodeApisix (input: Input): Decoded {
  const { object, list, path } = input
  const nodes = list ?? object?.nodes
  if (nodes === undefined) {
    // Its nodes come from a service discovery.
    return typeof object?.discovery_type === 'string' ? IGNORED : decodeOther(input, 'nodes')
  }
  const service = checkService(path)
  const scheme = object?.scheme
  const port = portOf(scheme === 'https' ? 'https' : 'http')
  const all = nodesOf(nodes)
  const ranks = ranksOf(all)
  return readMany(all, (node): ReadPeer => {
    const priority = priorityOf(node)
    const value = { ...node.value, scheme, priority: priority === undefined ? node.value.priority : ranks.get(priority) }
    return readPeer(input, service, parseAuthority(node.address, port), value, LAYOUT, { priority: ranks.get(0) })
  })
}
