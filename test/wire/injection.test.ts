import Fastify from 'fastify'
import t from 'tap'
import upstreamEtcd from '../../lib/index.js'
import { createCodec } from '../../lib/syncer/codec/codec.js'
import { parseJson } from '../../lib/io/json.js'
import { startGateway } from '../fixtures/gateway.js'
import { valuesOf } from '../fixtures/http-bytes.js'
import { ask, portOf, startRawPeer } from '../fixtures/raw.js'
import { until } from '../fixtures/wait.js'

const OK = 'HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 2\r\n\r\nok'
const EVIL = ['\r\nx-evil: 1', '\nx-evil: 1', '\r\n\r\nGET /evil HTTP/1.1\r\nhost: x\r\n\r\n', '\0', '\u010d\u010ax-evil: 1', '\u2028x-evil: 1', ' HTTP/1.1\r\nx-evil: 1\r\n']

t.test('options that would break a line are refused', async t => {
  const refused = async (options: object): Promise<unknown> => {
    const app = Fastify()
    try {
      await app.register(upstreamEtcd, { peers: { shop: {} }, ...options })
      return 'accepted'
    } catch (error) {
      return (error as { code?: string }).code
    } finally {
      await app.close()
    }
  }
  for (const [i, evil] of EVIL.entries()) {
    const options: Record<string, object> = {
      host: { host: `a${evil}` },
      userAgent: { check: { userAgent: `a${evil}` } },
      checkPath: { check: { path: `/a${evil}` } },
      rewritePrefix: { routes: [{ prefix: '/a', service: 'shop', rewritePrefix: `/b${evil}` }] },
      prefix: { routes: [{ prefix: `/a${evil}`, service: 'shop' }] },
      key: { peers: { shop: { [`127.0.0.1:80${evil}`]: {} } } },
      keyBefore: { peers: { shop: { [`${evil}127.0.0.1:80`]: {} } } },
      inspectPath: { inspect: { path: `/a${evil}` } },
      scheme: { peers: { shop: { '127.0.0.1:80': { scheme: `http${evil}` } } } },
      checkUrl: { peers: { shop: { '127.0.0.1:80': { checkurl: `/a${evil}` } } } }
    }
    for (const [name, option] of Object.entries(options)) {
      if (evil.startsWith('\u2028') && (name === 'rewritePrefix' || name === 'prefix')) continue
      t.equal(await refused(option), 'FST_UPSTREAM_BAD_OPTION', `${name}, ${i}`)
    }
  }
})

t.test('registrations that would break a line make no peer, or one without it', async t => {
  const codec = createCodec({ keyPrefix: '/services/', format: 'auto', parse: parseJson })
  const keys = (evil: string): string[] => ['', `127.0.0.1:80${evil}`, `127.0.0.1${evil}:80`, `a${evil}.example:80`, `[::1${evil}]:80`, `${evil}a.example:80`]
  const values = (evil: string): string[] => [
    '{}', '', `10.0.0.1:80${evil}`, `http://10.0.0.1${evil}:80/${evil}`,
    ...['checkurl', 'check_url', 'scheme', 'host', 'address'].map(name => JSON.stringify({ [name]: `/a${evil}` })),
    JSON.stringify({ Op: 0, Addr: `1.2.3.4:80${evil}`, Metadata: {} }), JSON.stringify({ Op: 0, Addr: `${evil}1.2.3.4:80`, Metadata: { check_url: `/a${evil}` } })
  ]
  let peers = 0
  for (const evil of EVIL) {
    for (const key of [...keys(evil), '127.0.0.1:80']) {
      for (const value of values(evil)) {
        const decoded = codec.decode({ key: `/services/shop/${key}`, value, size: value.length, modRevision: 1n, lease: 0n }, undefined)
        for (const { peer } of decoded.kind === 'peers' ? decoded.peers : []) {
          peers++
          const { host, scheme, checkUrl, id } = peer
          t.match(`${scheme} ${host} ${id} ${checkUrl ?? 'null'}`, /^https? [\w.:[\]-]+ [\w.:[\]-]+ (?:null|\/[\x21-\x7e]*)$/)
        }
      }
    }
  }
  t.ok(peers > 50, `${peers} peers`)
})

t.test('what registry, handlers and clients say stays in its line', async t => {
  const peer = await startRawPeer(t, { answer: socket => { socket.write(OK) } })
  let evil = ''
  const gateway = await startGateway(t, {
    peers: { shop: { [peer.id]: { checkurl: '/up', params: { evil: EVIL } } } },
    check: { interval: 30 },
    routes: [{ prefix: '/by', service: request => String(request.headers['x-service']) }]
  }, app => {
    app.get('/path', (_request, reply) => reply.forward('shop', { path: `/a${evil}` }))
    app.get('/query', (_request, reply) => reply.forward('shop', { path: '/a', query: `b=${evil}` }))
    app.get('/fields', (_request, reply) => reply.forward('shop', { path: '/a', query: { b: evil, [`c${evil}`]: '1' } }))
    app.get('/value', (_request, reply) => reply.forward('shop', { path: '/a', headers: { 'x-mine': `b${evil}` } }))
    app.get('/list', (_request, reply) => reply.forward('shop', { path: '/a', headers: { 'x-mine': ['a', `b${evil}`] } }))
    app.get('/name', (_request, reply) => reply.forward('shop', { path: '/a', headers: { [`x-mine${evil}`]: 'b' } }))
    app.get('/host', (_request, reply) => reply.forward('shop', { path: '/a', headers: { host: `b${evil}` } }))
    app.get('/service', (_request, reply) => reply.forward(`shop${evil}`))
    app.get('/framing', (_request, reply) => reply.forward('shop', { path: '/a', headers: { 'transfer-encoding': 'chunked', 'content-length': '5', connection: 'close, x', upgrade: 'x', 'keep-alive': 'x', te: 'x' } }))
  })
  await until(() => peer.requests.some(({ line }) => line === 'GET /up HTTP/1.1'), { what: 'a check' })
  for (const [i, text] of EVIL.entries()) {
    evil = text
    for (const path of ['path', 'query', 'fields', 'value', 'list', 'name', 'host', 'service']) {
      const { status, headers, body } = await gateway.send(`/${path}`)
      t.ok(status < 500 || /FST_UPSTREAM_BAD_OPTION|FST_UPSTREAM/.test(body) || status === 200, `${path}, ${i}: ${status}`)
      t.notOk('x-evil' in headers)
    }
  }
  const framed = await gateway.send('/framing')
  t.ok(framed.status === 200 || framed.status < 500, `headers of the connection in a handler: ${framed.status} ${framed.body}`)
  t.same(peer.faults, [])
  t.notOk(peer.requests.some(({ line }) => line.startsWith('GET /evil')))
  t.same(peer.requests.flatMap(({ headers }) => valuesOf(headers, 'x-evil')), [])
  const { answers: [answer] } = await ask(portOf(gateway.url), 'GET /by HTTP/1.1\r\nHost: x\r\nX-Service: \xe9\x80"{}\'\\r\\n\r\nConnection: close\r\n\r\n')
  t.match(answer?.line, /^HTTP\/1\.1 404 /)
  for (const route of ['/_upstreams', '/_upstreams?text', '/_upstreams/services/shop']) {
    const { status, headers, body } = await gateway.send(route)
    t.equal(status, 200)
    t.notOk('x-evil' in headers)
    if (route.endsWith('text')) t.notMatch(body, /^x-evil/m)
  }
  t.match(gateway.app.upstreams.status().services[0], { inflight: 0 })
})
