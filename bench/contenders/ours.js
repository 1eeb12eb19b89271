/** This package as users install it: the build, with all its defaults, and the embedded registry. */
import { pathToFileURL } from 'node:url'
import Fastify from 'fastify'
import { listenFastify, run } from './common.js'

await run(async ({ port, upstreams, services, dist }) => {
  const built = dist === null ? new URL('../../dist/', import.meta.url) : pathToFileURL(`${dist}/`)
  const { default: upstreamEtcd } = await import(new URL('index.js', built).href)
  const registrations = Object.fromEntries(upstreams.map(address => [address, {}]))
  const names = services === 0 ? ['bench'] : Array.from({ length: services }, (_, i) => `s${i + 1}`)
  const app = Fastify()
  await app.register(upstreamEtcd, {
    peers: Object.fromEntries(names.map(name => [name, registrations])),
    // With many services the path names the one that is meant.
    routes: [{ prefix: '/', service: services === 0 ? 'bench' : request => request.url.slice(1) }]
  })
  return listenFastify(app, port)
})
