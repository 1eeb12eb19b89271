/**
 * SkyDNS, and CoreDNS' etcd plugin: `/skydns/local/cluster/default/x1`, the value
 * `{"host":"10.0.0.5","port":8080,"priority":10,"weight":100,"ttl":60}`. The labels before the last one, from the back and
 * with dots, name the service: `default.cluster.local`. Its settings are at `<prefix>default.cluster.local`.
 *
 * As in an SRV record a lower priority is asked first, which is our direction. One over our greatest counts as that:
 * such peers come last, whatever their order.
 */
import { addressOf, checkService, splitPath } from './address.js'
import { IGNORED, peers } from './decoded.js'
import { FIELDS, MAX_PRIORITY } from './fields.js'
import type { Input } from './input.js'
import { readPeer } from './peer-reader.js'
import { decodeOther } from './plain.js'
import type { Decoded } from './registration.js'

const LAYOUT = ['host', 'port']

/**
 * Whether an entry is in this form: `host` with a `port`, under a key without an address. A host alone may as well be
 * the setting `host` of a service, and is taken for that; it is no address to connect to either.
 */
export function isSkydns ({ object, path }: Input): boolean {
  return typeof object?.host === 'string' && object.port !== undefined && !splitPath(path).segment.includes(':')
}

/** Not there, or 0, is as much as everybody else. */
function weightOf (raw: unknown): unknown {
  return FIELDS.weight.read(raw) === 0 ? undefined : raw
}

function priorityOf (raw: unknown): unknown {
  return typeof raw === 'number' && raw > MAX_PRIORITY ? MAX_PRIORITY : raw
}

/** Decodes one entry; throws when nothing can be made of it. */
export function decodeSkydns (input: Input): Decoded {
  const { object, path } = input
  if (object?.host === undefined || object.mail === true) {
    // A TXT record, or one that says where mail goes.
    return typeof object?.text === 'string' || object?.mail === true ? IGNORED : decodeOther(input, 'host')
  }
  const { host, port, weight, priority } = object
  if (port === undefined || port === 0) throw new Error('no port: a record without one is no address to connect to')
  const labels = path.split('/').slice(0, -1)
  const value = { ...object, weight: weightOf(weight), priority: priorityOf(priority) }
  // A full name may end with the dot of the root.
  const address = addressOf(typeof host === 'string' ? host.replace(/\.$/, '') : host, port)
  const { registration, errors } = readPeer(input, checkService(labels.reverse().join('.')), address, value, LAYOUT)
  return peers([registration], errors)
}
