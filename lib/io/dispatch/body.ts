import { IncomingMessage } from 'node:http'
import { Readable } from 'node:stream'
import type { Blob } from 'node:buffer'
import { FormData } from 'undici'
import { BadOptionError } from '../../errors.js'
import { bodyFrom, Upload, type Body } from '../upload.js'

/** A request body, and what ends its source when nobody will read on. */
export interface Given {
  readonly body: Body
  readonly end: () => void
}

/** A FormData, whosever. */
type Entries = Iterable<[string, string | Blob]>

const nothing = (): void => {}

/**
 * A body in any of the forms that undici takes. What can be read only once goes by an upload that keeps the first `limit`
 * bytes; null keeps nothing.
 */
export function given (body: unknown, limit: number | null, clock: () => number): Given {
  if (body === undefined || body === null || typeof body === 'string') return { body: body ?? null, end: nothing }
  if (body instanceof ArrayBuffer) return { body: Buffer.from(body), end: nothing }
  if (ArrayBuffer.isView(body)) return { body: Buffer.from(body.buffer, body.byteOffset, body.byteLength), end: nothing }
  if (typeof body !== 'object') throw unknown(body)
  if (isForm(body)) return { body: ownForm(body), end: nothing }
  if (isBlob(body)) return { body, end: nothing }
  if (body instanceof IncomingMessage) {
    if (body.destroyed) throw new BadOptionError('body', 'a stream that was not read yet', body)
    // Its client has still to be answered: what it goes on sending is the upload's business.
    return { body: bodyFrom(body, limit, clock), end: nothing }
  }
  const source = sourceOf(body)
  return { body: new Upload(source, limit ?? 0, clock), end: () => source.destroy() }
}

function tagOf (body: object): unknown {
  return Symbol.toStringTag in body ? body[Symbol.toStringTag] : undefined
}

function isForm (body: object): body is Entries {
  return tagOf(body) === 'FormData'
}

function isBlob (body: object): body is Blob {
  const tag = tagOf(body)
  return tag === 'Blob' || tag === 'File'
}

/** undici cannot send the form of another undici, such as Node's own. */
function ownForm (form: Entries): FormData {
  if (form instanceof FormData) return form
  const own = new FormData()
  for (const [name, value] of form) own.append(name, value)
  return own
}

function sourceOf (body: object): Readable {
  if (isStream(body)) body.on('error', nothing)
  if (isIterable(body)) return Readable.from(body, { objectMode: false })
  // A stream as of Node's earliest days.
  if (isStream(body)) return new Readable().wrap(body)
  throw unknown(body)
}

function isIterable (body: object): body is AsyncIterable<unknown> {
  return Symbol.asyncIterator in body || Symbol.iterator in body
}

function isStream (body: object): body is NodeJS.ReadableStream {
  return 'pipe' in body && 'on' in body && typeof body.on === 'function'
}

function unknown (body: unknown): Error {
  return new BadOptionError('body', 'a string, bytes, a Blob, a FormData, a stream or an iterable', body)
}
