/**
 * go-micro, as its etcd registry writes it: `/micro/registry/<service>/<node id>`, the value
 * `{"name","version","metadata","endpoints","nodes":[{"id","address":"host:port","metadata":{…}}]}`. It writes one node to
 * a key; more are read. The key names the service (the name with `/` as `-`), not the value. A node's metadata is its
 * `Metadata`. Of what is said of the whole service only the version is kept.
 */
import { addressOf, checkService, isAddress, parseAddress, splitPath } from './address.js'
import { METADATA } from './fields.js'
import type { Input } from './input.js'
import { readMany } from './many.js'
import { readPeer, type ReadPeer } from './peer-reader.js'
import { isRecord, shown } from './plain-data.js'
import { decodeOther } from './plain.js'
import type { Decoded } from './registration.js'

const LAYOUT = ['address', 'port', 'metadata']
/** It is repeated for each node, so it must not be long. */
const MAX_VERSION = 64

/** Whether a value is in this form: a list of nodes, the first with a text `address`. */
export function isGoMicro ({ object }: Input): boolean {
  const nodes = object?.nodes
  if (!Array.isArray(nodes)) return false
  const first: unknown = nodes[0]
  return isRecord(first) && typeof first.address === 'string'
}

function readNode (input: Input, service: string, node: unknown, shared: Record<string, unknown>): ReadPeer {
  if (!isRecord(node)) throw new Error(`nodes: expected an object with an address, got ${shown(node)}`)
  const { address, port, metadata } = node
  if (typeof address !== 'string') throw new Error(`address: expected "host:port", got ${shown(address)}`)
  // Versions before 2 write the port apart.
  const at = typeof port === 'number' && !isAddress(address) ? addressOf(address, port) : parseAddress(address)
  return readPeer(input, service, at, { ...shared, ...node, [METADATA]: metadata }, LAYOUT)
}

/** Decodes one entry; throws when nothing can be made of it. */
export function decodeGoMicro (input: Input): Decoded {
  const { object, path } = input
  if (object === undefined || object.nodes === undefined) return decodeOther(input, 'nodes')
  const { version, nodes } = object
  const service = checkService(splitPath(path).service)
  if (!Array.isArray(nodes)) throw new Error(`nodes: expected a list, got ${shown(nodes)}`)
  const shared = typeof version === 'string' && version.length <= MAX_VERSION ? { version } : {}
  return readMany<unknown>(nodes, node => readNode(input, service, node, shared))
}
