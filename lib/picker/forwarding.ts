import type { Exchange } from './exchange.js'

/** Header fields by lower-case name; undefined is as good as absent. */
export type Fields = Record<string, string | string[] | undefined>

/** The client's side of a forwarded request, as far as an answer under way needs it. */
export interface ClientSide {
  readonly headersSent: boolean
  readonly destroyed: boolean
  flushHeaders: () => void
  addTrailers: (trailers: Record<string, string>) => void
  once: (event: 'pipe', listener: () => void) => unknown
}

/** One client request as the HTTP surface hands it to the transport. They find each other by `FORWARDING`. */
export interface Forwarding {
  readonly exchange: Exchange
  /** What is asked of the peer, byte for byte: path and query. */
  readonly target: string
  /** Without those of the connection; `host` is the client's, if anything. */
  readonly fields: Fields
  /** A body that reply-from does not know of; null for none. */
  readonly body: AsyncIterable<unknown> | null
  readonly client: ClientSide
  /** The answer is wanted as a stream however it comes, because somebody else will read it. */
  readonly asStream: boolean
  /** Set by the transport while there is something to stop. */
  stop: { stop: (kind: 'aborted' | 'timeout') => void } | null
}

/** Where the transport finds the forwarding among the headers: a symbol is copied along and never sent. */
export const FORWARDING = Symbol('fastify-upstream-etcd.forwarding')
