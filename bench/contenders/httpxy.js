/** httpxy with its defaults (it keeps connections alive by itself) and one target. */
import { createServer } from 'node:http'
import { createProxyServer } from 'httpxy'
import { listen, run } from './common.js'

await run(({ port, upstreams }) => {
  const proxy = createProxyServer({ target: `http://${upstreams[0]}` })
  proxy.on('error', (_error, _req, res) => res.destroy())
  return listen(createServer((req, res) => proxy.web(req, res)), port)
})
