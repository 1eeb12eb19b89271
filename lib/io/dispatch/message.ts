import { stringify } from 'node:querystring'
import type { Dispatcher } from 'undici'
import { BadOptionError } from '../../errors.js'
import type { Fields } from '../../picker/forwarding.js'
import { serviceAt } from '../../picker/origin.js'

type Options = Dispatcher.DispatchOptions

const ABSOLUTE = /^https?:\/\/[^/?#]*/i

/** The name of the service that `origin` selects. Throws FST_UPSTREAM_BAD_OPTION for any origin that is not ours. */
export function serviceIn (origin: Options['origin']): string {
  const name = serviceAt(String(origin)) ?? serviceAt(normal(String(origin)))
  if (name === undefined) throw new BadOptionError('origin', 'what app.upstreams.origin(service) gives', origin)
  return name
}

/** As every URL parser would write it; '' for what is none. */
function normal (origin: string): string {
  return URL.canParse(origin) ? new URL(origin).origin : ''
}

/**
 * The target at the peer, `query` appended as undici does. A path in absolute form would tell the peer another host, so it
 * is cut down to what it says of the same service; for any other it is refused.
 */
export function targetIn ({ path, query }: Options, service: string): string {
  if (typeof path !== 'string') throw new BadOptionError('path', 'a string', path)
  const start = ABSOLUTE.exec(path)?.[0]
  if (start !== undefined && serviceIn(start) !== service) throw new BadOptionError('path', 'of the same service as the origin', path)
  const rest = start === undefined ? path : path.slice(start.length)
  const target = start !== undefined && !rest.startsWith('/') ? `/${rest}` : rest
  if (query === undefined || query === null) return target
  if (/[?#]/.test(target)) throw new BadOptionError('path', 'without "?" and "#" where there is a query', path)
  const text = stringify(query)
  return text === '' ? target : `${target}?${text}`
}

/** The protocol asked for, or null. Throws for tunnels: peers of a service are no proxies. */
export function upgradeIn ({ method, upgrade }: Options): string | null {
  if (typeof method !== 'string' || method === 'CONNECT') throw new BadOptionError('method', 'a method other than CONNECT', method)
  if (upgrade === undefined || upgrade === null || upgrade === false || upgrade === '') return null
  if (typeof upgrade !== 'string') throw new BadOptionError('upgrade', 'the name of a protocol', upgrade)
  return upgrade
}

/** Header fields in any of undici's forms, but for `host`: which one the peers see is the service's setting. */
export function fieldsIn ({ headers }: Options): Fields {
  const fields: Fields = ['host', '']
  for (const [name, value] of pairs(headers)) {
    if (typeof name !== 'string') throw new BadOptionError('headers', 'names and values', headers)
    const lower = name.toLowerCase()
    if (value === undefined || lower === 'host') continue
    fields.push(lower, Array.isArray(value) ? value.map(one => text(lower, one)) : text(lower, value))
  }
  return fields
}

function pairs (headers: Options['headers']): Iterable<readonly [unknown, unknown]> {
  if (headers === undefined || headers === null) return []
  if (typeof headers !== 'object') throw new BadOptionError('headers', 'an object or an array', headers)
  if (Array.isArray(headers) && !Array.isArray(headers[0])) {
    if (headers.length % 2 !== 0) throw new BadOptionError('headers', 'an array of an even length', headers)
    return headers.flatMap((name, i) => i % 2 === 0 ? [[name, headers[i + 1]] as const] : [])
  }
  return Symbol.iterator in headers ? headers as Iterable<[string, unknown]> : Object.entries(headers)
}

function text (name: string, value: unknown): string {
  if (value === null) return ''
  if (typeof value === 'object' || typeof value === 'function') throw new BadOptionError(`headers.${name}`, 'a string or an array of strings', value)
  return String(value)
}
