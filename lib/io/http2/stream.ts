import type { IncomingHttpHeaders } from 'node:http'
import { constants, type ClientHttp2Session, type ClientHttp2Stream, type IncomingHttpStatusHeader } from 'node:http2'
import type { Readable } from 'node:stream'
import { errors } from 'undici'
import { now } from '../clock.js'
import type { Flow, Passenger } from '../carrier.js'
import { isPassedOn } from '../fields.js'
import type { Ready } from '../http1/request.js'

/** What its connection is told of a stream. */
interface Watch {
  /** Something came from the peer. */
  heard: () => void
  /** It is over, however; told once. */
  ended: () => void
  /** The peer has done nothing with it, and it can be sent again, like this. */
  refused: (ready: Ready) => void
  /** Nothing was written to the connection since the request was begun. */
  isUnsent: () => boolean
  /** The peer has ended the connection for an error: what it says of single streams is not to be relied on. */
  hasFailed: () => boolean
  /** It was given up; `startedAt` is epoch ms. */
  aborted: (startedAt: number) => void
}

type Headers = Record<string, string | string[]>
type Came = IncomingHttpHeaders & IncomingHttpStatusHeader

/** One request by HTTP/2. */
export class Stream implements Flow {
  readonly #watch: Watch
  readonly #startedAt = now()
  /** Null when it has been told the last. */
  #passenger: Passenger | null
  #stream: ClientHttp2Stream | null = null
  #sent = 0
  #isAnswered = false
  /** The peer has said that this was all, which the end of a stream alone does not tell: it also ends when it is reset. */
  #isWhole = false
  #trailers: IncomingHttpHeaders = {}
  #isEnded = false
  /** `close` would tell the peer that an upload is whole before it resets the stream. */
  readonly #abort = new AbortController()

  constructor (passenger: Passenger, watch: Watch) {
    this.#passenger = passenger
    this.#watch = watch
  }

  start (ready: Ready, session: ClientHttp2Session, scheme: string): void {
    const { body, length } = ready
    let stream: ClientHttp2Stream
    try {
      stream = session.request(headersOf(ready, scheme), { endStream: body === null, signal: this.#abort.signal })
    } catch (error) {
      // The session has ended meanwhile, and nothing was sent; or Node will not send such fields, which is no fault of the peer's.
      const { closed, destroyed } = session
      this.#fail(closed || destroyed ? error as Error : new errors.InvalidArgumentError((error as Error).message))
      return this.#end()
    }
    this.#stream = stream
    this.#passenger?.sending(this)
    this.#listen(stream, ready)
    if (Buffer.isBuffer(body)) stream.end(body)
    else if (body !== null) this.#upload(stream, body, length)
  }

  resume (): void {
    this.#stream?.resume()
  }

  abort (): void {
    if (this.#passenger === null) return
    this.#passenger = null
    this.#cancel()
    this.#watch.aborted(this.#startedAt)
  }

  #listen (stream: ClientHttp2Stream, ready: Ready): void {
    this.#watchEnd(stream)
    stream.on('response', (came: Came) => {
      this.#watch.heard()
      this.#isAnswered = true
      this.#passenger?.head(came[':status'] ?? 0, '', passedOn(came))
      // Asked for earlier, what came together with the headers would be told before them.
      this.#read(stream)
    })
    stream.on('error', error => this.#lose(stream, ready, error))
    stream.on('close', () => {
      this.#lose(stream, ready, new errors.SocketError('other side closed'))
      this.#end()
    })
  }

  /** It comes to nothing; but what the peer has done nothing with is sent again. */
  #lose (stream: ClientHttp2Stream, ready: Ready, error: Error): void {
    const isRefused = stream.rstCode === constants.NGHTTP2_REFUSED_STREAM && !this.#watch.hasFailed()
    // Who has begun to answer has not refused.
    const isUndone = !this.#isAnswered && (isRefused || this.#watch.isUnsent())
    const body = isUndone ? this.#passenger?.takeBack(ready.body) : undefined
    if (body === undefined) return this.#fail(error)
    this.#passenger = null
    this.#watch.refused({ ...ready, body })
  }

  #read (stream: ClientHttp2Stream): void {
    stream.on('data', (chunk: Buffer) => {
      this.#watch.heard()
      if (this.#passenger?.data(chunk) === false) stream.pause()
    })
    stream.on('trailers', trailers => { this.#trailers = passedOn(trailers) })
    stream.on('end', () => this.#complete(stream))
  }

  /**
   * Node ends the stream's data when the peer says END_STREAM, and then it is not closed; or when it closes the stream, for
   * whatever reason, and with NO_ERROR that looks the same to who reads.
   */
  #watchEnd (stream: ClientHttp2Stream): void {
    const push = stream.push.bind(stream)
    stream.push = (chunk, encoding) => {
      if (chunk === null && !stream.closed && !stream.destroyed) this.#isWhole = true
      return push(chunk, encoding)
    }
  }

  #complete (stream: ClientHttp2Stream): void {
    const passenger = this.#passenger
    if (passenger === null || !this.#isWhole || !this.#isAnswered) return
    this.#passenger = null
    passenger.end(this.#trailers)
    // What it does not want of the upload is not sent; left alone, such a stream would wait for room for ever.
    if (!stream.writableFinished) this.#cancel()
  }

  #upload (stream: ClientHttp2Stream, body: Readable, length: number | null): void {
    const failed = (error: Error): void => {
      if (stream.writableEnded) return
      this.#fail(error)
      this.#cancel()
    }
    body.on('data', (chunk: Buffer) => {
      if (this.#isEnded || stream.destroyed) return
      this.#sent += chunk.length
      if (length !== null && this.#sent > length) return failed(new errors.RequestContentLengthMismatchError())
      if (!stream.write(chunk)) body.pause()
    })
    body.on('end', () => {
      if (length !== null && this.#sent !== length) failed(new errors.RequestContentLengthMismatchError())
      else stream.end()
    })
    body.on('error', failed)
    body.on('close', () => failed(body.errored ?? new errors.RequestAbortedError()))
    stream.on('drain', () => { body.resume() })
    stream.on('close', () => { body.destroy() })
  }

  #cancel (): void {
    this.#abort.abort()
  }

  #fail (error: Error): void {
    const passenger = this.#passenger
    this.#passenger = null
    passenger?.failed(error)
  }

  #end (): void {
    if (this.#isEnded) return
    this.#isEnded = true
    this.#watch.ended()
  }
}

/** What is no part of the status line that HTTP/2 has among its fields, nor of a connection by HTTP/1. */
function passedOn (came: Came): IncomingHttpHeaders {
  const fields: IncomingHttpHeaders = {}
  for (const name in came) if (name !== '__proto__' && !name.startsWith(':') && isPassedOn(name)) fields[name] = came[name]
  return fields
}

/** The request as HTTP/2 has it: what was the request line are fields, and a connection has no fields of its own. */
function headersOf ({ method, path, host, fields, body, length, expectsBody }: Ready, scheme: string): Headers {
  // A client may call a field like something that every object has.
  const headers: Headers = Object.assign(Object.create(null), { ':method': method, ':path': path, ':scheme': scheme, ':authority': host })
  for (let i = 2; i < fields.length; i += 2) {
    const [name, value] = [fields[i] as string, fields[i + 1] ?? '']
    const before = headers[name]
    headers[name] = before === undefined ? value : [before, value].flat()
  }
  if (length !== null && (body !== null || expectsBody)) headers['content-length'] = String(length)
  return headers
}
