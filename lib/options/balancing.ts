/** How peers are chosen: `balancer`, `hashKey`, `sticky` and `limits`. */
import { BadOptionError, OptionsError } from '../errors.js'
import { BALANCERS, type BalancerName, type HashKey, type LimitSettings, type StickySettings } from '../store/settings.js'
import { duration, fields, list, number, text, type Check, type Checks, type Read } from './check.js'
import { hidden } from './tls.js'

const balancers = BALANCERS.map(name => `"${name}"`).join(', ')

/** A name, or an object with the functions of a balancer. It stays the caller's own. */
export const balancer: Read<BalancerName | object> = (value, path) => {
  const name = BALANCERS.find(name => name === value)
  if (name !== undefined) return name
  if (typeof value === 'object' && value !== null) {
    const { rebuild, pick, opened, closed } = value as Record<string, unknown>
    const isOptional = (member: unknown): boolean => member === undefined || typeof member === 'function'
    if (typeof rebuild === 'function' && typeof pick === 'function' && isOptional(opened) && isOptional(closed)) return value
  }
  throw new BadOptionError(path, `${balancers} or an object with the functions rebuild and pick`, value)
}

/** RFC 9110's tokens: names of headers and of cookies. */
const KEY = /^(?:ip|uri|(?:header|cookie):[\w!#$%&'*+.^`|~-]+)$/

/** A part of the request, or a function of it. */
export const hashKey: Read<HashKey> = (value, path) => {
  // What the function returns can only be looked at on each request.
  if (typeof value === 'function') return value as (request: unknown) => unknown
  if (typeof value === 'string' && KEY.test(value)) return value
  throw new BadOptionError(path, '"ip", "uri", "header:<name>", "cookie:<name>" or a function of the request', value)
}

const secretText: Read<string> = (value, path) => {
  if (typeof value === 'string' && value.length >= 16) return value
  throw new BadOptionError(path, 'text of at least 16 characters, or a list of such, the first of which signs', hidden(value))
}
const secrets = list(secretText, 'at least one text', 1)

const sticky: Checks<StickySettings> = {
  cookie: text(/^[\w!#$%&'*+.^`|~-]+$/, 'the name of a cookie'),
  secret: (value, path) => Array.isArray(value) ? secrets(value, path) : Object.freeze([secretText(value, path)])
}
const readSticky = fields(sticky, 'an object or false')
const NO_COOKIE: StickySettings = Object.freeze({ cookie: '', secret: Object.freeze([]) })

/** `false`, or both of its fields, of which the settings below may have given one. */
export const stickyOrFalse: Check<StickySettings | false> = (value, path, base) => {
  if (value === false) return false
  const result = readSticky(value, path, base === false ? NO_COOKIE : base)
  if (result.cookie === '' || result.secret.length === 0) throw new OptionsError(`option "${path}" needs "cookie" and "secret"`)
  return result
}

const limitChecks: Checks<LimitSettings> = {
  maxInflight: number({ min: 0, max: 1e9, integer: true }),
  queue: number({ min: 0, max: 1e6, integer: true }),
  queueTimeout: duration
}
/** Bounds on requests at the same time, and the queue. */
export const limits = fields(limitChecks)
