import { Readable } from 'node:stream'
import { errors } from 'undici'
import type { Fields } from '../../picker/forwarding.js'
import type { Outbound } from '../carrier.js'

/** A request by HTTP/1 (RFC 9112), ready to be written. */
export interface Ready {
  readonly method: string
  readonly path: string
  readonly host: string
  /** As they were given, all of them good; the Host's are the first two. */
  readonly fields: Fields
  /** The request line and all fields but for what frames the body, each with its line end. */
  readonly head: string
  readonly body: Buffer | Readable | null
  /** Of the body, in bytes; null when it is not known, or when there is none and nobody expects one. */
  readonly length: number | null
  /** Its answer has no body, whatever it says. */
  readonly isHead: boolean
  /** A body is what this method is about. Others send theirs on a connection that takes no further request: a peer may not read it. */
  readonly expectsBody: boolean
}

const TOKEN = /^[\w!#$%&'*+.^`|~-]+$/
const NO_TARGET = /[^\x21-\x7e\x80-\xff]/
const NO_VALUE = /[^\t\x20-\x7e\x80-\xff]/
const DIGITS = /^\d+$/

const EXPECT_BODY: ReadonlySet<string> = new Set(['PUT', 'POST', 'PATCH', 'QUERY', 'PROPFIND', 'PROPPATCH'])
/** Of these a length that is announced wrongly goes unnoticed. */
const NO_LENGTH: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'CONNECT'])
/** Names in lower case that a connection sets itself. */
const OURS: ReadonlySet<string> = new Set(['transfer-encoding', 'keep-alive', 'upgrade', 'connection'])

/**
 * Writes a request down. Throws undici's errors for what must not be sent: a target or a field that would be read as
 * several, a length that is not the body's.
 */
export function prepare ({ method, path, fields, body }: Outbound): Ready {
  if (!TOKEN.test(method)) throw new errors.InvalidArgumentError('invalid request method')
  if (path[0] !== '/' || NO_TARGET.test(path)) throw new errors.InvalidArgumentError('invalid request path')
  const isHead = method === 'HEAD'
  const expectsBody = EXPECT_BODY.has(method)
  let announced: number | null = null
  const bytes = typeof body === 'string' ? Buffer.from(body) : body
  if (bytes !== null && !(bytes instanceof Readable) && !Buffer.isBuffer(bytes)) throw new errors.InvalidArgumentError('invalid request body')
  const host = value('host', fields[1])
  // The Host comes first, and the answer to HEAD may be followed by a body from peers that know no better.
  let head = `${method} ${path} HTTP/1.1\r\nhost: ${host}\r\nconnection: ${isHead ? 'close' : 'keep-alive'}\r\n`
  for (let i = 2; i < fields.length; i += 2) {
    const name = fields[i] as string
    const values = fields[i + 1]
    if (name === 'content-length') {
      if (announced !== null) throw new errors.InvalidArgumentError('duplicate content-length header')
      announced = lengthOf(values)
      continue
    }
    checkName(name)
    if (Array.isArray(values)) for (const one of values) head += `${name}: ${value(name, one)}\r\n`
    else head += `${name}: ${value(name, values)}\r\n`
  }
  if (bytes instanceof Readable) return { method, path, host, fields, head, body: bytes, length: announced, isHead, expectsBody }
  const length = bytes === null ? 0 : bytes.length
  if (length > 0 && announced !== null && announced !== length && !NO_LENGTH.has(method)) throw new errors.RequestContentLengthMismatchError()
  return { method, path, host, fields, head, body: length === 0 ? null : bytes, length: length === 0 && !expectsBody ? null : length, isHead, expectsBody }
}

/** What was checked before is not checked again: almost all requests have the same names. Bounded: clients may invent some. */
const goodNames = new Set<string>()
const MOST_NAMES = 1000

function checkName (name: string): void {
  if (goodNames.has(name)) return
  if (name === 'expect') throw new errors.NotSupportedError('expect header not supported')
  if (!TOKEN.test(name) || OURS.has(name) || name === 'host') throw new errors.InvalidArgumentError(`invalid ${name} header`)
  if (goodNames.size < MOST_NAMES) goodNames.add(name)
}

function value (name: string, text: string | string[] | undefined): string {
  if (typeof text !== 'string' || NO_VALUE.test(text)) throw new errors.InvalidArgumentError(`invalid ${name} header`)
  return text
}

function lengthOf (text: string | string[] | undefined): number {
  if (typeof text !== 'string' || !DIGITS.test(text)) throw new errors.InvalidArgumentError('invalid content-length header')
  return Number(text)
}
