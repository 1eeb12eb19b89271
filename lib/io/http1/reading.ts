import type { Socket } from 'node:net'

/** What is told that bytes have come. */
export interface Reader {
  /** The first `length` bytes of `bytes`. Returns whether to read on. */
  received: (bytes: Buffer, length: number) => boolean
  /** Where it reads to from now on; null for where all do. */
  readonly own: Buffer<ArrayBuffer> | null
}

export const SIZE = 65_536

const READER = Symbol('fastify-upstream-etcd.reader')
type Read = Socket & { [READER]?: Reader }

/**
 * Where connections read to: what was read is used up before the next one reads. Node would otherwise allocate 64 KiB for
 * each answer, and go by a stream and its events.
 */
const shared = Buffer.allocUnsafeSlow(SIZE)
/** For the next read of the socket that was read last. */
let next: Buffer<ArrayBuffer> = shared

/** How `net.connect` and `tls.connect` are told to read (`onread`). */
export const onread = {
  // Node asks when a socket is made, and after each read.
  buffer: (): Buffer<ArrayBuffer> => {
    const given = next
    next = shared
    return given
  },
  callback (this: Read, length: number, bytes: Buffer): boolean {
    const reader = this[READER]
    if (reader === undefined) return true
    const goesOn = reader.received(bytes, length)
    next = reader.own ?? shared
    return goesOn
  }
}

/** From now on `reader` is told what comes, also on a socket that was made without `onread`. */
export function readFor (socket: Socket, reader: Reader): void {
  (socket as Read)[READER] = reader
  // Never told on one that was made with it.
  socket.on('data', (chunk: Buffer) => { if (!reader.received(chunk, chunk.length)) socket.pause() })
}
