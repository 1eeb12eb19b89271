import type { Exchange } from './exchange.js'

/** One client request on its way, for whoever traces. */
export interface Trace {
  /** Does what begins it; what that does later on is done in the same asynchronous context. */
  readonly run: <T>(begin: () => T) => T
  /** It came to nothing, or its answer stopped in the middle; only the first error counts. */
  readonly failed: (error: Error) => void
  /** It is over, with the status that the client got; 499 when it left. */
  readonly ended: (status: number) => void
}

/** Begins a trace; null while nobody listens, which is all that tracing then costs. `request` is Fastify's, where there is one. */
export type BeginTrace = (exchange: Exchange, method: string, request: object | null) => Trace | null
