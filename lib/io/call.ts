import type { IncomingHttpHeaders } from 'node:http'
import type { Readable } from 'node:stream'
import type { Dispatcher } from 'undici'
import type { EXCHANGE, Exchange } from '../picker/exchange.js'

/** What reply-from asks for: headers under a symbol tell whose request it is. */
export interface ForwardOptions {
  readonly path: string
  readonly method: Dispatcher.HttpMethod
  readonly headers: IncomingHttpHeaders & { readonly [EXCHANGE]?: Exchange }
  readonly body?: string | Buffer | Readable | null
}

/** What reply-from is given: undici's response, as far as it reads it. */
export interface ForwardResponse {
  readonly statusCode: number
  readonly headers: IncomingHttpHeaders
  readonly body: Readable
}

export type ForwardCallback = (error: Error | null, response?: ForwardResponse) => void

/** One client request being forwarded: what all its attempts share. */
export interface Call {
  readonly exchange: Exchange
  readonly options: ForwardOptions
  /** The Host header that the client sent. */
  readonly host: string | undefined
  /** Ends the time for all attempts and answers; to be called once. */
  readonly callback: ForwardCallback
}
