import type { Exchange } from './exchange.js'

/**
 * Header fields, names in lower case and values in turn: the cheapest form to make and to send. `host` comes first, and has
 * its value set for each attempt.
 */
export type Fields = Array<string | string[]>

/** The fields of an answer, by names in lower case. */
export type Answered = Readonly<Record<string, string | string[] | undefined>>

/** One stream of a client's HTTP/2 connection. */
export interface ClientStream {
  readonly destroyed: boolean
  /** The client ended it, or it was ended, in the middle of what we say. */
  readonly aborted: boolean
  /** Why it has ended; 0 when nothing was wrong. */
  readonly rstCode: number
  close: (code: number) => void
}

/** The client's side of a forwarded request, as far as an answer under way needs it. */
export interface ClientSide {
  readonly headersSent: boolean
  /** By HTTP/2 it is the stream's to say. */
  readonly destroyed?: boolean
  readonly stream?: ClientStream
  readonly req: { readonly httpVersion: string }
  readonly socket: unknown
  write: (chunk: Uint8Array) => boolean
  flushHeaders: () => void
  destroy: () => unknown
  hasHeader: (name: string) => boolean
  setHeader: (name: string, value: string) => unknown
  addTrailers: (trailers: Record<string, string>) => void
  once: (event: 'pipe', listener: () => void) => unknown
}

/** Whether nothing can be told this client any more. */
export function isGone (client: ClientSide): boolean {
  return client.destroyed ?? client.stream?.destroyed === true
}

/** That a request asks for another protocol, and how its client is told that a peer has agreed. */
export interface Upgrade {
  /** As the client asked for it; there may be several. */
  readonly protocol: string
  /**
   * Answers the client with 101, this protocol and these fields, and gives its connection away; null when it has left.
   * Throws, with nothing sent, for fields that cannot be sent.
   */
  readonly accept: (protocol: string, fields: Record<string, string | string[] | undefined>) => object | null
}

/** One client request as the HTTP surface hands it to the transport, and as the transport tells what came of it. */
export interface Forwarding {
  readonly exchange: Exchange
  /** When the client's request was to be forwarded, epoch ms. */
  readonly startedAt: number
  readonly method: string
  /** What is asked of the peer, byte for byte: path and query. */
  readonly target: string
  /** Without those of the connection. */
  readonly fields: Fields
  /** The Host that the client sent. */
  readonly host: string | undefined
  /** As it comes, or whole; null for none. */
  readonly body: AsyncIterable<unknown> | Uint8Array | string | null
  readonly client: ClientSide
  /** The answer is wanted as a stream however it comes, because somebody else will read it. */
  readonly asStream: boolean
  /** Null when it asks for no other protocol, or may not. */
  readonly upgrade: Upgrade | null
  /** Set by the transport while there is something to stop. */
  stop: { stop: (kind: 'aborted' | 'timeout') => void } | null
  /** Set by the transport once there is an answer: what of it is not over may be given up. */
  answer: { discard: () => void } | null
  /** Set by the transport when the answer stopped in the middle: the status of the error. */
  broken: number | null
  /** The answer that stands; its body may still be coming. Throws what hooks throw, and for headers that cannot be sent. */
  answered: (statusCode: number, headers: Answered, body: AsyncIterable<unknown> | Uint8Array) => void
  /** Says on the reply to whom its client is to come back, if anything keeps it. For answers that `answered` is not told. */
  keep: (statusCode: number) => void
  /** There is no answer. After an `answered` that has thrown it may come, too. */
  failed: (error: Error) => void
}

/** A body that is still to be sent, as far as it tells what became of it. */
interface Readable {
  readonly readableDidRead: boolean
  readonly readableEnded: boolean
  readonly destroyed: boolean
}

/** Why this body cannot be sent: some of it went elsewhere, and the rest would pass for the whole. Null when it can. */
export function whyNot ({ readableDidRead, readableEnded, destroyed }: Readable): Error | null {
  if (!readableDidRead && !readableEnded && !destroyed) return null
  return Object.assign(new Error('the body of this request has been read, and cannot be forwarded again'), { statusCode: 500 })
}
