import { createServer, request, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import { startGateway, type TestGateway } from '../fixtures/gateway.js'
import { until } from '../fixtures/wait.js'

type Answer = (request: IncomingMessage, response: ServerResponse) => void

async function startPeer (t: Pick<Test, 'teardown'>, answer: Answer): Promise<string> {
  const server = createServer(answer)
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  return `127.0.0.1:${(server.address() as AddressInfo).port}`
}

/** Sends a chunked PUT, a chunk each time the event loop turns. */
async function put (gateway: TestGateway, chunks: readonly string[]): Promise<number> {
  return await new Promise((resolve, reject) => {
    const client = request(`${gateway.url}/shop`, { method: 'PUT' }, answer => {
      answer.resume()
      resolve(answer.statusCode ?? 0)
    })
    client.on('error', reject)
    const [first = '', ...rest] = chunks
    client.write(first)
    const next = (): void => {
      const chunk = rest.shift()
      if (chunk === undefined) client.end()
      else client.write(chunk, () => setImmediate(next))
    }
    setImmediate(next)
  })
}

t.test('a 503 that comes before the end of an upload stands: nobody gets the upload without its beginning', async t => {
  const whole = ['START', ...Array.from({ length: 40 }, () => 'b'.repeat(5000))]
  const bodies: string[] = []
  const busy = await startPeer(t, (request, response) => {
    request.once('data', () => response.writeHead(503, { 'content-type': 'text/plain' }).flushHeaders())
    request.on('end', () => response.end('busy'))
  })
  const fine = await startPeer(t, (request, response) => {
    let body = ''
    request.on('data', chunk => { body += String(chunk) })
    request.on('end', () => {
      bodies.push(body)
      response.end('ok')
    })
  })
  const gateway = await startGateway(t, { peers: { shop: { [busy]: {}, [fine]: {} } }, outlier: false, routes: [{ prefix: '/shop', service: 'shop' }] })
  const statuses: number[] = []
  for (let i = 0; i < 8; i++) statuses.push(await put(gateway, whole))
  t.ok(statuses.includes(200) && statuses.every(status => status === 200 || status === 503), String(statuses))
  t.ok(bodies.every(body => body === whole.join('')), 'every body that arrived is whole')
})

t.test('an upload that goes on past timeouts.total is a time-out, and its peer is not blamed for it', async t => {
  const peer = await startPeer(t, request => request.resume())
  const gateway = await startGateway(t, { peers: { shop: { [peer]: {} } }, timeouts: { total: 150 }, routes: [{ prefix: '/shop', service: 'shop' }] })
  const sent = put(gateway, Array.from({ length: 100_000 }, () => 'x'))
  t.equal(await sent, 504)
  await until(() => gateway.app.upstreams.status().services[0]?.inflight === 0, { what: 'the end of the attempt' })
  t.match(gateway.app.upstreams.status().services[0]?.peers[0]?.errors, { timeout: 0, aborted: 1 })
})

t.test('waiting for a connection of our own blames no peer, and is told as what it is', async t => {
  const held: ServerResponse[] = []
  const peer = await startPeer(t, (_request, response) => {
    // An answer that goes on, and keeps its connection.
    response.writeHead(200, { 'content-type': 'text/plain' }).flushHeaders()
    held.push(response)
  })
  const gateway = await startGateway(t, {
    peers: { shop: { [peer]: {} } },
    pool: { connections: 1 },
    timeouts: { connect: 50, headers: 200 },
    routes: [{ prefix: '/shop', service: 'shop' }]
  })
  const first = gateway.send('/shop')
  await until(() => held.length === 1, { what: 'the request that takes the only connection' })
  const second = await gateway.send('/shop')
  t.match(second, { status: 503, body: /FST_UPSTREAM_QUEUE_FULL/ })
  t.match(gateway.app.upstreams.status().services[0]?.peers[0]?.errors, { connect: 0, timeout: 0 })
  held[0]?.end()
  t.equal((await first).status, 200)
})
