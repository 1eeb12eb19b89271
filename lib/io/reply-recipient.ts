import { AsyncResource } from 'node:async_hooks'
import type { IncomingHttpHeaders } from 'node:http'
import { Socket } from 'node:net'
import { Readable } from 'node:stream'
import { TLSSocket } from 'node:tls'
import { isGone, type Forwarding } from '../picker/forwarding.js'
import { cut, unrepeat } from './client.js'
import type { Answer, Recipient } from './recipient.js'

/** A peer's response body on its way: asks the connection for more only as fast as it is read. */
class ResponseBody extends Readable {
  readonly #answer: Answer

  constructor (answer: Answer) {
    super()
    // It may break while hooks still work on the headers and nobody listens yet. Those who come later are told all the same.
    this.on('error', () => {})
    this.#answer = answer
  }

  override _read (): void {
    this.#answer.resume()
  }

  override _destroy (error: Error | null, callback: (error?: Error | null) => void): void {
    // Where the client has left, the attempt was stopped before anybody could come here.
    this.#answer.discard()
    callback(error)
  }
}

/** Trailers that would change what was already said (RFC 9110, 6.5.1). */
const NO_TRAILERS = new Set(['content-length', 'transfer-encoding', 'content-encoding', 'content-type', 'content-range', 'trailer', 'host', 'connection', 'set-cookie', 'http2-settings'])

/** The last of the answers whose headers were there in one pass of the parser; they are looked at when it is over. */
let last: ReplyRecipient | null = null

/** What Fastify takes for a media type; any other it would replace beside a Buffer. */
const MEDIA_TYPE = /^[\w!#$%&'*+.^`|~-]+\/[\w!#$%&'*+.^`|~-]+[ \t]*(?:;|$)/
const NO_BYTES = Buffer.alloc(0)

/** A microtask without the asynchronous context that `queueMicrotask` makes for each; recipients have their own. */
const passOver = Promise.resolve()

function settle (): void {
  let next: ReplyRecipient | null = last
  last = null
  while (next !== null) next = next.settle()
}

/**
 * Gives a peer's answer to the reply. One that came whole in one pass of the parser is handed over as one Buffer, which
 * costs a quarter less than a stream; any other as a stream, at once. So no first byte waits for a last one.
 */
export class ReplyRecipient extends AsyncResource implements Recipient {
  readonly #forwarding: Forwarding
  #answer: Answer | null = null
  /** What is there of the body while nobody reads it: mostly one chunk, so no list is made for it. */
  #first: Buffer | null = null
  #rest: Buffer[] | null = null
  #ended = false
  #hasTrailers = false
  /** What the peer says of trailers to come; said to the client where they can be sent. */
  #announced: string | null = null
  #body: ResponseBody | null = null
  #error: Error | null = null
  /** The answer before this one in the same pass. */
  #before: ReplyRecipient | null = null

  /** `forwarding` is told where its request came from as far as asynchronous contexts are concerned. */
  constructor (forwarding: Forwarding) {
    super('UPSTREAM')
    this.#forwarding = forwarding
  }

  head (answer: Answer): void {
    this.#answer = answer
    this.#forwarding.answer = this
    this.#before = last
    last = this
    if (this.#before === null) passOver.then(settle)
  }

  data (chunk: Buffer): boolean {
    if (this.#body !== null) return this.#body.push(chunk)
    if (this.#first === null) this.#first = chunk
    else (this.#rest ??= []).push(chunk)
    return true
  }

  end (trailers: IncomingHttpHeaders): void {
    if (this.#ended) return
    this.#ended = true
    const names = Object.keys(trailers)
    if (names.length > 0 && this.#mayTrail()) {
      this.#hasTrailers = true
      this.#sendTrailers(names, trailers)
    }
    this.#body?.push(null)
  }

  broken (error: Error & { statusCode?: number }): void {
    this.#error = error
    this.#forwarding.broken = error.statusCode ?? null
    if (this.#body === null) return
    const { client } = this.#forwarding
    // Node would end the stream as if all were said.
    if (client.headersSent && client.stream !== undefined) cut(client)
    // Nothing but a reset tells a client that reads until the connection closes that something is missing. After its end
    // libuv refuses one, and Node would spin at the end of the process.
    const { socket } = client
    if (client.headersSent && client.req.httpVersion === '1.0' && socket instanceof Socket && !(socket instanceof TLSSocket) && !socket.writableEnded) {
      socket.resetAndDestroy()
    }
    this.#body.destroy(error)
  }

  /** The client was answered. What is still to come, if anything, is wanted by nobody; who reads it all the same is told. */
  discard (): void {
    if (this.#body === null) this.#answer?.discard()
    else this.#body.destroy()
  }

  failed (error: Error): void {
    try {
      this.runInAsyncScope(this.#forwarding.failed, this.#forwarding, error)
    } catch {
      // Not even an error can be told, and nobody above us could do anything about it.
      cut(this.#forwarding.client)
    }
  }

  /** Hands over what is there. Returns who is next. */
  settle (): ReplyRecipient | null {
    const before = this.#before
    this.#before = null
    if (this.#answer !== null) this.#hand(this.#answer)
    return before
  }

  #hand (answer: Answer): void {
    if (this.#error !== null) return this.failed(this.#error)
    const { client } = this.#forwarding
    if (isGone(client)) return this.failed(new Error('the client left before its answer could be sent'))
    const { statusCode, headers } = answer
    if (client.stream !== undefined) unrepeat(headers)
    // Node throws at a response that announces trailers and cannot have any, as where a hook reads the answer and sends another.
    const { trailer } = headers
    if (trailer !== undefined) {
      delete headers.trailer
      if (this.#mayTrail()) this.#announced = trailer
    }
    const body = this.#isWhole(answer) ? this.#whole() : this.#stream(answer)
    try {
      this.runInAsyncScope(this.#forwarding.answered, this.#forwarding, statusCode, headers, body)
    } catch (error) {
      // A hook threw, or Node will not send such headers. Nobody above us could tell the client.
      answer.discard()
      this.failed(error as Error)
    }
  }

  /** A Buffer must not bring about headers that the peer did not send, nor replace one. */
  #isWhole ({ headers }: Answer): boolean {
    return this.#ended && !this.#hasTrailers && !this.#forwarding.asStream && this.#announced === null &&
      typeof headers['content-type'] === 'string' && MEDIA_TYPE.test(headers['content-type']) && this.#hasBody()
  }

  #hasBody (): boolean {
    const status = this.#answer?.statusCode
    return this.#forwarding.method !== 'HEAD' && status !== 204 && status !== 304
  }

  /** Trailers go with chunks, and those with an answer whose length was not told. */
  #mayTrail (): boolean {
    return this.#hasBody() && this.#answer?.headers['content-length'] === undefined && this.#forwarding.client.req.httpVersion !== '1.0'
  }

  #whole (): Buffer {
    const first = this.#first ?? NO_BYTES
    return this.#rest === null ? first : Buffer.concat([first, ...this.#rest])
  }

  #stream (answer: Answer): Readable {
    const body = new ResponseBody(answer)
    this.#body = body
    if (this.#first !== null) body.push(this.#first)
    for (const chunk of this.#rest ?? []) body.push(chunk)
    if (this.#hasBody()) this.#flush(this.#first === null)
    this.#first = null
    this.#rest = null
    if (!this.#hasBody()) this.#ended = true
    if (this.#ended) body.push(null)
    else answer.watchBody()
    return body
  }

  /** Node sends headers with the first byte. Where that is not there yet they go ahead, once all hooks are through. */
  #flush (isEmpty: boolean): void {
    const { client } = this.#forwarding
    const announced = this.#announced
    if (announced !== null) client.once('pipe', () => { if (!client.headersSent && !client.hasHeader('content-length')) client.setHeader('trailer', announced) })
    // By HTTP/2 they are a frame of their own in any case; and what is thrown at them there reaches nobody later on.
    if (client.stream !== undefined) client.once('pipe', () => this.#sendHeaders())
    // Trailers go with chunks, and an empty answer would have none.
    else if (isEmpty) client.once('pipe', () => this.#hasTrailers ? this.#sendHeaders() : setImmediate(() => this.#sendHeaders()))
  }

  #sendHeaders (): void {
    const { client } = this.#forwarding
    if (client.headersSent || isGone(client)) return
    try {
      // By HTTP/1 `flushHeaders` would write them as UTF-8.
      if (client.stream === undefined) client.write(NO_BYTES)
      else client.flushHeaders()
    } catch {
      // A hook has set what Node will not send.
      cut(client)
    }
  }

  #sendTrailers (names: string[], trailers: IncomingHttpHeaders): void {
    const allowed = names.filter(name => !NO_TRAILERS.has(name)).map(name => [name, String(trailers[name])])
    this.#forwarding.client.addTrailers(Object.fromEntries(allowed))
  }
}
