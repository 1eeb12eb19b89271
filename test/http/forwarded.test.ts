import t, { type Test } from 'tap'
import type { FastifyServerOptions } from 'fastify'
import type { UpstreamEtcdOptions } from '../../lib/index.js'
import { startGateway } from '../fixtures/gateway.js'
import { ask, portOf, startRawPeer } from '../fixtures/raw.js'

const OK = 'HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 2\r\n\r\nok'

/** What the peer is told besides Host and Connection, when a client says `head` behind the path. */
async function seen (t: Test, head: string, options: Partial<UpstreamEtcdOptions> = {}, server: FastifyServerOptions = {}): Promise<Record<string, string>> {
  const peer = await startRawPeer(t, { answer: socket => { socket.write(OK) } })
  const gateway = await startGateway(t, { peers: { shop: { [peer.id]: {} } }, routes: [{ prefix: '/', service: 'shop' }], inspect: false, ...options }, undefined, server)
  const { answers } = await ask(portOf(gateway.url), `GET /x ${head}\r\n\r\n`)
  t.match(answers[0]?.line, / 200 /)
  const headers = (peer.requests[0]?.headers ?? []).map(([name, value]) => [name.toLowerCase(), value] as const)
  return Object.fromEntries(headers.filter(([name]) => name !== 'host' && name !== 'connection'))
}

t.test('no X-Forwarded-Host is made up for a client that names no host', async t => {
  const rest = { 'x-forwarded-for': '127.0.0.1', 'x-forwarded-proto': 'http' }
  t.same(await seen(t, 'HTTP/1.0'), rest)
  t.same(await seen(t, 'HTTP/1.1\r\nHost:'), rest)
  t.same(await seen(t, 'HTTP/1.0\r\nX-Forwarded-Host: evil.example'), rest, 'and not what an untrusted one says')
  t.same(await seen(t, 'HTTP/1.0\r\nHost: h'), { ...rest, 'x-forwarded-host': 'h' })
  t.match(await seen(t, 'HTTP/1.0\r\nX-Forwarded-Host: shop.example\r\nX-Forwarded-For: 1.2.3.4', {}, { trustProxy: true }), { 'x-forwarded-host': 'shop.example' })
})

t.test('Forwarded of an untrusted client says no more than its X-Forwarded fields', async t => {
  const claims = { forwarded: 'for=6.6.6.6;proto=https;host=shop.example', 'x-real-ip': '6.6.6.6' }
  const head = `HTTP/1.1\r\nHost: h\r\nFORWARDED: ${claims.forwarded}\r\nX-Real-IP: 6.6.6.6`
  const ours = { 'x-forwarded-for': '127.0.0.1', 'x-forwarded-proto': 'http', 'x-forwarded-host': 'h' }
  t.same(await seen(t, head), { ...ours, 'x-real-ip': '6.6.6.6' })
  t.same(await seen(t, `${head}\r\nForwarded: for=7.7.7.7`), { ...ours, 'x-real-ip': '6.6.6.6' }, 'however often')
  t.same(await seen(t, head, { forwarded: false }), claims, 'all goes on as it came when nothing is said of our own')
  t.match(await seen(t, `${head}\r\nX-Forwarded-For: 1.2.3.4`, {}, { trustProxy: true }), claims, 'a trusted one is believed')
  t.same(await seen(t, head, {}, { trustProxy: '10.0.0.1' }), { ...ours, 'x-real-ip': '6.6.6.6' }, 'one of those who are not trusted')
})
