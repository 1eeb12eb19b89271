import { IncomingMessage } from 'node:http'
import { Readable } from 'node:stream'
import type { Blob } from 'node:buffer'
import type { FormData } from 'undici'
import { BadOptionError } from '../../errors.js'
import { bodyFrom, Upload, type Body } from '../upload.js'

/** A request body, and what ends its source when nobody will read on. */
export interface Given {
  readonly body: Body
  readonly end: () => void
}

const nothing = (): void => {}

/**
 * A body in any of the forms that undici takes. What can be read only once goes by an upload that keeps the first `limit`
 * bytes; null keeps nothing.
 */
export function given (body: unknown, limit: number | null, clock: () => number): Given {
  if (body === undefined || body === null || typeof body === 'string') return { body: body ?? null, end: nothing }
  if (body instanceof ArrayBuffer) return { body: Buffer.from(body), end: nothing }
  if (ArrayBuffer.isView(body)) return { body: Buffer.from(body.buffer, body.byteOffset, body.byteLength), end: nothing }
  if (isRepeatable(body)) return { body, end: nothing }
  if (body instanceof IncomingMessage) {
    if (body.destroyed) throw new BadOptionError('body', 'a stream that was not read yet', body)
    // Its client has still to be answered: what it goes on sending is the upload's business.
    return { body: bodyFrom(body, limit, clock), end: nothing }
  }
  const source = sourceOf(body)
  return { body: new Upload(source, limit ?? 0, clock), end: () => source.destroy() }
}

/** What undici can read as often as it likes. */
function isRepeatable (body: object): body is Blob | FormData {
  const tag: unknown = Symbol.toStringTag in body ? body[Symbol.toStringTag] : undefined
  return tag === 'Blob' || tag === 'File' || tag === 'FormData'
}

function sourceOf (body: unknown): Readable {
  if (isStream(body)) body.on('error', nothing)
  if (isIterable(body)) return Readable.from(body, { objectMode: false })
  // A stream as of Node's earliest days.
  if (isStream(body)) return new Readable().wrap(body)
  throw new BadOptionError('body', 'a string, bytes, a Blob, a FormData, a stream or an iterable', body)
}

function isIterable (body: unknown): body is AsyncIterable<unknown> {
  return typeof body === 'object' && body !== null && (Symbol.asyncIterator in body || Symbol.iterator in body)
}

function isStream (body: unknown): body is NodeJS.ReadableStream {
  return typeof body === 'object' && body !== null && 'pipe' in body && 'on' in body && typeof body.on === 'function'
}
