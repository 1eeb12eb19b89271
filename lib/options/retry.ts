/** `retry`: whether and when a failed attempt is followed by another one. */
import { BadOptionError, OptionsError } from '../errors.js'
import type { RetryBudgetSettings, RetryReason, RetrySettings } from '../store/settings.js'
import { fields, list, number, orFalse, type Checks, type Read } from './check.js'

const KINDS = ['connect', 'reset', 'timeout'] as const
const isStatus = (value: unknown): value is number => typeof value === 'number' && Number.isInteger(value) && value >= 400 && value <= 599

const reason: Read<RetryReason> = (value, path) => {
  const found = isStatus(value) ? value : KINDS.find((kind) => kind === value)
  if (found === undefined) throw new BadOptionError(path, '"connect", "reset", "timeout" or a status code from 400 to 599', value)
  return found
}

const reasonList = list(reason, 'a list of "connect", "reset", "timeout" and status codes')

const reasons: Read<readonly RetryReason[]> = (value, path) => {
  const result = reasonList(value, path)
  const twice = result.find((item, index) => result.indexOf(item) !== index)
  if (twice !== undefined) throw new OptionsError(`option "${path}" names ${JSON.stringify(twice)} twice`)
  return result
}

const budget: Checks<RetryBudgetSettings> = {
  ratio: number({ min: 0, max: 10 }),
  perSecond: number({ min: 0, max: 1000000 })
}

const checks: Checks<RetrySettings> = {
  attempts: number({ min: 0, max: 10, integer: true }),
  on: reasons,
  budget: fields(budget),
  bodyBytes: number({ min: 0, max: 16 * 1024 * 1024, integer: true, unit: 'bytes' })
}

/** What holds where nobody says anything. */
export const defaultRetry: RetrySettings = Object.freeze({
  attempts: 2,
  on: Object.freeze(['connect', 'reset', 502, 503, 504] as const),
  budget: Object.freeze({ ratio: 0.2, perSecond: 10 }),
  bodyBytes: 65536
})

/**
 * Lays a partial object over `base`, at every depth; over `false` over the defaults. `false` turns retries off. `path`
 * is where the value stands, for messages. Returns frozen settings; throws FST_UPSTREAM_BAD_OPTION.
 */
export const readRetry: (value: unknown, path: string, base: RetrySettings | false) => RetrySettings | false =
  orFalse(fields(checks, 'an object or false'), defaultRetry)

const known = new WeakMap<object, { readonly base: RetrySettings | false, readonly settings: RetrySettings | false }>()

/**
 * The same for `retry` of a single request. An object that comes again with the same `base` is not read again, so
 * changes made to it in between are not seen.
 */
export function retryOf (value: unknown, base: RetrySettings | false): RetrySettings | false {
  if (typeof value !== 'object' || value === null) return readRetry(value, 'retry', base)
  const last = known.get(value)
  if (last !== undefined && last.base === base) return last.settings
  const settings = readRetry(value, 'retry', base)
  known.set(value, { base, settings })
  return settings
}
