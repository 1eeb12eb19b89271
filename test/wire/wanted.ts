/**
 * Where we differ from bare @fastify/reply-from on purpose. Each difference says in one sentence what is different and
 * why. It is told either by the exchange that bare has to be given to do what ours does (`as`), or by what has to be
 * changed in what bare did (`change`). Everything that is not here must be the same to the byte.
 */
import { exchange, type Asked, type Exchanged, type Header } from './exchange.js'
import type { Observed, Seen } from './observe.js'

export interface Wanted {
  readonly what: string
  readonly reason: string
  /** Which exchanges show it. */
  readonly concerns: (exchanged: Exchanged) => boolean
  /** Bare does this when given that instead. */
  readonly as?: (exchanged: Exchanged) => Exchanged
  /** Ours did this when bare did that. */
  readonly change?: (observed: Observed, exchanged: Exchanged) => Observed
}

const has = (headers: readonly Header[] | undefined, names: readonly string[]): boolean =>
  headers?.some(([name]) => names.includes(name.toLowerCase())) === true

const hasMediaType = (headers: readonly Header[]): boolean => {
  const types = headers.filter(([name]) => name.toLowerCase() === 'content-type')
  return types.length === 1 && types[0]?.[1].includes('/') === true
}

const drop = (headers: readonly Header[] | undefined, names: readonly string[]): readonly Header[] =>
  (headers ?? [['content-type', 'text/plain']]).filter(([name]) => !names.includes(name.toLowerCase()))

const asking = ({ name, asked, answered, after }: Exchanged, other: Asked): Exchanged => exchange(name, { ...asked, ...other }, answered, after)

/** The answer that Fastify makes of an error, in place of whatever bare answered. */
function refused (observed: Observed, status: string, body: object): Observed {
  const text = JSON.stringify(body)
  const headers: Seen['headers'] = [['content-type', 'application/json; charset=utf-8'], ['content-length', String(text.length)], ['Date', 'now'], ['Connection', 'keep-alive'], ['Keep-Alive', 'timeout=72']]
  return { ...observed, complete: true, atClient: [{ line: `HTTP/1.1 ${status}`, headers, framing: 'length', body: text, trailers: [] }] }
}

const OF_THE_CONNECTION = ['keep-alive', 'proxy-connection', 'te', 'trailer', 'upgrade', 'http2-settings']
const OF_THE_ANSWERS_CONNECTION = ['connection', 'keep-alive', 'proxy-connection', 'upgrade', 'te']
const DOTS = /(?:^|[/?]|%2f)(?:\.|%2e){2}|(?:\.|%2e){2}(?:\/|%2f)/i
/** Whole URLs of the host that Host names. */
const WHOLE = /^https?:\/\/client\.example(?:[/?]|$)/
const NOT_FORWARDED = { statusCode: 400, error: 'Bad Request', message: 'the request cannot be forwarded' }
const pathOf = (target = ''): string => target.split('?', 1)[0] ?? ''
const namedBy = (headers: readonly Header[] = []): string[] => headers.filter(([name]) => name === 'connection').map(([, value]) => value.toLowerCase())
const isBodied = ({ body = '', chunks }: Asked): boolean => body.length > 0 || (chunks?.length ?? 0) > 0

/** Changes every message that a side saw. */
const each = (messages: Seen[], change: (message: Seen) => Partial<Seen>): Seen[] => messages.map(message => ({ ...message, ...change(message) }))

export const wanted: readonly Wanted[] = [
  {
    what: 'Request headers that belong to the connection (Keep-Alive, Proxy-Connection, TE, Trailer, Upgrade, HTTP2-Settings) are not passed on.',
    reason: 'RFC 9110, 7.6.1. Bare passes some of them on and answers 500 to others.',
    concerns: ({ asked }) => has(asked.headers, OF_THE_CONNECTION) && !has(asked.headers, ['connection']),
    as: exchanged => asking(exchanged, { headers: drop(exchanged.asked.headers, OF_THE_CONNECTION) })
  },
  {
    what: 'A request with Expect: 100-continue is forwarded, without that header.',
    reason: 'The gateway has told the client to go on by then. Bare answers 500.',
    concerns: ({ asked }) => has(asked.headers, ['expect']),
    as: exchanged => asking(exchanged, { headers: drop(exchanged.asked.headers, ['expect']) }),
    change: observed => ({ ...observed, interim: [{ line: 'HTTP/1.1 100 Continue', headers: [], framing: 'none', body: '', trailers: [] }] })
  },
  {
    what: 'Response headers that belong to the connection (Connection and those it names, Keep-Alive, Proxy-Connection, Upgrade, TE) are not passed on.',
    reason: 'RFC 9110, 7.6.1. What a peer says of its connection to the gateway would end the client\'s connection to the gateway.',
    concerns: ({ answered }) => has(answered.headers, OF_THE_ANSWERS_CONNECTION),
    as: ({ name, asked, answered, after }) => exchange(name, asked, { ...answered, headers: drop(answered.headers, [...OF_THE_ANSWERS_CONNECTION, ...namedBy(answered.headers)]) }, after)
  },
  {
    what: 'A request whose target is a whole URL is forwarded by its path.',
    reason: 'RFC 9112, 3.2.2: a server must accept it. Bare answers 500.',
    concerns: ({ asked }) => WHOLE.test(asked.target ?? ''),
    as: exchanged => asking(exchanged, { target: exchanged.asked.target?.replace(/^https?:\/\/[^/?]*/, '').replace(/^(?!\/)/, '/') ?? '/' })
  },
  {
    what: 'A request whose target is a whole URL of another host than Host names is refused with 400.',
    reason: 'RFC 9112, 3.2.2: the URL would have to replace Host, by which the request was routed. Bare answers 500.',
    concerns: ({ asked }) => /^https?:/.test(asked.target ?? '') && !WHOLE.test(asked.target ?? ''),
    change: observed => refused({ ...observed, atPeer: [] }, '400 Bad Request', NOT_FORWARDED)
  },
  {
    what: 'A path with a backslash is refused with 400.',
    reason: 'URL parsers take a backslash for a slash, after reply-from has looked for "..". Bare forwards it as a slash.',
    concerns: ({ asked }) => pathOf(asked.target).includes('\\'),
    change: observed => refused({ ...observed, atPeer: [] }, '400 Bad Request', NOT_FORWARDED)
  },
  {
    what: 'The refusal of a path with ".." is worded otherwise.',
    reason: 'One sentence for every path that is not forwarded.',
    concerns: ({ asked }) => DOTS.test(pathOf(asked.target)),
    change: observed => refused(observed, '400 Bad Request', NOT_FORWARDED)
  },
  {
    what: 'A GET that is answered 503 is not sent to the same peer again.',
    reason: 'Bare repeats it up to ten times, and takes Retry-After for milliseconds. Ours repeats on other peers, as `retry` says.',
    concerns: ({ asked, answered }) => answered.status?.startsWith('503') === true && (asked.method ?? 'GET') === 'GET',
    change: observed => ({ ...observed, atPeer: observed.atPeer.slice(0, 1) })
  },
  {
    what: 'A peer that breaks off before its answer, or answers what is not HTTP, is a 502 with a code of ours.',
    reason: 'Bare answers 500 and tells the client what undici said.',
    concerns: ({ answered: { bytes, status, interim } }) => bytes !== undefined || status === 'banana' || status?.startsWith('700') === true || interim?.includes(' 100 ') === true,
    change: observed => refused(observed, '502 Bad Gateway', { statusCode: 502, code: 'FST_UPSTREAM_RESET', error: 'Bad Gateway', message: 'connection to a peer of service "all" was reset' })
  },
  {
    what: 'An answer that turns out to be garbage before any of it went to the client is a 502.',
    reason: 'The client can be told by then. Bare has already sent the headers, and cuts the connection.',
    concerns: ({ answered: { framing, trailers, pause } }) => framing === 'chunked' && pause === undefined && has(trailers, ['content-length', 'transfer-encoding']),
    change: observed => refused(observed, '502 Bad Gateway', { statusCode: 502, code: 'FST_UPSTREAM_RESET', error: 'Bad Gateway', message: 'connection to a peer of service "all" was reset' })
  },
  {
    what: 'TRACE is not forwarded.',
    reason: 'It would show clients the headers that gateways add. Who wants it names it in `methods`.',
    concerns: ({ asked }) => asked.method === 'TRACE',
    change: observed => refused({ ...observed, atPeer: [] }, '404 Not Found', { message: 'Route TRACE:/x not found', error: 'Not Found', statusCode: 404 })
  },
  {
    what: 'The path goes on byte for byte.',
    reason: 'Signatures cover it. Bare sends what a URL parser makes of it: dot segments taken out, some characters escaped.',
    concerns: ({ asked: { target = '' } }) => /\/(?:\.|%2e)(?:\/|$)|["<>`{}]/i.test(pathOf(target)) && !DOTS.test(pathOf(target)),
    change: (observed, { asked: { method = 'GET', target = '' } }) => ({ ...observed, atPeer: each(observed.atPeer, () => ({ line: `${method} ${target} HTTP/1.1` })) })
  },
  {
    what: 'A fragment is cut off behind a query too.',
    reason: 'It is no part of a request (RFC 9110, 7.1). Bare cuts it off paths only.',
    concerns: ({ asked: { target = '' } }) => /\?[^#]*#/.test(target),
    as: exchanged => asking(exchanged, { target: exchanged.asked.target?.replace(/#.*/, '') ?? '/' })
  },
  {
    what: 'The body of a GET or HEAD goes on.',
    reason: 'Search engines and GraphQL servers read it. Bare drops it and says nothing.',
    concerns: ({ asked }) => isBodied(asked) && /^(?:GET|HEAD)$/.test(asked.method ?? 'GET'),
    change: (observed, { asked: { body, chunks } }) => ({
      ...observed,
      atPeer: each(observed.atPeer, ({ headers }) => chunks === undefined
        ? { framing: 'length', body: String(body), headers: [...headers, ['content-length', String(body?.length)]] }
        : { framing: 'chunked', body: chunks.join(''), headers: [...headers, ['transfer-encoding', 'chunked']] })
    })
  },
  {
    what: 'A chunked request body stays chunked.',
    reason: 'It went on as it came. Bare measures it when all of it is there before it is sent, which depends on the time.',
    concerns: ({ asked: { method = 'GET', chunks = [] } }) => !/^(?:GET|HEAD)$/.test(method) && chunks.length > 0 && chunks.join('').length < 40_000,
    change: observed => ({ ...observed, atPeer: each(observed.atPeer, ({ headers }) => ({ framing: 'chunked', headers: [...headers.filter(([name]) => name !== 'content-length'), ['transfer-encoding', 'chunked']] })) })
  },
  {
    what: 'A chunked answer that came whole at once has a Content-Length instead.',
    reason: 'It is handed on as one Buffer, which costs a third less CPU. So it is only where the peer said one content-type that Fastify understands.',
    concerns: ({ asked: { method = 'GET' }, answered: { framing, headers = [['content-type', 'text/plain']], body = '', pause, trailers } }) =>
      framing === 'chunked' && pause === undefined && body.length < 40_000 && method !== 'HEAD' && hasMediaType(headers) && !has(headers, ['trailer']) && (trailers ?? []).length === 0,
    as: ({ name, asked, answered, after }) => exchange(name, asked, { ...answered, framing: 'length' }, after)
  },
  {
    what: 'Trailers of an answer are passed on.',
    reason: 'They are part of the message (RFC 9110, 6.5). Bare drops them.',
    concerns: ({ answered: { trailers = [] } }) => trailers.length > 0 && !has(trailers, ['content-length']),
    change: (observed, { answered: { trailers = [] } }) => ({
      ...observed,
      // They go with chunks, also where there is no body.
      atClient: each(observed.atClient, ({ headers }) => ({
        framing: 'chunked',
        headers: headers.map(([name, value]) => name.toLowerCase() === 'content-length' ? ['Transfer-Encoding', 'chunked'] : [name, value]),
        trailers: trailers.map(([name, value]) => [name.toLowerCase(), value])
      }))
    })
  },
  {
    what: 'An answer without a body, told by the end of the connection, is an empty chunked one.',
    reason: 'Headers go on as soon as they are there, before it is known that nothing follows.',
    concerns: ({ answered: { framing, body = '' } }) => framing === 'close' && body.length === 0,
    change: observed => ({
      ...observed,
      atClient: each(observed.atClient, ({ headers }) => ({ framing: 'chunked', headers: [...headers.filter(([name]) => name !== 'Content-Length'), ['Transfer-Encoding', 'chunked']] }))
    })
  },
  {
    what: 'A 304 that says how long the body would have been is passed on.',
    reason: 'RFC 9110, 15.4.5 allows it. Bare answers 500.',
    concerns: ({ asked: { method = 'GET' }, answered: { status = '', headers } }) => status.startsWith('304') && has(headers, ['content-length']) && method === 'GET',
    change: (observed, { answered: { status, headers = [] } }) => ({
      ...observed,
      atClient: each(observed.atClient, ({ headers: old }) => ({ line: `HTTP/1.1 ${status}`, framing: 'none', body: '', headers: [...headers, ...old.filter(([name]) => /^(?:Date|Connection|Keep-Alive)$/.test(name))] }))
    })
  }
]
