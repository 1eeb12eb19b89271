import { bytesOf, type Script } from '../fixtures/raw.js'

export type Header = readonly [name: string, value: string]
export type Body = Buffer | string

/** What a client says. */
export interface Asked {
  /** GET unless said. */
  method?: string
  /** `/x` unless said. */
  target?: string
  /** `1.1` unless said. */
  version?: string
  headers?: readonly Header[]
  body?: Body
  /** Each goes in a chunk of its own, instead of `body`. */
  chunks?: readonly Body[]
  trailers?: readonly Header[]
}

/** What the peer answers. */
export interface Answered {
  /** Code and phrase, `200 OK` unless said. */
  status?: string
  /** Plain text unless said. */
  headers?: readonly Header[]
  body?: Body
  /** How the end of the body is told; `bare` adds nothing. `length` unless said. */
  framing?: 'length' | 'chunked' | 'close' | 'bare'
  trailers?: readonly Header[]
  /** 1xx answers before it, as bytes. */
  interim?: string
  /** ms between head and body; all in one write unless said. */
  pause?: number
  /** These bytes and nothing else. */
  bytes?: string
}

/** A request and its answer, as parts and as bytes. */
export interface Exchanged {
  readonly name: string
  readonly asked: Asked
  readonly answered: Answered
  readonly request: Script
  readonly answer: Script
  /** What the peer does with the connection after its answer. */
  readonly after: 'keep' | 'end' | 'reset'
}

const CRLF = '\r\n'
const fields = (headers: readonly Header[]): string => headers.map(([name, value]) => `${name}: ${value}${CRLF}`).join('')
const chunk = (body: Body): Buffer => Buffer.concat([Buffer.from(`${bytesOf(body).length.toString(16)}\r\n`), bytesOf(body), Buffer.from(CRLF)])

function requestOf ({ method = 'GET', target = '/x', version = '1.1', headers = [], body, chunks, trailers = [] }: Asked): Buffer {
  const framing: Header[] = chunks !== undefined ? [['Transfer-Encoding', 'chunked']] : body === undefined ? [] : [['Content-Length', String(bytesOf(body).length)]]
  const head = `${method} ${target} HTTP/${version}${CRLF}${fields([['Host', 'client.example'], ...headers, ...framing])}${CRLF}`
  const end = chunks === undefined ? [bytesOf(body ?? '')] : [...chunks.map(chunk), bytesOf(`0${CRLF}${fields(trailers)}${CRLF}`)]
  return Buffer.concat([bytesOf(head), ...end])
}

function answerOf ({ status = '200 OK', headers = [['content-type', 'text/plain']], body = '', framing = 'length', trailers = [], interim = '', pause, bytes }: Answered): Script {
  if (bytes !== undefined) return bytes
  const told: Record<string, Header[]> = { length: [['content-length', String(bytesOf(body).length)]], chunked: [['transfer-encoding', 'chunked']] }
  const head = bytesOf(`${interim}HTTP/1.1 ${status}${CRLF}${fields([...headers, ...told[framing] ?? []])}${CRLF}`)
  const rest = framing === 'chunked' ? Buffer.concat([body.length === 0 ? bytesOf('') : chunk(body), bytesOf(`0${CRLF}${fields(trailers)}${CRLF}`)]) : bytesOf(body)
  return pause === undefined ? Buffer.concat([head, rest]) : [head, pause, rest]
}

/** Puts an exchange together. A body that is told by the connection's end ends it. */
export function exchange (name: string, asked: Asked = {}, answered: Answered = { body: 'ok' }, after: Exchanged['after'] = answered.framing === 'close' ? 'end' : 'keep'): Exchanged {
  return { name, asked, answered, request: requestOf(asked), answer: answerOf(answered), after }
}
