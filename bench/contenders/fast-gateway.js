/** fast-gateway with its defaults and one route to one target. */
import gateway from 'fast-gateway'
import { run } from './common.js'

await run(async ({ port, upstreams }) => {
  const server = await gateway({ routes: [{ prefix: '', target: `http://${upstreams[0]}` }] }).start(port, '127.0.0.1')
  return server.address().port
})
