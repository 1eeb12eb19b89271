import type { FastifyInstance, FastifyRequest, HTTPMethods } from 'fastify'
import { BadOptionError } from '../../errors.js'
import type { RouteSettings } from '../../options.js'
import type { Forwarder } from './forward.js'
import { targetOf, type Target } from './target.js'
import type { Upgrades } from './upgrades.js'

const METHODS: HTTPMethods[] = ['DELETE', 'GET', 'HEAD', 'OPTIONS', 'PATCH', 'POST', 'PUT']

/** A proxied route: everything at and below its prefix goes to its service, bodies as they come. */
export async function proxy (app: FastifyInstance, route: RouteSettings, forwarder: Forwarder, upgrades: Upgrades): Promise<void> {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', (_request, payload, done) => done(null, payload))
  const { prefix, service, methods, websocket } = route
  const unknown = methods?.find(method => !app.supportedMethods.includes(method as HTTPMethods))
  if (unknown !== undefined) throw new BadOptionError('routes.methods', `methods that Fastify supports (${app.supportedMethods.join(', ')})`, unknown)
  // The user may have registered us under a prefix of his own.
  const segments = `${app.prefix}${prefix}`.split('/').filter(part => part !== '')
  if (websocket) upgrades.add(segments, methods ?? METHODS)
  const below = prefix.endsWith('/') ? prefix.slice(0, -1) : prefix
  const nameOf = typeof service === 'string' ? () => service : service
  for (const url of new Set([below === '' ? '/' : below, `${below}/*`])) {
    app.route({
      ...route.hooks,
      ...(route.constraints === null ? {} : { constraints: { ...route.constraints } }),
      method: methods === null ? METHODS : [...methods] as HTTPMethods[],
      url,
      // It returns nothing: for a reply that is returned Fastify watches the response with half a dozen listeners.
      handler: (request, reply) => {
        const target = rewritten(request, segments.length, route.rewritePrefix)
        forwarder.forward(request, reply, nameOf(request), plain, target, websocket ? upgrades.of(request, reply) : null)
      }
    })
  }
}

const plain = Object.freeze({})

/**
 * The target at the peer: the request's own with the prefix taken off its path and `rewritePrefix` put there, the rest as
 * it came. The prefix is taken off by the number of its segments, because it may have been written with escapes.
 */
function rewritten (request: FastifyRequest, depth: number, rewritePrefix: string): Target {
  const { path, query } = targetOf(request)
  let at = 0
  for (let segment = 0; segment < depth && at !== -1; segment++) {
    // The router may have been told to take several slashes for one.
    while (path[at + 1] === '/') at++
    at = path.indexOf('/', at + 1)
  }
  const rest = at === -1 ? '' : path.slice(at)
  if (rest === '') return { path: rewritePrefix, query }
  return { path: rewritePrefix.endsWith('/') ? rewritePrefix + rest.slice(1) : rewritePrefix + rest, query }
}
