/** How an attempt ended. */

/**
 * `connect`: nothing was sent (refused, no route, connect time-out). `timeout`: sent, no answer in time. `reset`: the
 * connection broke after something was sent. `aborted`: the client left; it counts against nobody.
 */
export const ERROR_KINDS = ['connect', 'timeout', 'reset', 'aborted'] as const
export type ErrorKind = typeof ERROR_KINDS[number]
export type ErrorCounts = Record<ErrorKind, number>

/**
 * `ms` is until the last byte or the error, `ttfb` until the response headers: `ms` unless given; with an error it is given
 * when they were there before it.
 */
export type Outcome =
  | { readonly status: number, readonly ms: number, readonly ttfb?: number }
  | { readonly error: ErrorKind, readonly ms: number, readonly ttfb?: number }

/** The status under which a client that left is counted (nginx's). */
export const CLIENT_CLOSED = 499
/** The status with which a connection goes over to another protocol. */
export const UPGRADED = 101

/** The first digit of a status; 0 stands for a code outside 1xx…5xx. */
export type StatusClass = 0 | 1 | 2 | 3 | 4 | 5

/** The class that a status is counted under. */
export function classOf (status: number): StatusClass {
  const digit = Math.floor(status / 100)
  return digit >= 1 && digit <= 5 ? digit as StatusClass : 0
}

/** A fresh set of counters. */
export function noErrors (): ErrorCounts {
  return { connect: 0, timeout: 0, reset: 0, aborted: 0 }
}
