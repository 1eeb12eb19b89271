import type { IncomingHttpHeaders } from 'node:http'
import type { Duplex } from 'node:stream'
import type { Pick } from '../picker/picker.js'

/** A peer's answer while it is handed on: its flow can be held up, and it can be given up. */
export interface Answer {
  readonly statusCode: number
  /** As the peer worded it; '' by HTTP/2. */
  readonly statusText: string
  readonly headers: IncomingHttpHeaders
  pause: () => void
  resume: () => void
  /** From here on it comes as a stream: silence is bounded by `timeouts.body`. */
  watchBody: () => void
  /** Nobody wants it: reads the rest of a short one, for the connection's sake, and ends any other. */
  discard: () => void
}

/** Who a request's answer is for. Told `failed`, or `head` and what follows it; `end` and `broken` are the last words. */
export interface Recipient {
  /** The answer that stands; nothing can be repeated from here on. */
  head: (answer: Answer) => void
  /** False asks for a pause. */
  data: (chunk: Buffer) => boolean
  end: (trailers: IncomingHttpHeaders) => void
  /** The answer stopped in the middle. */
  broken: (error: Error) => void
  /** There is no answer. */
  failed: (error: Error) => void
  /** A 101: from here on the connection is the recipient's. Only those that ask for an upgrade have it. */
  upgraded?: (answer: Answer, socket: Duplex, pick: Pick) => void
}
