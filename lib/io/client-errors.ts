import { ConnectError, NoPeerError, NotReadyError, QueueFullError, ResetError, TimeoutError } from '../errors.js'
import { CLIENT_CLOSED, type ErrorKind } from '../logger/outcome.js'
import { tallyOf, type Refusal } from '../logger/tally.js'
import { waitingIn } from '../picker/queue.js'
import type { Service } from '../store/service.js'
import type { Means } from './message.js'
import type { Recipient } from './recipient.js'

/** Why an attempt was stopped; nobody is there to be told but the log, under nginx's status for it. */
export class ClientLeft extends Error {
  readonly statusCode = CLIENT_CLOSED

  constructor () {
    super('the client left before it was answered')
  }
}

/** What a client is told that did not send what it announced; no peer's fault. */
export class UploadLate extends Error {
  readonly statusCode = 408

  constructor () {
    super('the rest of the request did not come in time')
  }
}

/** The error that a client of `service` is told when an attempt came to nothing. */
export function errorFor (service: string, kind: ErrorKind, cause: Error): Error {
  if (kind === 'connect') return new ConnectError(service, { cause })
  if (kind === 'timeout') return new TimeoutError(service, { cause })
  if (kind === 'reset') return new ResetError(service, { cause })
  return Object.assign(new Error('the request cannot be forwarded', { cause }), { statusCode: 400 })
}

/** What a request that was not sent to any peer is counted under, by the code of its error. */
const REFUSAL: ReadonlyMap<unknown, Refusal> = new Map([
  ['FST_UPSTREAM_NO_PEER', 'no_peer'], ['FST_UPSTREAM_NOT_READY', 'not_ready'], ['FST_UPSTREAM_QUEUE_FULL', 'queue_full']
])

/** Tells `recipient` that there is no answer. Where it is because nobody could take the request, that is counted. */
export function refuse (recipient: Recipient, service: Service, error: Error & { code?: unknown }): void {
  const refusal = REFUSAL.get(error.code)
  if (refusal !== undefined) tallyOf(service).refusals[refusal]++
  recipient.failed(error)
}

/** The error that a client is told when nobody could be tried. */
export function nobodyFor (service: Service, { picker, isSynced, clock }: Means): Error {
  if (waitingIn(service) > 0 || picker.isFull(service, clock())) return new QueueFullError(service.name)
  return isSynced() ? new NoPeerError(service.name) : new NotReadyError(service.name)
}
