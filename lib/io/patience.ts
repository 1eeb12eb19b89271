import type { Readable } from 'node:stream'
import type { ErrorKind } from '../logger/outcome.js'
import type { Exchange } from '../picker/exchange.js'
import type { Trial } from './trial.js'
import { Upload, type Body } from './upload.js'

/** How long `attempt` may still wait for headers at `now`, ms. An upload that goes on is no silence. */
export function patience ({ settings }: Exchange, body: Body, attempt: Trial, deadline: number, now: number): number {
  const since = body instanceof Upload ? Math.max(attempt.startedAt, body.progressAt) : attempt.startedAt
  return Math.min(since + settings.timeouts.headers, deadline) - now
}

/** What an attempt whose time is over counts as: against the peer only when the peer had its time. */
export function blame ({ settings, total }: Exchange, body: Body, attempt: Trial, now: number): ErrorKind {
  const { connect, headers } = settings.timeouts
  const had = now - attempt.startedAt
  if (isAwaited(body)) return 'aborted'
  if (!attempt.isSent) return had < connect ? 'connect' : 'aborted'
  return had < Math.min(headers, total) / 2 ? 'aborted' : 'timeout'
}

/** The client does not send what a peer would take. */
export function isAwaited (body: Body): boolean {
  return body instanceof Upload && body.isAwaited
}

/** The client never finished what it sends. */
export function isBroken (body: Body): boolean {
  return body instanceof Upload && body.error !== null
}

/**
 * Nothing of what the client sends has come, and the headers wait for it: by HTTP/1 they go with the first byte of a body
 * that streams, by HTTP/2 at once.
 */
export function isUntouched (body: Body, { settings }: Exchange): boolean {
  return body instanceof Upload && body.isUntouched && !settings.pool.allowH2
}

/** What the client sends, from its beginning again; undefined when it is not in hand any more. */
export function reopened (body: Body): Readable | undefined {
  return body instanceof Upload && body.isInHand ? body.open() : undefined
}
