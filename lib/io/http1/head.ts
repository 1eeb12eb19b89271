import type { IncomingHttpHeaders } from 'node:http'
import { errors } from 'undici'
import { add, isPassedOn, leaveOut } from '../fields.js'
import { LastText, type Bytes } from './text.js'

/**
 * The head of a response by HTTP/1 (RFC 9112), read as strictly as llhttp reads it: what two readers could understand
 * differently is an error. One pass over the bytes; names and values that came before are recognised, not read again.
 */

/** What the bytes of a response are framed by, beside its fields. */
export interface Head {
  status: number
  /** The reason phrase. */
  text: string
  fields: IncomingHttpHeaders
  /** `Content-Length`; -1 for none. */
  length: number
  isChunked: boolean
  /** The peer will take another request on this connection. */
  persists: boolean
  /** How long it will wait for that, ms; null when it does not say. */
  waits: number | null
}

const [HT, LF, CR, SP, COLON] = [9, 10, 13, 32, 58]

/** Which bytes names are made of (RFC 9110, 5.6.2), and which may stand in values and phrases (5.5). */
const isToken = Uint8Array.from({ length: 256 }, (_, byte) => Number(/[\w!#$%&'*+.^`|~-]/.test(String.fromCharCode(byte))))
const isText = Uint8Array.from({ length: 256 }, (_, byte) => Number(byte === HT || (byte >= SP && byte !== 127)))

const DIGITS = /^\d{1,15}$/
const TIMEOUT = /(?:^|[,\s])timeout\s*=\s*"?(\d{1,9})/i

/** Fields that say something of the message or the connection. */
type Role = 'length' | 'coding' | 'connection' | 'patience' | null
const ROLES = new Map<string, Role>([['content-length', 'length'], ['transfer-encoding', 'coding'], ['connection', 'connection'], ['keep-alive', 'patience']])

interface Name {
  readonly text: string
  readonly isPassedOn: boolean
  readonly role: Role
  /** The value that it had last. */
  readonly value: LastText
}

/** Names as peers write them. Bounded: a peer may invent names. */
const known = new Map<string, Name>()
const MOST_NAMES = 1000

function nameOf (sent: string): Name {
  const found = known.get(sent)
  if (found !== undefined) return found
  const text = sent.toLowerCase()
  const name = { text, isPassedOn: isPassedOn(text), role: ROLES.get(text) ?? null, value: new LastText() }
  if (known.size < MOST_NAMES) known.set(sent, name)
  return name
}

/** The names that messages had last, by their position: those of one peer come in the same order, and peers are alike. */
const positions = Array.from({ length: 32 }, () => ({ last: new LastText(), name: nameOf('') }))
const beyond = { last: new LastText(), name: nameOf('') }

/** What the fields of the message that is being read say of it. */
const said: Record<Exclude<Role, null>, string | null> = { length: null, coding: null, connection: null, patience: null }

/** The error for what is not HTTP/1. */
export function garbled (why: string): Error {
  return new errors.HTTPParserError(`Response does not match the HTTP/1.1 protocol (${why})`)
}

/** Reads heads and trailers out of bytes. One for all: nothing of a message stays in it between two calls. */
export class HeadReader {
  /** Where the last call stopped: behind what it read. */
  at = 0
  /** What `head` has read; good until the next call. */
  readonly read: Head = { status: 0, text: '', fields: {}, length: -1, isChunked: false, persists: true, waits: null }
  readonly #line = new LastText()
  #minor = 1

  /** Reads a head into `read`. False when the bytes from `from` to `to` do not hold all of it. Throws HTTPParserError. */
  head (bytes: Buffer, from: number, to: number): boolean {
    if (!this.#statusLine(bytes, from, to)) return false
    const fields = this.#fields(bytes, this.at, to)
    if (fields === null) return false
    this.read.fields = fields
    this.#frame(this.read)
    return true
  }

  /** Reads trailers. Null when the bytes from `from` to `to` do not hold all of them. Throws HTTPParserError. */
  trailers (bytes: Buffer, from: number, to: number): IncomingHttpHeaders | null {
    const fields = this.#fields(bytes, from, to)
    if (fields !== null && (said.length !== null || said.coding !== null)) throw garbled('framing in trailers')
    return fields
  }

  /** The fields up to an empty line that are passed on; null when the bytes end before it. */
  #fields (bytes: Buffer, from: number, to: number): IncomingHttpHeaders | null {
    const fields: IncomingHttpHeaders = {}
    said.length = said.coding = said.connection = said.patience = null
    let at = from
    for (let position = 0; ; position++) {
      if (at + 1 >= to) return null
      if (bytes[at] === CR) {
        if (bytes[at + 1] !== LF) throw garbled('a lone CR')
        this.at = at + 2
        break
      }
      const slot = positions[position] ?? beyond
      let start = at + slot.last.length
      if (start >= to || !slot.last.isAt(bytes, at) || bytes[start] !== COLON) {
        start = endOf(bytes, at, to, isToken)
        if (start === to) return null
        if (start === at || bytes[start] !== COLON) throw garbled('invalid header name')
        slot.name = nameOf(slot.last.read(bytes, at, start))
      }
      const { name } = slot
      do start++; while (bytes[start] === SP || bytes[start] === HT)
      const { value } = name
      let end = start + value.length
      if (end + 1 >= to || !value.isAt(bytes, start) || bytes[end] !== CR) {
        end = endOf(bytes, start, to, isText)
        if (end + 1 >= to) return null
        value.read(bytes, start, trimmed(bytes, start, end))
      }
      if (bytes[end] !== CR || bytes[end + 1] !== LF) throw garbled('invalid header value')
      at = end + 2
      if (name.role !== null) note(name.role, value.text)
      if (name.isPassedOn) add(fields, name.text, value.text)
    }
    if (said.connection !== null && said.connection !== 'keep-alive') leaveOut(fields, said.connection)
    return fields
  }

  /** `HTTP/1.x SP 3DIGIT [SP phrase] CRLF` */
  #statusLine (bytes: Buffer, from: number, to: number): boolean {
    const line = this.#line
    let end = from + line.length
    if (end + 1 < to && line.isAt(bytes, from) && bytes[end] === CR && bytes[end + 1] === LF) {
      this.at = end + 2
      return true
    }
    end = endOf(bytes, from, to, isText)
    const text = (bytes as Bytes).latin1Slice(from, Math.min(end, from + 13))
    const [, minor, status] = /^HTTP\/1\.([01]) ([1-9]\d\d)(?: |$)/.exec(text) ?? []
    // What begins like something else need not be waited for.
    if (end + 1 >= to && (text.length < 13 ? 'HTTP/1.'.startsWith(text.slice(0, 7)) : status !== undefined)) return false
    if (status === undefined || bytes[end] !== CR || bytes[end + 1] !== LF) throw garbled('invalid status line')
    line.read(bytes, from, end)
    this.#minor = Number(minor)
    this.read.status = Number(status)
    this.read.text = line.text.slice(13)
    this.at = end + 2
    return true
  }

  /** How long the message is, and what becomes of the connection (RFC 9112, 6 and 9.3). */
  #frame (head: Head): void {
    const { length, coding, connection, patience } = said
    if (length !== null && coding !== null) throw garbled('Content-Length and Transfer-Encoding')
    if (length !== null && !DIGITS.test(length)) throw garbled('invalid Content-Length')
    // What was coded otherwise as well cannot be passed on without saying so.
    if (coding !== null && coding.toLowerCase() !== 'chunked') throw garbled('unsupported Transfer-Encoding')
    if (coding !== null && this.#minor === 0) throw garbled('Transfer-Encoding by HTTP/1.0')
    head.length = length === null ? -1 : Number(length)
    head.isChunked = coding !== null
    head.persists = connection === null || connection === 'keep-alive' ? this.#minor === 1 || connection !== null : persists(connection, this.#minor)
    head.waits = patience === null ? null : waits(patience)
  }
}

function note (role: Exclude<Role, null>, value: string): void {
  const before = said[role]
  // Two lengths, even of one mind, are llhttp's error as well.
  if (before !== null && role === 'length') throw garbled('two Content-Lengths')
  said[role] = before === null ? value : `${before},${value}`
}

function persists (connection: string, minor: number): boolean {
  const tokens = connection.toLowerCase().split(',').map(token => token.trim())
  return !tokens.includes('close') && (minor === 1 || tokens.includes('keep-alive'))
}

function waits (patience: string): number | null {
  const [, seconds] = TIMEOUT.exec(patience) ?? []
  return seconds === undefined ? null : Number(seconds) * 1000
}

/** The end of a run of allowed bytes; `to` when it does not end before. */
function endOf (bytes: Buffer, from: number, to: number, allowed: Uint8Array): number {
  let at = from
  while (at < to && allowed[bytes[at] as number] === 1) at++
  return at
}

/** Without white space at its end. */
function trimmed (bytes: Buffer, start: number, end: number): number {
  while (end > start && (bytes[end - 1] === SP || bytes[end - 1] === HT)) end--
  return end
}
