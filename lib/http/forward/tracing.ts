import { tracingChannel, type TracingChannel } from 'node:diagnostics_channel'
import type { AttemptInfo, Exchange, Upstream } from '../../picker/exchange.js'
import type { Trace } from '../../picker/tracing.js'

const requests: TracingChannel<unknown, RequestTrace> = tracingChannel('fastify-upstream-etcd.request')

/**
 * What subscribers of the tracing channel `fastify-upstream-etcd.request` get: the same object with each event of a request.
 * `start` and `end` are around handing it to a peer, `asyncStart` and `asyncEnd` come when it is over, `error` when it has
 * failed, before those.
 */
export class RequestTrace implements Trace {
  readonly service: string
  readonly method: string
  /** Fastify's, or null for a request by `app.upstreams.dispatcher`. */
  readonly request: object | null
  /** As `request.upstream`; attempts are added while it is under way. */
  readonly upstream: Upstream
  /** What the client got, 499 when it left; null until it is over. */
  status: number | null = null
  error: Error | undefined = undefined

  constructor ({ upstream }: Exchange, method: string, request: object | null) {
    this.service = upstream.service
    this.method = method
    this.request = request
    this.upstream = upstream
  }

  /** All attempts so far, in order. */
  get attempts (): readonly AttemptInfo[] {
    return this.upstream.attempts
  }

  run<T> (begin: () => T): T {
    return requests.start.runStores(this, () => {
      try {
        return begin()
      } finally {
        requests.end.publish(this)
      }
    })
  }

  failed (error: Error): void {
    if (this.error !== undefined || this.status !== null) return
    this.error = error
    requests.error.publish(this)
  }

  ended (status: number): void {
    this.status = status
    requests.asyncStart.publish(this)
    requests.asyncEnd.publish(this)
  }
}

/** Begins to trace a request when somebody subscribes to the channel. */
export function beginTrace (exchange: Exchange, method: string, request: object | null): RequestTrace | null {
  return requests.hasSubscribers ? new RequestTrace(exchange, method, request) : null
}
