import { Readable } from 'node:stream'
import type { FastifyInstance } from 'fastify'
import { history } from '../../logger/report.js'
import type { InspectSettings } from '../../options.js'
import { nameOf } from '../../picker/balancers/make.js'
import type { Service } from '../../store/service.js'
import type { ServiceSettings } from '../../store/settings.js'
import { actions } from './actions.js'
import { asked } from './bad-request.js'
import { belowInspect, maySee } from './below.js'
import { sendUnlessKnown } from './etag.js'
import { explained, keyOf } from './explain.js'
import { assets, sendPage, wantsPage } from '../dashboard/dashboard.js'
import { events } from '../events/events.js'
import { find, findPeer } from './find.js'
import type { Gateway } from '../gateway.js'
import { peerDetail } from './peer-detail.js'
import { METRICS_TYPE } from '../metrics/exposition.js'
import { metrics } from '../metrics/metrics.js'
import { recordOf } from '../news/records.js'
import { hideIn, hideInAny } from './redact.js'
import { statusSchema } from './schema.js'
import { inSlices } from './slices.js'
import { iso } from '../as-json.js'
import { registryStatus, serviceStatus, statusSteps } from './status.js'
import { written } from './status-json.js'
import { text } from './text.js'
import type { Upstreams } from '../upstreams.js'

interface ReportQuery { peer?: string, seconds?: string }

/** The routes below `inspect.path`: the same facts that `app.upstreams` gives, for people and for other programs. */
export async function inspect (app: FastifyInstance, gateway: Gateway, upstreams: Upstreams, settings: InspectSettings): Promise<void> {
  belowInspect(app, settings)

  whole(app, gateway)

  app.get<{ Params: { service: string } }>('/services/:service', (request, reply) => {
    return reply.header('cache-control', 'no-store').send(detail(gateway, find(gateway, request.params.service)))
  })

  app.get<{ Params: { service: string, peer: string } }>('/services/:service/peers/:peer', (request, reply) => {
    const service = find(gateway, request.params.service)
    return reply.header('cache-control', 'no-store').send(peerDetail(gateway, service, findPeer(service, request.params.peer)))
  })

  app.get<{ Params: { service: string }, Querystring: { key?: unknown } }>('/services/:service/explain', (request, reply) => {
    const service = find(gateway, request.params.service)
    return reply.header('cache-control', 'no-store').send(explained(gateway, service, asked(() => keyOf(request.query.key))))
  })

  app.get<{ Params: { service: string }, Querystring: ReportQuery }>('/services/:service/report', (request, reply) => {
    const { peer, seconds } = request.query
    const { service } = request.params
    return reply.send(asked(() => upstreams.report(service, { ...(peer !== undefined && { peer }), ...count(seconds) })))
  })

  app.get<{ Querystring: ReportQuery }>('/tps', (request, reply) => {
    const { seconds = Math.min(60, gateway.logger.seconds) } = count(request.query.seconds)
    return reply.send({ seconds, tps: asked(() => upstreams.tps(seconds)) })
  })

  app.get('/metrics', (_request, reply) => {
    return reply.type(METRICS_TYPE).header('cache-control', 'no-store').send(Readable.from(metrics(gateway)))
  })

  events(app, gateway)
  assets(app)
  if (settings.actions !== false) await app.register(actions(gateway, settings.actions))

  // Whoever may look sees why; to outsiders it says only whether.
  const open = settings.open.includes('ready')
  app.get('/ready', (request, reply) => {
    const { registry } = gateway
    reply.code(registry.isReady ? 200 : 503).header('cache-control', 'no-store')
    if (!registry.isReady) reply.header('retry-after', '1')
    if (open && !maySee(settings, request)) return reply.send({ ready: registry.isReady })
    const waitingFor = registry.isReady ? [] : ['registry']
    return reply.send({ ready: registry.isReady, registry: registryStatus(gateway, gateway.now()), waitingFor })
  })
}

/** The whole status, and what describes it. */
function whole (app: FastifyInstance, gateway: Gateway): void {
  app.get<{ Querystring: { text?: string } }>('/', { exposeHeadRoute: true }, async (request, reply) => {
    if (request.query.text === undefined && wantsPage(request)) return await sendPage(gateway, request, reply)
    const is = await inSlices(statusSteps(gateway), gateway.now)
    if (request.query.text === undefined) {
      const { json, timeless } = await inSlices(written(is), gateway.now)
      return sendUnlessKnown(request, reply, timeless, () => reply.type('application/json; charset=utf-8').send(json))
    }
    const lines = text(is)
    return sendUnlessKnown(request, reply, lines, () => reply.type('text/plain; charset=utf-8').send(lines))
  })

  app.get('/schema', (_request, reply) => {
    return reply.type('application/schema+json').header('cache-control', 'no-store').send(JSON.stringify(statusSchema))
  })
}

function detail (gateway: Gateway, service: Service) {
  const now = gateway.now()
  const seconds = Math.min(60, gateway.logger.seconds)
  return {
    ...serviceStatus(gateway, service, now),
    settings: shown(service.settings),
    history: history(service, seconds, now).map(point => ({ ...point, at: iso(point.at * 1000) })),
    events: gateway.journal.of(service.name).map(happening => recordOf(gateway.epoch, happening))
  }
}

/** Whoever may see the settings, nobody may see a private key or a secret; certificates come with theirs in one text at times. */
function shown ({ tls, sticky, balancer, hashKey, check, host, ...settings }: ServiceSettings) {
  const hidden = (pem: string | null): string | null => pem?.includes('PRIVATE KEY') === true ? '[hidden]' : pem
  return {
    ...settings,
    check: check === false ? false : { ...check, path: hideInAny(check.path), userAgent: hideIn(check.userAgent) },
    host: hideIn(host),
    balancer: nameOf(balancer),
    hashKey: typeof hashKey === 'function' ? '[function]' : hashKey,
    sticky: sticky === false ? false : { ...sticky, secret: '[hidden]' },
    tls: { ...tls, ca: hidden(tls.ca), cert: hidden(tls.cert), key: tls.key === null ? null : '[hidden]' }
  }
}

function count (seconds: string | undefined): { seconds?: number } {
  return seconds === undefined ? {} : { seconds: Number(seconds) }
}
