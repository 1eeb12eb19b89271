/** @fastify/http-proxy with its defaults and one upstream. */
import httpProxy from '@fastify/http-proxy'
import Fastify from 'fastify'
import { listenFastify, run } from './common.js'

await run(async ({ port, upstreams }) => {
  const app = Fastify()
  await app.register(httpProxy, { upstream: `http://${upstreams[0]}` })
  return listenFastify(app, port)
})
