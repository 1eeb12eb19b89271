/**
 * Vulcand, as its command line and its API write it: `/vulcand/backends/<backend>/servers/<id>`, the value
 * `{"Id":"srv1","URL":"http://10.0.0.5:5000"}`. With `/vulcand/backends/` as prefix the backend names the service. What
 * else Vulcand keeps (backends themselves, frontends, middlewares, listeners, hosts) names no peer.
 */
import { checkService, splitPath } from './address.js'
import { IGNORED, peers } from './decoded.js'
import type { Input } from './input.js'
import { readPeer } from './peer-reader.js'
import { shown } from './plain-data.js'
import { decodeSettings } from './plain.js'
import type { Decoded } from './registration.js'
import { parseUrl, withUrl } from './url.js'

const LAYOUT = ['URL']
const FOLDER = '/servers'
const OTHER = /(?:^|\/)(?:backend|frontend|host|(?:listeners|middlewares)\/[^/]+)$/

/** Whether an entry is in this form: a text `URL` in a folder `servers`; elsewhere `URL` may be any free field. */
export function isVulcand ({ object, path }: Input): boolean {
  return typeof object?.URL === 'string' && splitPath(path).service.endsWith(FOLDER)
}

/** Decodes one entry; throws when nothing can be made of it. */
export function decodeVulcand (input: Input): Decoded {
  const { object, path } = input
  const { service: folder, segment } = splitPath(path)
  if (!folder.endsWith(FOLDER)) {
    if (segment.includes(':')) throw new Error('expected <backend>/servers/<id> as key')
    return OTHER.test(path) ? IGNORED : decodeSettings(input)
  }
  const service = checkService(folder.slice(0, -FOLDER.length))
  if (object === undefined) throw new Error(input.problem ?? 'no URL in the value')
  if (typeof object.URL !== 'string') throw new Error(`URL: expected "http://host:port", got ${shown(object.URL)}`)
  const url = parseUrl(object.URL)
  const { registration, errors } = readPeer(input, service, url.address, withUrl(object, url), LAYOUT)
  return peers([registration], errors)
}
