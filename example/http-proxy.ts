/**
 * @fastify/http-proxy in front of a service of three peers, one of which is dead: `node --import tsx example/http-proxy.ts`
 * listens until Ctrl-C; with `--once` it sends a few requests, says who answered them, and ends.
 */
import { parseArgs } from 'node:util'
import httpProxy from '@fastify/http-proxy'
import Fastify, { type FastifyInstance } from 'fastify'
import upstreamEtcd from 'fastify-upstream-etcd'
import { atEnd, run } from './demo/ending.js'
import { startNamedPeer } from './demo/named-peer.js'
import { freePort } from './demo/wait.js'

const host = '127.0.0.1'
const requests = 12

async function startGateway (): Promise<FastifyInstance> {
  const app = Fastify({ forceCloseConnections: true })
  atEnd(() => app.close())
  await app.register(upstreamEtcd, {
    // In place of etcd: the registry in code, values as in etcd.
    peers: {
      orders: {
        [await startNamedPeer(url => `one answers ${url}`)]: {},
        [await startNamedPeer(url => `two answers ${url}`)]: { weight: 2 },
        // Nothing listens there.
        [`${host}:${await freePort()}`]: {}
      }
    }
  })
  await app.register(httpProxy, {
    prefix: '/orders',
    upstream: app.upstreams.origin('orders'),
    undici: app.upstreams.dispatcher,
    replyOptions: {
      // Other peers have been tried already: the answer stands, a 503 too.
      retryDelay: () => null,
      // It makes a 500 of every error; ours, with its own status, code and Retry-After, is the cause.
      onError: (reply, { error }) => { reply.send(error.cause ?? error) }
    }
  })
  // The same service asked by a handler of one's own. (Node has types of its own for the dispatcher of its `fetch`.)
  const own = { dispatcher: app.upstreams.dispatcher } as unknown as RequestInit
  app.get('/both', async () => {
    const ask = (path: string): Promise<Response> => fetch(app.upstreams.origin('orders') + path, own)
    const answers = await Promise.all([ask('/first'), ask('/second')])
    return await Promise.all(answers.map(answer => answer.text()))
  })
  await app.listen({ host, port: 0 })
  return app
}

async function ask (url: string): Promise<string> {
  const answer = await fetch(url, { signal: AbortSignal.timeout(5000) })
  if (!answer.ok) throw new Error(`${url}: ${answer.status} ${await answer.text()}`)
  return await answer.text()
}

/** Sends the requests one after the other, and says what came of them. */
async function playOnce (app: FastifyInstance): Promise<number> {
  const url = app.listeningOrigin
  const answers = new Map<string, number>()
  for (let i = 0; i < requests; i++) {
    const [name = ''] = (await ask(`${url}/orders/${i}`)).split(' ')
    answers.set(name, (answers.get(name) ?? 0) + 1)
  }
  console.log(`${requests} requests through @fastify/http-proxy:`)
  for (const [name, count] of [...answers].sort()) console.log(`  ${count} answered by ${name}`)
  const refused = app.upstreams.status().services[0]?.peers.reduce((sum, { errors }) => sum + errors.connect, 0)
  console.log(`  ${refused} of them tried the dead one first, and nobody noticed`)
  console.log(`2 more by fetch in a handler: ${await ask(`${url}/both`)}`)
  return 0
}

run(async () => {
  const { values } = parseArgs({ options: { once: { type: 'boolean', default: false } } })
  const app = await startGateway()
  if (values.once) return await playOnce(app)
  console.log(`${app.listeningOrigin}/orders/hello and ${app.listeningOrigin}/both, seen at ${app.listeningOrigin}/_upstreams`)
  return await new Promise<never>(() => {})
})
