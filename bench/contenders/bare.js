/** @fastify/reply-from alone, with its defaults, one static upstream, and bodies passed on as they come. */
import replyFrom from '@fastify/reply-from'
import Fastify from 'fastify'
import { listenFastify, run } from './common.js'

await run(async ({ port, upstreams }) => {
  const app = Fastify()
  await app.register(replyFrom, { base: `http://${upstreams[0]}` })
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', (_request, payload, done) => done(null, payload))
  app.all('/*', (request, reply) => reply.from(request.raw.url))
  return listenFastify(app, port)
})
