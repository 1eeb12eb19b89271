import type { FastifyRequest } from 'fastify'
import type { Fields } from '../../picker/forwarding.js'
import type { Written } from './body.js'

type Values = Record<string, string | string[] | undefined>

/**
 * Fields of one connection (RFC 9110, 7.6.1), which are ours to speak on the next one. `Expect` is answered by Node before
 * we see the request; `host` has a place of its own.
 */
const NOT_PASSED_ON = new Set(['host', 'connection', 'transfer-encoding', 'keep-alive', 'proxy-connection', 'te', 'trailer', 'upgrade', 'expect', 'http2-settings'])

/**
 * The fields of a request as a peer gets them, names and values in turn: neither those of the connection nor those that
 * its `Connection` names. `written` is what goes instead of the body that came; `extra` are set, replaced, or with
 * undefined left out. An array, because an object that grows by three fields costs more than the whole rest of this.
 */
export function passedOn (request: FastifyRequest, forwarded: boolean, extra: Values | undefined, written: Written | null): Fields {
  const fields: Fields = ['host', '']
  const { headers } = request.raw
  const own = extra === undefined ? undefined : lowered(extra)
  const named = headers.connection === undefined ? undefined : tokens(headers.connection)
  let before: string | string[] | undefined
  for (const name in headers) {
    const value = headers[name]
    // By HTTP/2 the request line comes as fields, whose names begin with a colon.
    if (value === undefined || NOT_PASSED_ON.has(name) || name.startsWith(':') || named?.includes(name) === true || own?.has(name) === true) continue
    if (written !== null && (name === 'content-length' || name === 'content-type')) continue
    if (forwarded && (name === 'forwarded' || name.startsWith('x-forwarded-'))) {
      // What the client says of others counts only when Fastify's `trustProxy` trusts it, but for what is said anew below.
      if (name === 'x-forwarded-for') before = value
      else if (isTrusted(request) && name !== 'x-forwarded-proto' && name !== 'x-forwarded-host') fields.push(name, value)
    } else fields.push(name, value)
  }
  if (written !== null && own?.has('content-length') !== true) fields.push('content-length', String(Buffer.byteLength(written.bytes)))
  if (written !== null && own?.has('content-type') !== true) fields.push('content-type', written.type)
  if (forwarded) addForwarded(request, fields, before, own)
  for (const [name, value] of own ?? []) if (value !== undefined && name !== 'host') fields.push(name, value)
  return fields
}

/** Appends this hop to X-Forwarded-For, and sets X-Forwarded-Proto and -Host, in which what a trusted client sent counts. */
function addForwarded (request: FastifyRequest, fields: Fields, before: string | string[] | undefined, own: ReadonlyMap<string, unknown> | undefined): void {
  const { remoteAddress = '' } = request.raw.socket
  const chain = before !== undefined && isTrusted(request) ? [before, remoteAddress].flat().filter(hop => hop !== '').join(', ') : remoteAddress
  if (own?.has('x-forwarded-for') !== true) fields.push('x-forwarded-for', chain)
  if (own?.has('x-forwarded-proto') !== true) fields.push('x-forwarded-proto', request.protocol)
  const { host } = request
  // Clients of HTTP/1.0 need not name one.
  if (host !== '' && own?.has('x-forwarded-host') !== true) fields.push('x-forwarded-host', host)
}

/** Fastify lists more than the socket's own address exactly when it trusts whoever is behind the socket. */
function isTrusted ({ ips }: FastifyRequest): boolean {
  return ips !== undefined && ips.length > 1
}

/** Fields that a caller gave, by lower-case name. */
export function lowered (values: Values): Map<string, string | string[] | undefined> {
  return new Map(Object.entries(values).map(([name, value]) => [name.toLowerCase(), value]))
}

/** The names in a `Connection`; undefined where it names no field. */
function tokens (connection: string): string[] | undefined {
  if (connection === 'keep-alive' || connection === 'close') return undefined
  return connection.toLowerCase().split(',').map(token => token.trim())
}
