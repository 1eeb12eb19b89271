/**
 * Every option: `readOptions` turns what the user typed into complete, frozen settings, or says what is wrong with it.
 * The tables are in options/, one file for each group. The caller's object is never changed.
 */
import { BadOptionError, OptionsError } from './errors.js'
import { keysOf, layOver, number, oneOf, text, type Check, type Checks, type Read } from './options/check.js'
import { etcd, peers } from './options/etcd.js'
import { inspect, inspectDefaults } from './options/inspect.js'
import { exactly, given } from './options/names.js'
import { readNamed } from './options/routes.js'
import { layService, serviceDefaults, serviceNames } from './options/service.js'
import type { Settings, StartSettings } from './options/settings.js'
import { formatNames, isFormatName, type FormatFunction } from './syncer/codec/codec.js'

export { readServiceSettings, retryOf, serviceDefaults } from './options/service.js'
export type * from './options/settings.js'
export type * from './options/types.js'

type GatewaySettings = Omit<Settings, 'service' | 'services' | 'routes'>

const formats = formatNames.map(name => `"${name}"`).join(', ')

const format: Read<Settings['format']> = (value, path) => {
  // What the function returns is looked at for each key, not here.
  if (typeof value === 'function') return value as FormatFunction
  if (!isFormatName(value)) throw new BadOptionError(path, `${formats} or a function (key, value) => registrations`, value)
  return value
}

const snapshotFile: Read<Settings['snapshotFile']> = (value, path) => {
  if (typeof value === 'string' && value !== '' && !value.includes('\0')) return value
  throw new BadOptionError(path, 'the path of a file', value)
}

const startChecks: Checks<StartSettings> = {
  wait: number({ min: 0, max: 600000, unit: 'ms' }),
  onFail: oneOf('degraded', 'throw')
}
const startNames = exactly(keysOf(startChecks))

const start: Check<StartSettings> = (value, path, base) => layOver(startChecks, given(value, path, startNames), base)

const zoneName = text(/^[^\p{Cc}]{1,256}$/u, 'the name of a zone, up to 256 characters, or null')

const zone: Read<Settings['zone']> = (value, path) => value === null ? null : zoneName(value, path)

const gateway: Checks<GatewaySettings> = {
  etcd,
  peers,
  keyPrefix: text(/^[^\p{Cc}]*\/$/u, 'a string that ends with "/" and holds no control characters'),
  format,
  snapshotFile,
  start,
  zone,
  inspect,
  statsWindow: number({ min: 1, max: 3600, integer: true, unit: 's' })
}

const defaults: GatewaySettings = {
  etcd: null,
  peers: null,
  keyPrefix: '/services/',
  format: 'auto',
  snapshotFile: null,
  start: Object.freeze({ wait: 3000, onFail: 'degraded' }),
  zone: null,
  inspect: inspectDefaults,
  statsWindow: 60
}

const names = new Map([...exactly([...keysOf(gateway), 'services', 'routes']), ...serviceNames])

/**
 * Checks everything and fills in the defaults. Throws FST_UPSTREAM_BAD_OPTION on a bad value, an unknown name at any
 * depth, and unless exactly one of `etcd` and `peers` is there.
 */
export function readOptions (raw: unknown): Settings {
  const found = given(raw, '', names)
  if (found.has('etcd') === found.has('peers')) {
    throw new OptionsError(found.has('etcd')
      ? 'options "etcd" and "peers" exclude each other, give one of them'
      : 'one of the options "etcd" and "peers" is needed')
  }
  if (found.has('snapshotFile') && found.has('peers')) throw new OptionsError('option "snapshotFile" is for a registry that can be away, so it needs "etcd"')
  const service = layService(found, serviceDefaults)
  return Object.freeze({ ...layOver(gateway, found, defaults), service, ...readNamed(found, service) })
}
