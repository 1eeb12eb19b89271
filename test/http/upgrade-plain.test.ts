import { readFileSync } from 'node:fs'
import { connect as connectTls } from 'node:tls'
import { once } from 'node:events'
import httpProxy from '@fastify/http-proxy'
import Fastify from 'fastify'
import t from 'tap'
import { WebSocketServer } from 'ws'
import upstreamEtcd from '../../lib/index.js'
import { startGateway, type TestGateway } from '../fixtures/gateway.js'
import { startPeer } from '../fixtures/peer.js'
import { portOf } from '../fixtures/raw.js'
import { agreed, asking, openWs, RawClient, refusal, startUpgradePeer, startWsPeer } from '../fixtures/upgrades.js'
import { until } from '../fixtures/wait.js'

const withUpgrades = [{ prefix: '/ws', service: 'ws', websocket: true }]

const last = 'GET /own?last HTTP/1.1\r\nHost: raw\r\nConnection: close\r\n\r\n'

/** All that comes back for these bytes, and for one more request after them, but for dates. */
async function said (t: Parameters<typeof startPeer>[0], { url }: TestGateway, bytes: string, parts: number): Promise<string> {
  const client = new RawClient(t, portOf(url))
  const size = Math.ceil(bytes.length / parts)
  for (let at = 0; at < bytes.length; at += size) {
    client.socket.write(bytes.slice(at, at + size), 'latin1')
    await new Promise(resolve => setImmediate(resolve))
  }
  await until(() => client.got !== '')
  client.socket.write(last)
  await until(() => client.hasEnded || client.isClosed)
  return client.got.replace(/^date: .*\r\n/gim, '')
}

t.test('what is no upgrade of ours is answered as if we did not listen', async t => {
  const peer = await startPeer(t, {
    handler: (request, response) => {
      let body = ''
      request.on('data', chunk => { body += String(chunk) })
      request.on('end', () => response.setHeader('content-type', 'text/plain').end(`${request.method} ${request.url} ${body}`))
    }
  })
  const peers = { ws: { [peer.id]: {} } }
  const prepare = (app: TestGateway['app']): void => {
    app.route({
      method: ['GET', 'POST'],
      url: '/own',
      handler: async ({ headers, raw, body, ip }) => ({ headers, rawHeaders: raw.rawHeaders, body, ip })
    })
  }
  const without = await startGateway(t, { peers, routes: [{ prefix: '/ws', service: 'ws' }] }, prepare)
  const ours = await startGateway(t, { peers, routes: withUpgrades }, prepare)
  const upgrade = 'Host: raw\r\nX-Twice: 1\r\nx-twice: 2\r\nX-Latin: \xe9\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n'
  const json = 'Content-Type: application/json\r\n'
  const table: Record<string, string> = {
    'another route': `GET /own?q=%41 HTTP/1.1\r\n${upgrade}\r\n`,
    'no route': `GET /none HTTP/1.1\r\n${upgrade}\r\n`,
    'a prefix ends at a slash': `GET /wsx HTTP/1.1\r\n${upgrade}\r\n`,
    'a body': `POST /own HTTP/1.1\r\n${upgrade}${json}Content-Length: 9\r\n\r\n{"a":"b"}`,
    'a chunked body': `POST /own HTTP/1.1\r\n${upgrade}${json}Transfer-Encoding: chunked\r\n\r\n4\r\n{"a"\r\n5\r\n:"b"}\r\n0\r\n\r\n`,
    'a body for a peer': `POST /ws/x HTTP/1.1\r\n${upgrade}${json}Content-Length: 9\r\n\r\n{"a":"b"}`,
    'HTTP/2 by upgrade': 'GET /ws/x HTTP/1.1\r\nHost: raw\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n',
    'HTTP/1.0': `GET /ws/x HTTP/1.0\r\n${upgrade}\r\n`,
    'no Host': 'GET /ws/x HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n',
    'no path': `OPTIONS * HTTP/1.1\r\n${upgrade}\r\n`,
    'a method that is not forwarded': `TRACE /ws/x HTTP/1.1\r\n${upgrade}\r\n`,
    'a bad escape': `GET /%zz/x HTTP/1.1\r\n${upgrade}\r\n`,
    'a refused header': `GET /own HTTP/1.1\r\n${upgrade}Expect: nonsense\r\n\r\n`
  }
  for (const [name, request] of Object.entries(table)) {
    const expected = await said(t, without, request, 1)
    t.match(expected, /^HTTP\/1\.1 \d\d\d /, name)
    for (const parts of [1, 7]) t.equal(await said(t, ours, request, parts), expected, `${name}, in ${parts}`)
  }
  t.equal(ours.app.server.listenerCount('request'), without.app.server.listenerCount('request'), 'no listener is left')
})

t.test('a connection may be used again and again', async t => {
  const gateway = await startGateway(t, { peers: { ws: {} }, routes: withUpgrades }, app => { app.get('/own', async () => 'own') })
  const warned: string[] = []
  const warn = (warning: Error): void => { warned.push(String(warning)) }
  process.on('warning', warn)
  t.teardown(() => process.off('warning', warn))
  const client = new RawClient(t, portOf(gateway.url))
  for (let i = 1; i <= 50; i++) {
    client.socket.write(asking('/own', 'websocket'))
    await until(() => client.got.split('\r\n\r\nown').length > i)
  }
  t.equal(client.got.match(/HTTP\/1\.1 200 OK/g)?.length, 50)
  t.same(warned, [], 'no listener was left behind each time')
})

t.test('an upgrade behind a request that is still being answered waits for its turn', async t => {
  const peer = await startUpgradePeer(t, (_request, socket) => {
    socket.on('error', () => {}).on('end', () => socket.end()).resume()
    socket.write(`${agreed('foo')}hello`)
  })
  let answer = (): void => {}
  const gateway = await startGateway(t, { peers: { ws: { [peer.id]: {} } }, routes: withUpgrades }, app => {
    app.get('/slow', (_request, reply) => { answer = () => reply.send('slow') })
    app.get('/own', async () => 'own')
  })
  const slow = 'GET /slow HTTP/1.1\r\nHost: raw\r\n\r\n'
  for (const [request, expected] of [[asking('/ws', 'foo'), /\r\n\r\nslowHTTP\/1\.1 101 [^]*\r\n\r\nhello$/], [asking('/own', 'foo'), /\r\n\r\nslowHTTP\/1\.1 200 [^]*\r\n\r\nown$/]] as const) {
    answer = () => {}
    const unset = answer
    const client = new RawClient(t, portOf(gateway.url))
    client.socket.write(slow + request)
    await until(() => answer !== unset)
    t.equal(client.got, '')
    answer()
    await until(() => expected.test(client.got))
    t.match(client.got, expected)
  }
})

t.test('others that listen for upgrades keep theirs, and get none of ours', async t => {
  const peer = await startWsPeer(t)
  const wss = new WebSocketServer({ noServer: true })
  const others: string[] = []
  const gateway = await startGateway(t, { peers: { ws: { [peer.id]: {} } }, routes: withUpgrades }, app => {
    app.server.on('upgrade', (request, socket, head) => {
      others.push(request.url ?? '')
      wss.handleUpgrade(request, socket, head, ws => { ws.send('other') })
    })
  })
  t.equal(await (await openWs(t, `${gateway.url}/other`)).text(), 'other')
  t.equal(await (await openWs(t, `${gateway.url}/ws/chat`)).text(), `${peer.id}/chat`)
  t.same(others, ['/other'])
  for (const client of wss.clients) client.terminate()
})

t.test('beside @fastify/http-proxy each has its own', async t => {
  const [peer, other] = [await startWsPeer(t), await startWsPeer(t)]
  const gateway = await startGateway(t, { peers: { ws: { [peer.id]: {} } }, routes: withUpgrades }, app => {
    app.register(httpProxy, { upstream: `http://${other.id}`, prefix: '/proxied', rewritePrefix: '/', websocket: true })
    app.get('/own', async () => 'own')
  })
  t.equal(await (await openWs(t, `${gateway.url}/ws/chat`)).text(), `${peer.id}/chat`)
  t.match(await (await openWs(t, `${gateway.url}/proxied/chat`)).text(), other.id)
  t.equal(peer.asked.length, 1)
  t.equal(other.asked.length, 1)
})

t.test('which requests are ours: prefixes, escapes, the router\'s options', async t => {
  const peer = await startWsPeer(t)
  const peers = { ws: { [peer.id]: {} } }
  const told = async (gateway: TestGateway, path: string): Promise<string> => {
    const client = await openWs(t, gateway.url + path)
    const text = await client.text()
    client.ws.terminate()
    return text.slice(peer.id.length)
  }
  const gateway = await startGateway(t, {
    peers,
    routes: [
      ...withUpgrades, { prefix: '/old/api/', service: 'ws', websocket: true, rewritePrefix: '/v2' },
      { prefix: '/t/:tenant/live', service: 'ws', websocket: true }, { prefix: '/posts', service: 'ws', websocket: true, methods: ['POST'] }
    ]
  })
  for (const [path, expected] of [['/ws', '/'], ['/ws/', '/'], ['/ws/a/%41?q=1', '/a/%41?q=1'], ['/%77s/z', '/z'], ['/old/api/x', '/v2/x'], ['/t/me/live/1', '/1']] as const) {
    t.equal(await told(gateway, path), expected, path)
  }
  t.match(await refusal(`${gateway.url}/posts`), { status: 404 }, 'not by GET')
  t.match(await refusal(`${gateway.url}/WS`), { status: 404 })

  const loose = await startGateway(t, { peers, routes: withUpgrades }, () => {}, { routerOptions: { caseSensitive: false, ignoreDuplicateSlashes: true } })
  t.equal(await told(loose, '/WS/x'), '/x')
  t.match(await told(loose, '//ws/x'), /\/x$/)

  const all = await startGateway(t, { peers, routes: [{ prefix: '/', service: 'ws', websocket: true }] }, app => {
    app.get('/own', async () => 'own')
    app.get('/forwarded', (_request, reply) => reply.forward('ws'))
  })
  t.equal(await told(all, '/any/where'), '/any/where')
  t.match(await refusal(`${all.url}/own`), { status: 200, body: 'own', headers: { connection: 'close' } }, 'a route of the user\'s below ours')
  t.match(await refusal(`${all.url}/forwarded`), { status: 200, body: /"url":"\/forwarded"/ }, 'which forwards it as it would any other request')
})

t.test('by TLS', async t => {
  const tls = (name: string): Buffer => readFileSync(new URL(`../fixtures/tls/${name}`, import.meta.url))
  const peer = await startWsPeer(t)
  for (const http2 of [false, true]) {
    const https = { key: tls('server.key'), cert: tls('server.pem'), ...(http2 ? { allowHTTP1: true } : {}) }
    const app = Fastify({ forceCloseConnections: true, https, ...(http2 ? { http2 } : {}) } as object)
    t.teardown(() => app.close())
    await app.register(upstreamEtcd, { peers: { ws: { [peer.id]: {} } }, routes: withUpgrades })
    app.get('/own', async request => `own ${request.protocol} ${request.headers.upgrade}`)
    const url = await app.listen({ port: 0, host: '127.0.0.1' })
    const client = await openWs(t, url, [], { rejectUnauthorized: false }).catch(error => error as Error)
    t.match(client, { message: /404/ }, 'no route')
    const ws = await openWs(t, `${url}/ws`, [], { rejectUnauthorized: false })
    t.equal(await ws.text(), `${peer.id}/`)
    t.match(peer.asked.at(-1)?.headers, { 'x-forwarded-proto': 'https' })
    const socket = connectTls({ port: portOf(url), host: '127.0.0.1', rejectUnauthorized: false, ALPNProtocols: ['http/1.1'] })
    await once(socket, 'secureConnect')
    let got = ''
    socket.on('data', chunk => { got += String(chunk) })
    socket.write(asking('/own', 'foo'))
    await until(() => got.endsWith('own https foo'), { what: `plain answer, http2 ${http2}` })
    socket.destroy()
    await app.close()
    t.equal(await ws.closed, 1001)
  }
})
