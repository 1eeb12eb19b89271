import type { FastifyInstance, FastifyReply, FastifyRequest, RouteOptions } from 'fastify'
import { hookNames } from '../../options/hooks.js'
import type { InspectSettings } from '../../options.js'
import { isLocal } from './access.js'
import { isForeignRead } from './same-origin.js'

/** Nobody else's page may read an answer, frame it, take it for what it is not, or learn where its visitor came from. */
const SECURITY = {
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cross-origin-resource-policy': 'same-origin',
  'x-frame-options': 'DENY'
}

/**
 * What holds for each route that is added to `app` from here on, those of plugins within it included: only those whom
 * `settings` let through get there, unless its path is one that is open; answers carry security headers; no API
 * documentation lists it.
 */
export function belowInspect (app: FastifyInstance, settings: InspectSettings): void {
  const { open, hooks } = settings
  app.addHook('onRoute', (route: RouteOptions & { readonly routePath: string }) => {
    const isOpen = open.some(name => route.routePath === `/${name}`)
    for (const name of hookNames) {
      const first = name === 'onRequest' ? [isOpen ? [] : guard(settings), secure] : []
      const all = [first, isOpen ? [] : hooks[name] ?? [], route[name] ?? []].flat(2)
      if (all.length > 0) Object.assign(route, { [name]: all })
    }
    // @fastify/swagger's word for it.
    route.schema = Object.assign({}, route.schema, { hide: true })
  })
}

/** May the sender of a request that no hook has looked at see more than whether? */
export function maySee ({ access, hooks }: InspectSettings, request: FastifyRequest): boolean {
  return hooks.onRequest === undefined && (access === 'all' || isHere(request))
}

/** Does it come from this machine, and from no page but our own? */
function isHere (request: FastifyRequest): boolean {
  return isLocal(request) && !isForeignRead(request)
}

/** Anyone who may not look finds nothing there. */
function guard ({ access }: InspectSettings) {
  return async (request: FastifyRequest, reply: FastifyReply): Promise<void> => {
    if (access === 'loopback' && !isHere(request)) {
      reply.callNotFound()
      await reply
    }
  }
}

/** After the guard: where nothing is to be found, nothing looks special. */
async function secure (_request: FastifyRequest, reply: FastifyReply): Promise<void> {
  reply.headers(SECURITY)
}
