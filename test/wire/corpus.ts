import fc from 'fast-check'
import { exchange, type Answered, type Asked, type Exchanged, type Header } from './exchange.js'
import { BODIES, BODILESS, ctype, FRAMINGS, KIB, METHODS, REQUEST_HEADERS, RESPONSE_HEADERS, STATUSES, TARGETS } from './parts.js'

const without = (status: string): Answered => ({ status, headers: [], body: '' })

function * picked (): Generator<Exchanged> {
  for (const method of [...METHODS, 'TRACE']) yield exchange(`method ${method}`, { method }, method === 'HEAD' ? { framing: 'bare' } : { body: 'ok' })
  for (const target of TARGETS) yield exchange(`target ${target.slice(0, 40)}`, { target })
  for (const [name, ...headers] of REQUEST_HEADERS) yield exchange(`request headers: ${name}`, { headers })
  yield exchange('HTTP/1.0', { version: '1.0' })
  yield exchange('HTTP/1.0, keep-alive, chunked answer', { version: '1.0', headers: [['connection', 'keep-alive']] }, { body: 'ok', framing: 'chunked' })
  for (const [name, asked] of BODIES) {
    for (const method of ['GET', 'POST', 'PUT', 'DELETE', 'OPTIONS', 'HEAD'] as const) {
      if (method === 'POST' || /^(?:none|empty|small|chunked|chunked, empty|of no type|expected)$/.test(name)) yield exchange(`${method}, body ${name}`, { ...asked, method }, method === 'HEAD' ? { framing: 'bare' } : { body: 'ok' })
    }
  }
  for (const status of STATUSES) {
    yield exchange(`status ${status}`, {}, { status, body: 'told' })
    yield exchange(`status ${status}, empty, to POST`, { method: 'POST', body: 'x' }, without(status))
  }
  for (const [name, ...headers] of RESPONSE_HEADERS) {
    yield exchange(`response headers: ${name}`, {}, { headers, body: 'ok' })
    yield exchange(`response headers, chunked: ${name}`, {}, { headers, body: 'ok', framing: 'chunked' })
  }
  for (const [name, answered, after] of FRAMINGS) yield exchange(`framing: ${name}`, {}, answered, after)
  for (const [name, answered, after] of FRAMINGS) if (!/MiB/.test(name)) yield exchange(`framing: ${name}, to POST`, { method: 'POST', body: 'x', headers: ctype('text/plain') }, answered, after)
  for (const [name, method, answered] of BODILESS) yield exchange(`bodiless: ${name}`, { method }, answered)
}

const segment = fc.string({ unit: fc.constantFrom(...'aZ09-._~!$&\'()*+,;=:@'), minLength: 1, maxLength: 8 }).filter(text => !/^\.{1,2}$/.test(text))
const escaped = fc.integer({ min: 0x20, max: 0x7f }).filter(byte => byte !== 0x2e && byte !== 0x5c).map(byte => `%${byte.toString(16).padStart(2, '0')}`)
const path = fc.array(fc.oneof(segment, escaped.map(text => `x${text}`), escaped.map(text => `${text.toUpperCase()}y`)), { maxLength: 4 }).map(parts => `/${parts.join('/')}`)
const query = fc.option(fc.string({ unit: fc.constantFrom(...'ab=&+%?/:@;,.[]~'), maxLength: 12 }), { nil: undefined })
const name = fc.string({ unit: fc.constantFrom(...'abcXYZ019-_.'), minLength: 1, maxLength: 10 }).map(text => `x-${text}`)
const value = fc.string({ unit: fc.constantFrom(...'abcXYZ 019-_,;="\t\xe9\xff'), maxLength: 20 }).map(text => text.trim())
const headerList = fc.array(fc.tuple(name, value), { maxLength: 6 })
const body = fc.oneof(fc.uint8Array({ maxLength: 200 }).map(bytes => Buffer.from(bytes)), fc.constant(KIB))

const random = fc.record({
  method: fc.constantFrom(...METHODS),
  path,
  query,
  asked: headerList,
  sent: fc.record({ body, chunked: fc.boolean(), typed: fc.boolean() }),
  // Bare reply-from repeats a GET after 503 for half a second.
  status: fc.constantFrom(...STATUSES.filter(status => !status.startsWith('503'))),
  told: headerList,
  answer: fc.record({ body, framing: fc.constantFrom('length', 'chunked', 'close'), typed: fc.boolean() })
}).map(({ method, path, query, asked, sent, status, told, answer }) => {
  const hasBody = method === 'POST' || method === 'PUT' || method === 'PATCH'
  const headers: Header[] = [...asked, ...(sent.typed && hasBody ? ctype('application/octet-stream') : [])]
  const request: Asked = { method, target: path + (query === undefined ? '' : `?${query}`), headers, ...(hasBody && (sent.chunked ? { chunks: [sent.body].filter(({ length }) => length > 0) } : { body: sent.body })) }
  const type: Header[] = answer.typed ? [['content-type', 'application/octet-stream']] : []
  const isBodiless = method === 'HEAD'
  const response: Answered = { status, headers: [...told, ...type], ...(isBodiless ? { framing: 'bare' } : answer.body.length === 0 && answer.framing === 'chunked' ? { framing: 'chunked' } : { framing: answer.framing as 'length', body: answer.body }) }
  return { request, response }
})

/** Hand-picked exchanges, then 150 that chance made of the same parts, the same ones at each run. */
export const corpus: readonly Exchanged[] = [
  ...picked(),
  ...fc.sample(random, { numRuns: 150, seed: 20261122 }).map(({ request, response }, i) => exchange(`random ${i}`, request, response))
]
