import type { IncomingHttpHeaders } from 'node:http'
import type { Duplex, Readable } from 'node:stream'
import type { Blob } from 'node:buffer'
import type { FormData } from 'undici'
import type { Fields } from '../picker/forwarding.js'

/** A request as it is sent to one peer. */
export interface Outbound {
  readonly method: string
  /** Path and query, byte for byte. */
  readonly path: string
  /** Read before `dispatch` returns. */
  readonly fields: Fields
  readonly body: Buffer | string | Blob | FormData | Readable | null
  /** The protocol asked for, or null. */
  readonly upgrade: string | null
}

/** What a passenger can do about its connection. */
export interface Flow {
  /** Ends it in the middle; nothing is told of it any more. */
  abort: (error: Error) => void
  /** Goes on after a `data` that was answered with false. */
  resume: () => void
}

/**
 * A request under way, as the connection that carries it sees it. Told `sending`, `head`, `data` and `end` in that order,
 * or `upgraded` in place of the last three; or at any point `failed`, and nothing after it.
 */
export interface Passenger {
  /** Nobody waits for it any more. */
  readonly isOver: boolean
  /** It is about to be sent; before that nothing of it was. */
  sending: (flow: Flow) => void
  /**
   * The peer says that it has done nothing with the request, so it counts as not sent. Answers with the body from its
   * beginning; or with undefined when that is not in hand any more, and then what was sent is lost.
   */
  takeBack: (body: Buffer | Readable | null) => Buffer | Readable | null | undefined
  /** An answer, other than 1xx. `fields` are those that are passed on, by lower-case name, and its own. */
  head: (status: number, text: string, fields: IncomingHttpHeaders) => void
  /** False asks to hold the rest back; a little more may come all the same. The bytes are its own. */
  data: (chunk: Buffer) => boolean
  end: (trailers: IncomingHttpHeaders) => void
  failed: (error: Error) => void
  /** The peer has agreed to another protocol; `socket` is the connection. */
  upgraded: (status: number, fields: IncomingHttpHeaders, socket: Duplex) => void
}

/** What carries requests to one peer. */
export interface Carrier {
  /** Sends a request as soon as there is a connection. What cannot be sent fails at once. */
  dispatch: (request: Outbound, passenger: Passenger) => void
  /** Connections close after the last request; resolves when all have. Nothing may be dispatched after it. */
  close: () => Promise<void>
  /** Cuts what is under way. */
  destroy: () => void
}
