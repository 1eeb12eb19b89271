import type { Socket } from 'node:net'
import type { Readable } from 'node:stream'
import { errors } from 'undici'
import type { Ready } from './request.js'

/**
 * Writes a body that streams, as fast as the peer takes it. The head goes with its first bytes: as long as the client
 * sends nothing, nothing is sent, and another peer may be asked instead.
 */
export class UploadWriter {
  readonly #socket: Socket
  readonly #body: Readable
  readonly #ready: Ready
  readonly #ended: (error: Error | null) => void
  #written = 0
  #isOver = false
  readonly #onData = (chunk: Buffer): void => this.#write(chunk)
  readonly #onEnd = (): void => this.#end()
  readonly #onError = (error: Error): void => this.#finish(error)
  readonly #onClose = (): void => this.#finish(this.#body.errored ?? new errors.RequestAbortedError())
  readonly #onDrain = (): void => { this.#body.resume() }

  /** `ended` is told once: null when all is written, or why that will not be. */
  constructor (socket: Socket, body: Readable, ready: Ready, ended: (error: Error | null) => void) {
    this.#socket = socket
    this.#body = body
    this.#ready = ready
    this.#ended = ended
    if (body.destroyed) {
      setImmediate(this.#onClose)
      return
    }
    body.on('data', this.#onData).on('end', this.#onEnd).on('error', this.#onError).on('close', this.#onClose)
    socket.on('drain', this.#onDrain)
  }

  /** Whether anything was sent of this request, its head included. */
  get hasBegun (): boolean {
    return this.#written > 0
  }

  /** Nothing more of it will be sent. */
  stop (): void {
    if (this.#isOver) return
    this.#leave()
    this.#body.destroy()
  }

  #write (chunk: Buffer): void {
    const { length, head } = this.#ready
    if (chunk.length === 0) return
    if (length !== null && this.#written + chunk.length > length) return this.#finish(new errors.RequestContentLengthMismatchError())
    const socket = this.#socket
    socket.cork()
    if (this.#written === 0) socket.write(length === null ? `${head}transfer-encoding: chunked\r\n` : `${head}content-length: ${length}\r\n\r\n`, 'latin1')
    if (length === null) socket.write(`\r\n${chunk.length.toString(16)}\r\n`, 'latin1')
    this.#written += chunk.length
    const hasRoom = socket.write(chunk)
    socket.uncork()
    if (!hasRoom) this.#body.pause()
  }

  #end (): void {
    const { length, head, expectsBody } = this.#ready
    if (length !== null && this.#written !== length) return this.#finish(new errors.RequestContentLengthMismatchError())
    if (this.#written === 0) this.#socket.write(expectsBody ? `${head}content-length: 0\r\n\r\n` : `${head}\r\n`, 'latin1')
    else if (length === null) this.#socket.write('\r\n0\r\n\r\n', 'latin1')
    this.#finish(null)
  }

  #finish (error: Error | null): void {
    if (this.#isOver) return
    this.#leave()
    if (error !== null) this.#body.destroy()
    this.#ended(error)
  }

  #leave (): void {
    this.#isOver = true
    this.#body.off('data', this.#onData).off('end', this.#onEnd).off('error', this.#onError).off('close', this.#onClose)
    this.#socket.off('drain', this.#onDrain)
  }
}
