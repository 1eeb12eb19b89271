import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import t from 'tap'
import { WebSocket } from 'ws'
import { debugHeader } from '../../lib/http/forward/debug-header.js'
import { startGateway } from '../fixtures/gateway.js'
import { refusedPort, startPeer } from '../fixtures/peer.js'
import { startWsPeer } from '../fixtures/upgrades.js'

t.test('which peer, after how many attempts, after how long', async t => {
  const good = await startPeer(t, { handler: (_request, response) => { response.setHeader('x-upstream', 'mine').end('good') } })
  const refused = `127.0.0.1:${await refusedPort()}`
  const gateway = await startGateway(t, {
    peers: { shop: { [good.id]: { priority: 1 }, [refused]: {} }, quiet: { [good.id]: {} }, none: {} },
    check: false,
    outlier: false,
    panic: 0,
    services: { shop: { debugHeader: true }, none: { debugHeader: true } },
    routes: [{ prefix: '/shop', service: 'shop' }, { prefix: '/quiet', service: 'quiet' }, { prefix: '/none', service: 'none' }]
  }, app => {
    app.get('/asked', (_request, reply) => reply.forward('shop'))
    app.get('/own', async () => 'own')
    app.get('/read', (_request, reply) => reply.forward('shop', { onResponse: (_request, reply, { stream }) => { reply.send(stream) } }))
  })
  const field = async (path: string): Promise<unknown> => (await gateway.send(path)).headers['x-upstream']
  const two = new RegExp(`^shop/${good.id}; attempts=2; ms=\\d+$`)
  for (const path of ['/shop', '/asked', '/read']) t.match(await field(path), two, path)
  t.equal(await field('/quiet'), 'mine', 'a peer\'s own stays where it is not asked for')
  t.equal(await field('/own'), undefined, 'what is not forwarded has none')
  t.equal(await field('/_upstreams'), undefined)
  const nobody = await gateway.send('/none')
  t.equal(nobody.status, 503)
  t.match(nobody.headers['x-upstream'], /^none\/-; attempts=0; ms=\d+$/, 'an error of ours tells as much')
  await good.kill()
  const failed = await gateway.send('/shop')
  t.equal(failed.status, 502)
  t.match(failed.headers['x-upstream'], two)
  t.notMatch(failed.body, /127\.0\.0\.1/, 'the body names nobody all the same')
})

t.test('an answer that was held is that peer\'s', async t => {
  const busy = await startPeer(t, { status: 503 })
  const refused = `127.0.0.1:${await refusedPort()}`
  const gateway = await startGateway(t, {
    peers: { shop: { [busy.id]: {}, [refused]: { priority: 1 } } },
    check: false,
    outlier: false,
    panic: 0,
    debugHeader: true,
    routes: [{ prefix: '/shop', service: 'shop' }]
  })
  const { status, headers } = await gateway.send('/shop')
  t.equal(status, 503)
  t.match(headers['x-upstream'], new RegExp(`^shop/${busy.id}; attempts=2; ms=\\d+$`))
})

t.test('an upgrade has it as well', async t => {
  const peer = await startWsPeer(t)
  const gateway = await startGateway(t, { peers: { ws: { [peer.id]: {} } }, debugHeader: true, routes: [{ prefix: '/ws', service: 'ws', websocket: true }] })
  const socket = new WebSocket(`${gateway.url.replace('http', 'ws')}/ws`)
  const [answer] = await once(socket, 'upgrade') as [IncomingMessage]
  t.match(answer.headers['x-upstream'], new RegExp(`^ws/${peer.id}; attempts=1; ms=\\d+$`))
  const closed = once(socket, 'close')
  socket.close()
  await closed
})

t.test('whatever a service is called, the header can be sent and read', async t => {
  const of = (service: string): string => debugHeader({ service, peer: null, attempts: [] }, null, 0.4)
  t.equal(of('a/b'), 'a/b/-; attempts=0; ms=0')
  t.equal(of('käse; x=1, "y"\r\n%'), 'k%C3%A4se%3B%20x=1%2C%20%22y%22%0D%0A%25/-; attempts=0; ms=0')
  t.equal(of('\ud800x'), '%EF%BF%BDx/-; attempts=0; ms=0')
  t.ok(of('\u4e2d'.repeat(10_000)).length < 2000)
})
