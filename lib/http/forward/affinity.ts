import type { FastifyRequest } from 'fastify'
import type { Exchange } from '../../picker/exchange.js'
import { keyOf, needsKey } from '../../picker/hash-key.js'
import type { Service } from '../../store/service.js'
import { homeOf } from './sticky.js'

/** A function that fails is told of in the log once in so long, ms: it may fail for each request. */
const TOLD_EVERY = 60_000
const toldAt = new WeakMap<Service, number>()

/** Tells `exchange` where its request belongs: the peer that its client is kept on, and the key to hash it by, if any. */
export function place (exchange: Exchange, request: FastifyRequest, key: string | undefined, now: number): void {
  const { service, settings } = exchange
  if (settings.sticky !== false) exchange.home = homeOf(service, request)
  if (needsKey(settings)) exchange.key = key ?? keyFor(service, request, now)
}

function keyFor (service: Service, request: FastifyRequest, now: number): string | null {
  const { hashKey } = service.settings
  if (typeof hashKey === 'function') {
    try {
      const key = hashKey(request)
      if (typeof key === 'string') return key
      // It may be written with `async`: a promise that failed and that nobody listens to would end the process.
      if (key instanceof Promise) key.catch(() => {})
      tell(service, request, new TypeError(`hashKey gave ${typeof key} in place of a string`), now)
    } catch (error) {
      tell(service, request, error, now)
    }
  }
  const { ip, raw: { url = '/' }, headers } = request
  // Who comes by a socket of the file system has no address.
  return keyOf(typeof hashKey === 'function' ? 'ip' : hashKey, { uri: url, address: ip || null, field: name => headers[name] })
}

function tell (service: Service, request: FastifyRequest, error: unknown, now: number): void {
  if (now - (toldAt.get(service) ?? -Infinity) < TOLD_EVERY) return
  toldAt.set(service, now)
  request.log.warn({ err: error, service: service.name }, 'hashKey failed; the client\'s address is used instead')
}
