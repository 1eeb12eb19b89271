/** Options of one service: defaults, checks, and laying a partial object over what held before. */
import { BadOptionError } from '../errors.js'
import type { CheckSettings, OutlierSettings, PoolSettings, ServiceSettings, SlowStartSettings, TimeoutSettings } from '../store/settings.js'
import { balancer, hashKey, limits, stickyOrFalse } from './balancing.js'
import { boolean, duration, fields, keysOf, layOver, list, number, oneOf, orFalse, share, text, type Check, type Checks, type Read } from './check.js'
import { eitherCase, given, type Given } from './names.js'
import { defaultRetry, readRetry } from './retry.js'
import { defaultTls, tls } from './tls.js'

export { readRetry, retryOf } from './retry.js'

const count = number({ min: 1, max: 1000, integer: true })
const runLength = number({ min: 0, max: 1000000, integer: true, off: true })
const statusCode = number({ min: 100, max: 599, integer: true })

const defaultCheck: CheckSettings = Object.freeze({
  type: 'http',
  path: null,
  interval: 5000,
  timeout: 1000,
  rise: 2,
  fall: 3,
  status: Object.freeze([Object.freeze([200, 399] as const)]),
  jitter: 0.2,
  concurrency: 32,
  userAgent: 'fastify-upstream-etcd'
})

const defaultOutlier: OutlierSettings = Object.freeze({
  consecutive5xx: 5,
  consecutiveErrors: 5,
  interval: 10000,
  failureRate: 0.5,
  minRequests: 20,
  baseEjection: 30000,
  maxEjection: 300000,
  maxEjected: 0.5,
  latencyFactor: 0
})

/** What holds where nobody says anything. */
export const serviceDefaults: ServiceSettings = Object.freeze({
  balancer: 'round-robin',
  hashKey: 'ip',
  sticky: false,
  loadReports: false,
  slowStart: Object.freeze({ minWeight: 0.1, aggression: 1 }),
  check: defaultCheck,
  outlier: defaultOutlier,
  panic: 0.5,
  limits: Object.freeze({ maxInflight: 0, queue: 0, queueTimeout: 1000 }),
  retry: defaultRetry,
  timeouts: Object.freeze({ connect: 1000, headers: 30000, body: 30000, total: 60000 }),
  host: 'client',
  forwarded: true,
  debugHeader: false,
  pool: Object.freeze({ connections: 128, keepAlive: 60000, allowH2: false }),
  tls: defaultTls
})

const slowStart: Checks<SlowStartSettings> = {
  minWeight: share,
  aggression: number({ min: 0, max: 100, above: true })
}

/** A code, or the two ends of a closed interval. */
const statusRange: Read<readonly [number, number]> = (value, path) => {
  const [from, to, ...rest]: unknown[] = Array.isArray(value) ? value : [value, value]
  const low = statusCode(from, path)
  const high = statusCode(to, path)
  if (rest.length > 0 || low > high) throw new BadOptionError(path, 'a status code or a pair [from, to]', value)
  return Object.freeze([low, high] as const)
}

const checkPath = text(/^\/[\x21-\x7e]*$/, 'a path that starts with "/", or null')

const check: Checks<CheckSettings> = {
  type: oneOf('http', 'tcp'),
  path: (value, path) => value === null ? null : checkPath(value, path),
  interval: duration,
  timeout: duration,
  rise: count,
  fall: count,
  status: list(statusRange, 'a list of status codes or pairs [from, to], at least one', 1),
  jitter: share,
  concurrency: number({ min: 1, max: 10000, integer: true }),
  userAgent: text(/^[\x20-\x7e]+$/, 'visible ASCII text')
}

const outlier: Checks<OutlierSettings> = {
  consecutive5xx: runLength,
  consecutiveErrors: runLength,
  interval: duration,
  failureRate: number({ min: 0, max: 1, off: true }),
  minRequests: number({ min: 1, max: Number.MAX_SAFE_INTEGER, integer: true }),
  baseEjection: duration,
  maxEjection: duration,
  maxEjected: share,
  latencyFactor: number({ min: 1, max: 1000, above: true, off: true })
}

const outlierFields = fields(outlier, 'an object or false')

const readOutlier: Check<OutlierSettings> = (value, path, base) => {
  const result = outlierFields(value, path, base)
  if (result.maxEjection < result.baseEjection) {
    throw new BadOptionError(`${path}.maxEjection`, `at least ${path}.baseEjection (${result.baseEjection} ms)`, result.maxEjection)
  }
  return result
}

const timeouts: Checks<TimeoutSettings> = { connect: duration, headers: duration, body: duration, total: duration }

const pool: Checks<PoolSettings> = {
  connections: number({ min: 1, max: 100000, integer: true }),
  keepAlive: duration,
  allowH2: boolean
}

const service: Checks<ServiceSettings> = {
  balancer,
  hashKey,
  sticky: stickyOrFalse,
  loadReports: boolean,
  slowStart: fields(slowStart),
  check: orFalse(fields(check, 'an object or false'), defaultCheck),
  outlier: orFalse(readOutlier, defaultOutlier),
  panic: share,
  limits,
  retry: readRetry,
  timeouts: fields(timeouts),
  host: text(/^(?:[\w.-]+|\[[\da-f:.]+\])(?::\d{1,5})?$/i, '"client", "peer" or a host with or without a port'),
  forwarded: boolean,
  debugHeader: boolean,
  pool: fields(pool),
  tls
}

/** Every option of a service. */
export const serviceKeys = keysOf(service)

/** The same in both spellings. */
export const serviceNames = eitherCase(serviceKeys)

/** Lays the options of a service among those that were given over `base`. */
export function layService (found: Given, base: ServiceSettings): ServiceSettings {
  return layOver(service, found, base)
}

/**
 * Lays a partial object over `base`, at every depth: what it does not name stays. Names may be camelCase or
 * snake_case. A partial object over `false` is filled from the defaults, `false` turns a part off. `path` is where the
 * object stands, for messages. Returns frozen settings; throws FST_UPSTREAM_BAD_OPTION.
 */
export function readServiceSettings (raw: unknown, base: ServiceSettings, path: string): ServiceSettings {
  return layService(given(raw, path, serviceNames), base)
}
