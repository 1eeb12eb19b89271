/**
 * The public types, as users write them. The type checker is the test: every line has to compile, and every
 * `@ts-expect-error` has to be an error. Nothing below the first test runs.
 */
import Fastify, { type FastifyInstance } from 'fastify'
import type { FromSchema } from 'json-schema-to-ts'
import t from 'tap'
import defaultExport, { upstreamEtcd, type PeerStatus, type PeerView, type ServiceStatus, type Status, type statusSchema, type UpstreamRecord } from '../lib/index.js'

t.test('one plugin under two names', async t => {
  t.type(upstreamEtcd, 'function')
  t.equal(defaultExport, upstreamEtcd)
})

type Options = Parameters<typeof upstreamEtcd>[1]

/** Takes a value of exactly the type named: `any` is caught, and so is a wider or narrower one. */
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends (<T>() => T extends B ? 1 : 2) ? true : false
function same<A> (): <B>(value: B, equal: Same<A, B>) => void {
  return () => {}
}

/** Good options: one of each kind. */
export const good: Options[] = [
  { etcd: 'http://127.0.0.1:2379' },
  { etcd: ['http://a:2379', 'http://b:2379'], keyPrefix: '/v1/testing/services/' },
  { etcd: { hosts: 'https://a:2379', tls: { ca: 'PEM', cert: Buffer.from(''), key: 'PEM', serverName: 'etcd' } } },
  { etcd: { hosts: ['http://a:2379'], auth: { username: 'u', password: 'p' }, timeout: 2000 } },
  { peers: { orders: { '10.1.1.3:8080': { weight: 3, slow_start: 30, checkurl: '/health' }, '[::1]:80': {} } } },
  { etcd: '', format: 'auto' },
  { etcd: '', format: 'plain' },
  { etcd: '', format: 'go-micro' },
  { etcd: '', format: (key, value) => [{ service: key.toUpperCase(), host: value.trim(), port: 80, weight: 2 }] },
  { etcd: '', format: () => undefined },
  { etcd: '', start: { wait: 0 } },
  { etcd: '', start: { onFail: 'throw' } },
  { etcd: '', balancer: 'round-robin', slowStart: { minWeight: 0.1, aggression: 1 }, panic: 0 },
  { etcd: '', balancer: 'hash', hashKey: 'header:x-user', zone: 'eu-1', loadReports: true },
  { etcd: '', balancer: 'p2c-ewma', sticky: { cookie: 'peer', secret: 'a secret of some length' }, limits: { maxInflight: 100, queue: 200, queueTimeout: 500 } },
  { etcd: '', sticky: { cookie: 'peer', secret: ['the new secret', 'the old secret'] }, hashKey: request => request.ip, zone: null },
  { etcd: '', balancer: { name: 'first', rebuild: candidates => { for (const { state, weight } of candidates) state.peer.id.repeat(weight) }, pick: (_now, _key, mayTake) => { mayTake?.({} as PeerView); return undefined } } },
  { etcd: '', check: false, outlier: false },
  { etcd: '', check: { interval: 5000, timeout: 1000, rise: 2, fall: 3, jitter: 0.2, concurrency: 32, userAgent: 'x' } },
  { etcd: '', check: { status: [[200, 399]], path: '/x', type: 'tcp' } },
  { etcd: '', outlier: { consecutive5xx: 5, consecutiveErrors: 5, interval: 10000, failureRate: 0.5, minRequests: 20 } },
  { etcd: '', outlier: { baseEjection: 30000, maxEjection: 300000, maxEjected: 0.5, latencyFactor: 3 } },
  { etcd: '', timeouts: { connect: 1000, headers: 30000, body: 30000, total: 60000 } },
  { etcd: '', host: 'client' },
  { etcd: '', host: 'shop.example', forwarded: false, debugHeader: true },
  { etcd: '', pool: { connections: 128, keepAlive: 60000, allowH2: true } },
  { etcd: '', retry: { attempts: 2, on: ['connect', 'reset', 'timeout', 503], budget: { ratio: 0.2, perSecond: 10 }, bodyBytes: 65536 } },
  { etcd: '', retry: false, tls: { rejectUnauthorized: false, ca: 'PEM', cert: Buffer.from(''), key: null, serverName: 'a' } },
  { etcd: '', routes: [{ prefix: '/shop', service: 'orders', websocket: true, retry: { budget: { ratio: 0 } } }] },
  { etcd: '', services: { orders: { panic: 0.3, check: false, timeouts: { total: 100 } } } },
  { etcd: '', routes: [{ prefix: '/shop', service: 'orders' }] },
  { etcd: '', routes: [{ prefix: '/shop', service: request => request.hostname, rewritePrefix: '/', methods: ['GET'] }] },
  { etcd: '', routes: [{ prefix: '/shop', service: 'orders', constraints: { host: 'a' }, panic: 0, host: 'peer' }] },
  { etcd: '', routes: [{ prefix: '/shop', service: 'orders', preHandler: async request => { request.log.info('in') } }] },
  { etcd: '', inspect: false, statsWindow: 3600 },
  { etcd: '', inspect: { path: '/_upstreams', access: 'loopback', open: ['ready'], actions: false } },
  { etcd: '', inspect: { actions: { authorize: async request => request.headers.authorization === 'x' && { name: 'alice' } } } },
  { etcd: '', inspect: { access: 'all', onRequest: (_request, _reply, done) => { done() } } }
]

/** Each of these is refused, at every depth. */
export const bad: Options[] = [
  // @ts-expect-error unknown name
  { etcd: '', keyPrefx: '/' },
  // @ts-expect-error not a URL, nor a list of them
  { etcd: 2379 },
  // @ts-expect-error hosts is needed
  { etcd: { timeout: 1 } },
  // @ts-expect-error a password is needed
  { etcd: { hosts: '', auth: { username: 'u' } } },
  // @ts-expect-error a list has no services
  { peers: ['10.1.1.3:8080'] },
  // @ts-expect-error a prefix is a string
  { etcd: '', keyPrefix: 1 },
  // @ts-expect-error unknown format
  { etcd: '', format: 'yaml' },
  // @ts-expect-error a registration needs a port
  { etcd: '', format: () => [{ service: 'a', host: 'b' }] },
  // @ts-expect-error milliseconds, not words
  { etcd: '', start: { wait: '3 s' } },
  // @ts-expect-error degraded or throw
  { etcd: '', start: { onFail: 'exit' } },
  // @ts-expect-error unknown algorithm
  { etcd: '', balancer: 'roundrobin' },
  // @ts-expect-error a balancer has pick and rebuild
  { etcd: '', balancer: { pick: () => undefined } },
  // @ts-expect-error no form of a key
  { etcd: '', hashKey: 'query:x' },
  // @ts-expect-error false turns it off, true says nothing
  { etcd: '', sticky: true },
  // @ts-expect-error unknown name in a group
  { etcd: '', limits: { inflight: 1 } },
  // @ts-expect-error of the whole gateway
  { etcd: '', services: { orders: { zone: 'a' } } },
  // @ts-expect-error unknown name in a group
  { etcd: '', slowStart: { length: 30 } },
  // @ts-expect-error false turns it off, true says nothing
  { etcd: '', check: true },
  // @ts-expect-error pairs of codes
  { etcd: '', check: { status: ['2xx'] } },
  // @ts-expect-error http or tcp
  { etcd: '', check: { type: 'grpc' } },
  // @ts-expect-error unknown name in a group
  { etcd: '', outlier: { consecutive: 5 } },
  // @ts-expect-error a share is a number
  { etcd: '', panic: '50 %' },
  // @ts-expect-error unknown name in a group
  { etcd: '', timeouts: { read: 1 } },
  // @ts-expect-error a string
  { etcd: '', host: true },
  // @ts-expect-error a boolean
  { etcd: '', debugHeader: 'x-upstream' },
  // @ts-expect-error a boolean
  { etcd: '', forwarded: 'yes' },
  // @ts-expect-error unknown name in a group
  { etcd: '', pool: { size: 1 } },
  // @ts-expect-error false turns it off, true says nothing
  { etcd: '', retry: true },
  // @ts-expect-error unknown reason
  { etcd: '', retry: { on: ['refused'] } },
  // @ts-expect-error a number
  { etcd: '', retry: { budget: 0.2 } },
  // @ts-expect-error unknown name in a group
  { etcd: '', tls: { passphrase: '' } },
  // @ts-expect-error etcd is the gateway's, not a service's
  { etcd: '', services: { orders: { etcd: '' } } },
  // @ts-expect-error a route needs a service
  { etcd: '', routes: [{ prefix: '/shop' }] },
  // @ts-expect-error a route needs a prefix
  { etcd: '', routes: [{ service: 'orders' }] },
  // @ts-expect-error a service has one name
  { etcd: '', routes: [{ prefix: '/shop', service: () => 1 }] },
  // @ts-expect-error hooks are functions
  { etcd: '', routes: [{ prefix: '/shop', service: 'orders', onRequest: 1 }] },
  // @ts-expect-error loopback or all
  { etcd: '', inspect: { access: 'none' } },
  // @ts-expect-error somebody has to say who may
  { etcd: '', inspect: { actions: {} } },
  // @ts-expect-error false turns them off, true says nothing
  { etcd: '', inspect: { actions: true } },
  // @ts-expect-error false or an object
  { etcd: '', inspect: true },
  // @ts-expect-error seconds as a number
  { etcd: '', statsWindow: '60' }
]

/** What a gateway offers; never called. */
export async function use (): Promise<void> {
  const app = Fastify()
  await app.register(upstreamEtcd, { etcd: 'http://127.0.0.1:2379', routes: [{ prefix: '/shop', service: 'orders' }] })
  // @ts-expect-error register checks options too
  await app.register(upstreamEtcd, { etcd: 1 })
  const { upstreams } = app

  const pick = upstreams.pick('orders', { tried: ['10.1.1.3:8080'] })
  // @ts-expect-error there may be nobody to pick
  pick.done({ status: 200, ms: 1 })
  // @ts-expect-error a service is needed
  upstreams.pick()
  // @ts-expect-error unknown name
  upstreams.pick('orders', { exclude: [] })
  upstreams.pick('orders', { tried: new Set(['10.1.1.3:8080']) })
  if (pick !== undefined) {
    same<string>()(pick.peer.id, true)
    same<string>()(pick.peer.host, true)
    same<number>()(pick.peer.port, true)
    same<'http' | 'https'>()(pick.peer.scheme, true)
    same<number>()(pick.peer.weight, true)
    same<string>()(pick.peer.status, true)
    same<number>()(pick.peer.slowStart, true)
    same<string | null>()(pick.peer.checkUrl, true)
    same<boolean>()(pick.panic, true)
    pick.done({ status: 200, ms: 3.5 })
    for (const error of ['connect', 'timeout', 'reset', 'aborted'] as const) pick.done({ error, ms: 1 })
    // @ts-expect-error unknown kind of error
    pick.done({ error: 'oops', ms: 1 })
    // @ts-expect-error how long it took is needed
    pick.done({ status: 200 })
    // @ts-expect-error a picked peer is not to be changed
    pick.peer.weight = 2
  }

  upstreams.show()
  upstreams.show('orders')
  // @ts-expect-error a name
  upstreams.show(1)

  const report = upstreams.report('orders', { peer: '10.1.1.3:8080', seconds: 10 })
  same<string>()(report.name, true)
  same<number>()(report.ts_start, true)
  same<number>()(report.ts_end, true)
  for (const { peer, rtsum, stat } of report.statistics) {
    same<string>()(peer, true)
    same<number>()(rtsum, true)
    for (const { code, count } of stat) same<number>()(count + Number(code), true)
  }
  // @ts-expect-error unknown name
  upstreams.report('orders', { minutes: 1 })

  same<number>()(upstreams.tps(), true)
  upstreams.tps(10)
  // @ts-expect-error seconds as a number
  upstreams.tps('10')

  upstreams.cutdown('orders', '10.1.1.3:8080', 0.2)
  upstreams.cutdown('orders', '10.1.1.3:8080', 0.2, { for: 60_000 })
  // @ts-expect-error a share is needed
  upstreams.cutdown('orders', '10.1.1.3:8080')
  upstreams.recover('orders', '10.1.1.3:8080')
  // @ts-expect-error a peer is needed
  upstreams.recover('orders')
  upstreams.shed('orders', 0.3)
  // @ts-expect-error a share is a number
  upstreams.shed('orders', '30 %')
  await upstreams.drain('orders', '10.1.1.3:8080')
  await upstreams.drain('orders', '10.1.1.3:8080', { for: 60_000 })
  // @ts-expect-error milliseconds, not words
  await upstreams.drain('orders', '10.1.1.3:8080', { for: '1 min' })

  const status = upstreams.status()
  const schema: number = status.schema
  same<boolean>()(status.ready && schema === 1, true)
  same<string>()(status.registry.keyPrefix, true)
  for (const service of status.services) {
    same<string>()(service.name, true)
    same<number>()(service.peersEligible, true)
    for (const peer of service.peers) same<boolean>()(peer.eligible, true)
  }
  // @ts-expect-error no such figure
  same<string>()(status.registry.version, true)

  same<boolean>()(upstreams.ready, true)
  // @ts-expect-error told, not set
  upstreams.ready = true
  await upstreams.whenReady()
  await upstreams.whenReady(['orders'], { timeout: 1000 })
  // @ts-expect-error a list of names
  await upstreams.whenReady(1)

  app.all('/orders/*', (request, reply) => {
    // @ts-expect-error nothing has been forwarded yet
    same<string>()(request.upstream.service, true)
    if (request.upstream !== null) {
      same<string>()(request.upstream.service, true)
      same<string | null>()(request.upstream.peer, true)
      for (const { peer, ms } of request.upstream.attempts) {
        same<string>()(peer, true)
        same<number>()(ms, true)
      }
    }
    return reply.forward('orders')
  })
  app.get('/x', (_request, reply) => reply.forward('orders', { path: '/y', query: { a: '1' }, headers: { b: '2' }, timeout: 100 }))
  app.get('/w', (_request, reply) => reply.forward('orders', { retry: false }))
  app.get('/v', (_request, reply) => reply.forward('orders', { retry: { attempts: 1 } }))
  // @ts-expect-error false turns it off
  app.get('/u', (_request, reply) => reply.forward('orders', { retry: true }))
  // @ts-expect-error a service is needed
  app.get('/y', (_request, reply) => reply.forward())
  // @ts-expect-error unknown name
  app.get('/z', (_request, reply) => reply.forward('orders', { url: '/y' }))
}

/** What the schema says of the status, and what the status is, go for each other, part by part. */
export function schema (bySchema: FromSchema<typeof statusSchema>, status: Status): void {
  const there: Status = bySchema
  const back: FromSchema<typeof statusSchema> = status
  same<Status>()(there, true)
  same<1>()(bySchema.schema, true)
  same<Status['registry']['state']>()(bySchema.registry.state, true)
  for (const service of bySchema.services) {
    const known: ServiceStatus = service
    same<ServiceStatus['state']>()(service.state, true)
    for (const peer of service.peers) {
      const one: PeerStatus = peer
      same<PeerStatus['state']>()(peer.state, true)
      same<PeerStatus['scheme']>()(one.scheme, true)
      same<number | undefined>()(peer.responses.other, true)
      same<number | undefined>()(peer.load?.named['queue'], true)
      same<string | undefined>()(peer.weight.override?.until, true)
      // @ts-expect-error no such field
      peer.status.toString()
    }
    // @ts-expect-error as the status has it
    const wrong: number = known.name
    wrong.toFixed()
  }
  // @ts-expect-error no such field
  back.peers.toString()
}

/** What `on` takes and gives. */
export function records (app: FastifyInstance): void {
  const stop = app.upstreams.on('peer', record => {
    const known: UpstreamRecord = record
    same<string | null>()(record.peer, true)
    same<'peer' | 'service' | 'registry'>()(known.type, true)
    // @ts-expect-error nobody changes what happened
    record.reason = ''
  })
  app.upstreams.on('registry', async () => {})
  // @ts-expect-error no such kind
  app.upstreams.on('peers', () => {})
  same<void>()(stop(), true)
}
