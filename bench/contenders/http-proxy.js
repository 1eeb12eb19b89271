/**
 * http-proxy with one target, and the keep-alive agent that it needs so as not to connect for every request. No bound on
 * connections: it keeps the one of a client that leaves in the middle of an answer for ever, and would soon wait.
 */
import { Agent, createServer } from 'node:http'
import httpProxy from 'http-proxy'
import { listen, run } from './common.js'

await run(({ port, upstreams }) => {
  const agent = new Agent({ keepAlive: true })
  const proxy = httpProxy.createProxyServer({ target: `http://${upstreams[0]}`, agent })
  proxy.on('error', (_error, _req, res) => res.destroy())
  return listen(createServer((req, res) => proxy.web(req, res)), port)
})
