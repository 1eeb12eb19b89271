import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import t, { type Test } from 'tap'
import Fastify, { type FastifyInstance } from 'fastify'
import { Client, fetch } from 'undici'
import upstreamEtcd, { type ServiceOptions } from '../../lib/index.js'
import { startGateway, type SendOptions, type TestGateway } from '../fixtures/gateway.js'
import { startPeer } from '../fixtures/peer.js'

interface Stage { gateway: TestGateway, lines: string[] }

async function stage (t: Test, service: ServiceOptions, prepare: (app: FastifyInstance) => void = () => {}): Promise<Stage> {
  const peers = await Promise.all(Array.from({ length: 5 }, () => startPeer(t)))
  const lines: string[] = []
  const stream = new Writable({ write: (chunk, _encoding, done) => { lines.push(String(chunk)); done() } })
  const gateway = await startGateway(t, {
    peers: { shop: Object.fromEntries(peers.map(({ id }) => [id, {}])) },
    services: { shop: { balancer: 'hash', ...service } },
    routes: [{ prefix: '/shop', service: 'shop' }]
  }, prepare, { trustProxy: true, logger: { level: 'warn', stream } })
  return { gateway, lines }
}

/** Which peers take requests that are each sent five times. */
async function whoTakes (gateway: TestGateway, requests: ReadonlyArray<[path: string, options?: SendOptions]>): Promise<unknown[]> {
  const takers: unknown[] = []
  for (const [path, options] of requests) {
    const peers = new Set<unknown>()
    for (let i = 0; i < 5; i++) peers.add((await gateway.send(path, options)).headers['x-peer'])
    takers.push(peers.size === 1 ? [...peers][0] : 'several')
  }
  return takers
}

const many = Array.from({ length: 12 }, (_, i) => i)

t.test('each form of hashKey: one key, one peer; many keys, several peers', async t => {
  const forms: Array<[ServiceOptions, (i: number) => [string, SendOptions?]]> = [
    [{}, i => ['/shop/', { headers: { 'x-forwarded-for': `10.0.0.${i}` } }]],
    [{ hashKey: 'ip' }, i => ['/shop/', { headers: { 'x-forwarded-for': `10.0.0.${i}` } }]],
    [{ hashKey: 'uri' }, i => [`/shop/things?page=${i}`]],
    [{ hashKey: 'header:X-User' }, i => ['/shop/', { headers: { 'x-user': `user ${i}` } }]],
    [{ hashKey: 'cookie:sid' }, i => ['/shop/', { headers: { cookie: `a=b; sid=${i}-x; sid2=z` } }]],
    [{ hashKey: request => String(request.headers['x-tenant']) }, i => ['/shop/', { headers: { 'x-tenant': `tenant ${i}` } }]]
  ]
  for (const [options, request] of forms) {
    const { gateway } = await stage(t, options)
    const takers = await whoTakes(gateway, many.map(request))
    t.notOk(takers.includes('several'), `${String(options.hashKey)}: each key has one peer`)
    t.ok(new Set(takers).size >= 3, `${String(options.hashKey)}: the keys have several`)
  }
})

t.test('a request without the header or cookie goes by its client\'s address', async t => {
  for (const hashKey of ['header:x-user', 'cookie:sid'] as const) {
    const { gateway } = await stage(t, { hashKey })
    const takers = await whoTakes(gateway, many.map(i => ['/shop/', { headers: { 'x-forwarded-for': `10.0.0.${i}`, cookie: 'sid=; other' } }]))
    t.notOk(takers.includes('several'))
    t.ok(new Set(takers).size >= 3)
  }
})

t.test('a hashKey that throws, or gives no text, is told of once, and the address is used', async t => {
  const bad: Array<() => unknown> = [() => { throw new Error('no such tenant') }, () => undefined, () => 7, () => Promise.resolve('x'), () => Promise.reject(new Error('too late'))]
  for (const hashKey of bad) {
    const { gateway, lines } = await stage(t, { hashKey: hashKey as () => string })
    const takers = await whoTakes(gateway, many.map(i => ['/shop/', { headers: { 'x-forwarded-for': `10.0.0.${i}` } }]))
    t.notOk(takers.includes('several'))
    t.ok(new Set(takers).size >= 3)
    t.equal(lines.filter(line => line.includes('hashKey failed')).length, 1, 'one line for 60 requests')
    t.match(lines[0], /no such tenant|hashKey gave \w+ in place of a string/)
  }
})

t.test('a key given with the request counts, whatever hashKey says', async t => {
  const { gateway } = await stage(t, { hashKey: 'uri' }, app => {
    app.get('/direct/:key', (request, reply) => reply.forward('shop', { path: '/', key: (request.params as { key: string }).key }))
  })
  const takers = await whoTakes(gateway, many.map(i => [`/direct/key-${i % 4}?n=${i}`]))
  for (const i of many) t.equal(takers[i], takers[i % 4])
  const { upstreams } = gateway.app
  for (const i of [0, 1, 2, 3]) {
    const pick = upstreams.pick('shop', { key: `key-${i}` })
    pick?.done({ status: 200, ms: 1 })
    t.equal(pick?.peer.id, takers[i], 'app.upstreams.pick goes the same way')
  }
})

t.test('what the dispatcher sends is hashed by its path and fields', async t => {
  for (const [hashKey, send] of [
    ['uri', (i: number) => [`/x?${i}`, {}] as const],
    ['header:x-user', (i: number) => ['/', { 'X-User': `u${i}` }] as const],
    ['cookie:sid', (i: number) => ['/', { cookie: `sid=${i}` }] as const]
  ] as const) {
    const { gateway } = await stage(t, { hashKey })
    const { dispatcher, origin } = { dispatcher: gateway.app.upstreams.dispatcher, origin: gateway.app.upstreams.origin('shop') }
    const takers = new Set<unknown>()
    for (const i of many) {
      const [path, headers] = send(i)
      const peers = new Set<unknown>()
      for (let n = 0; n < 3; n++) {
        const answer = await fetch(origin + path, { dispatcher, headers })
        await answer.text()
        peers.add(answer.headers.get('x-peer'))
      }
      t.equal(peers.size, 1)
      takers.add([...peers][0])
    }
    t.ok(takers.size >= 3, `${takers.size} peers for ${hashKey}`)
  }
})

t.test('the dispatcher knows no client: by address, and by a function of a request, anybody may take it', async t => {
  for (const hashKey of ['ip', () => 'same'] as const) {
    const { gateway } = await stage(t, { hashKey })
    const { upstreams } = gateway.app
    const takers = new Set<unknown>()
    for (let i = 0; i < 60; i++) {
      const answer = await fetch(upstreams.origin('shop'), { dispatcher: upstreams.dispatcher })
      await answer.text()
      takers.add(answer.headers.get('x-peer'))
    }
    t.equal(takers.size, 5)
  }
})

t.test('a client without an address, by a socket of the file system, is served by anybody', async t => {
  const peers = await Promise.all(Array.from({ length: 3 }, () => startPeer(t)))
  const folder = await mkdtemp(join(tmpdir(), 'affinity-'))
  t.teardown(() => rm(folder, { recursive: true }))
  const app = Fastify()
  t.teardown(() => app.close())
  await app.register(upstreamEtcd, { peers: { shop: Object.fromEntries(peers.map(({ id }) => [id, {}])) }, balancer: 'hash', routes: [{ prefix: '/', service: 'shop' }] })
  const socketPath = join(folder, 'gateway.sock')
  await app.listen({ path: socketPath })
  const client = new Client('http://gateway', { socketPath })
  t.teardown(() => client.close())
  const takers = new Set<unknown>()
  for (let i = 0; i < 40; i++) {
    const answer = await client.request({ path: '/', method: 'GET' })
    await answer.body.dump()
    t.equal(answer.statusCode, 200)
    takers.add(answer.headers['x-peer'])
  }
  t.equal(takers.size, 3)
})
