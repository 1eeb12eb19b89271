/** http-proxy with one target, and the keep-alive agent that it needs so as not to connect for every request. */
import { Agent, createServer } from 'node:http'
import httpProxy from 'http-proxy'
import { CONNECTIONS, listen, run } from './common.js'

await run(({ port, upstreams }) => {
  const agent = new Agent({ keepAlive: true, maxSockets: CONNECTIONS, maxFreeSockets: CONNECTIONS })
  const proxy = httpProxy.createProxyServer({ target: `http://${upstreams[0]}`, agent })
  proxy.on('error', (_error, _req, res) => res.destroy())
  return listen(createServer((req, res) => proxy.web(req, res)), port)
})
