/**
 * Every error this package makes: code, message and status. Messages name services, never peers or their addresses;
 * what lies underneath travels as `cause`, which Fastify logs and does not send.
 */
import createError from '@fastify/error'
import { quote, show } from './errors/show.js'

/** What an error about a service may carry besides its name. */
export interface Details {
  /** What lies underneath; for the log. */
  readonly cause?: unknown
}

/** The same for errors that a client may come back from. */
export interface RetryDetails extends Details {
  /** Whole seconds after which the client may try again; default 1. */
  readonly retryAfter?: number
}

type Arguments = [string, { readonly cause: unknown }?]

function withCause (text: string, { cause }: Details): Arguments {
  return cause === undefined ? [text] : [text, { cause }]
}

/** An error about one service: `new ConnectError('orders', { cause })`. */
function failure<Code extends string, Status extends number> (code: Code, message: string, status: Status) {
  return class UpstreamError extends createError<Code, Status, Arguments>(code, message, status) {
    constructor (service: string, details: Details = {}) {
      super(...withCause(quote(service), details))
    }
  }
}

/**
 * A 503: `new NoPeerError('orders', { retryAfter: 5 })`. Fastify sends an error's `headers` along, so that
 * `reply.send(error)` or a throw is all it takes to answer with `Retry-After`.
 */
function unavailable<Code extends string> (code: Code, message: string) {
  return class UnavailableError extends createError<Code, 503, Arguments>(code, message, 503) {
    /** Whole seconds. */
    readonly retryAfter: number
    readonly headers: Readonly<Record<string, string>>

    constructor (service: string, details: RetryDetails = {}) {
      super(...withCause(quote(service), details))
      this.retryAfter = details.retryAfter ?? 1
      this.headers = { 'retry-after': String(this.retryAfter) }
    }
  }
}

/** Options that are wrong together, said in a whole sentence; the base of everything wrong with options. 500. */
export const OptionsError = createError<'FST_UPSTREAM_BAD_OPTION', 500, [string]>('FST_UPSTREAM_BAD_OPTION', '%s', 500)

/** One option with a bad value: `new BadOptionError('panic', 'a number from 0 to 1', 2)`. 500. */
export class BadOptionError extends OptionsError {
  /** `got` is shown shortened and without secrets. */
  constructor (name: string, expected: string, got: unknown) {
    super(`option ${quote(name)} must be ${expected}, got ${show(got)}`)
  }
}

/** Neither the registry, the options nor a route know the service. 404. */
export const UnknownServiceError = failure('FST_UPSTREAM_UNKNOWN_SERVICE', 'service %s is unknown', 404)

/** The service is known and in step with the registry, and no peer of it can take the request. 503. */
export const NoPeerError = unavailable('FST_UPSTREAM_NO_PEER', 'service %s has no peer that can take the request')

/** The registry has not been read yet. 503. */
export const NotReadyError = unavailable('FST_UPSTREAM_NOT_READY', 'service %s is not known yet: the registry has not been read')

/** An operator has this share of the service's requests refused. 503. */
export const ShedError = unavailable('FST_UPSTREAM_SHED', 'service %s is shedding load')

/** All peers are at their limit and the queue is full, absent, or was too slow. 503. */
export const QueueFullError = unavailable('FST_UPSTREAM_QUEUE_FULL', 'service %s is at its limit')

/** No connection could be made, nothing was sent. 502. */
export const ConnectError = failure('FST_UPSTREAM_CONNECT', 'no connection to a peer of service %s', 502)

/** The connection ended before the response was complete. 502. */
export const ResetError = failure('FST_UPSTREAM_RESET', 'connection to a peer of service %s was reset', 502)

/** No answer within `timeouts`. 504. */
export const TimeoutError = failure('FST_UPSTREAM_TIMEOUT', 'service %s did not answer in time', 504)

/** Not in step with the registry in time; takes the reason in words. 500. */
export class SyncError extends createError<'FST_UPSTREAM_SYNC', 500, Arguments>('FST_UPSTREAM_SYNC', 'not ready: %s', 500) {
  constructor (reason: string, details: Details = {}) {
    super(...withCause(reason, details))
  }
}

/** The table: the last part of each code and the class that has it. */
export const errors = Object.freeze({
  BAD_OPTION: BadOptionError,
  UNKNOWN_SERVICE: UnknownServiceError,
  NO_PEER: NoPeerError,
  NOT_READY: NotReadyError,
  SHED: ShedError,
  QUEUE_FULL: QueueFullError,
  CONNECT: ConnectError,
  RESET: ResetError,
  TIMEOUT: TimeoutError,
  SYNC: SyncError
})
