import replyFrom from '@fastify/reply-from'
import Fastify, { type FastifyInstance } from 'fastify'
import type { Test } from 'tap'
import upstreamEtcd, { type UpstreamEtcdOptions } from '../../lib/index.js'

/** How bare reply-from is put to use: one upstream, every path, bodies as streams; what @fastify/http-proxy does. */
export async function startBare (t: Pick<Test, 'teardown'>, base: string): Promise<string> {
  const app = Fastify({ forceCloseConnections: true })
  t.teardown(async () => await app.close())
  await app.register(replyFrom, { base })
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', (_request, payload, done) => done(null, payload))
  app.all('/*', (request, reply) => reply.from(request.raw.url?.split('?', 1)[0]))
  return await app.listen({ port: 0, host: '127.0.0.1' })
}

/** Ours at `/`, told to add nothing of its own. */
export async function startOurs (t: Pick<Test, 'teardown'>, peer: string, options: Partial<UpstreamEtcdOptions> = {}): Promise<{ app: FastifyInstance, url: string }> {
  const app = Fastify({ forceCloseConnections: true })
  t.teardown(async () => await app.close())
  await app.register(upstreamEtcd, { peers: { all: { [peer]: {} } }, routes: [{ prefix: '/', service: 'all' }], host: 'peer', forwarded: false, outlier: false, check: false, inspect: false, retry: false, ...options })
  return { app, url: await app.listen({ port: 0, host: '127.0.0.1' }) }
}
