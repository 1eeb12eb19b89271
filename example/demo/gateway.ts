/** The gateway of the demo: this package, and one route. */
import Fastify, { type FastifyInstance } from 'fastify'
import upstreamEtcd, { type UpstreamEtcdOptions } from 'fastify-upstream-etcd'
import { atEnd } from './ending.js'
import { KEY_PREFIX, SERVICE, type Three } from './services.js'

export interface Gateway {
  readonly app: FastifyInstance
  /** `http://127.0.0.1:port`. */
  readonly url: string
}

/** Everything below /shop goes to the services that `etcd` knows, or to `services` when there is no etcd. */
export async function startGateway (etcd: string | null, services: Three, options: UpstreamEtcdOptions): Promise<Gateway> {
  const peers = { [SERVICE]: Object.fromEntries(services.map(({ id, value }) => [id, value])) }
  // A client that keeps its connection does not hold up the end of the demo.
  const app = Fastify({ forceCloseConnections: true })
  await app.register(upstreamEtcd, {
    ...(etcd === null ? { peers } : { etcd }),
    keyPrefix: KEY_PREFIX,
    routes: [{ prefix: '/shop', service: SERVICE }],
    ...options
  })
  atEnd(() => app.close())
  return { app, url: await app.listen({ host: '127.0.0.1', port: 0 }) }
}
