import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import t, { type Test } from 'tap'
import { WebSocket } from 'ws'
import type { FastifyInstance } from 'fastify'
import type { ServiceOptions, UpstreamEtcdOptions } from '../../lib/index.js'
import { startGateway, type Answer, type TestGateway } from '../fixtures/gateway.js'
import { startPeer, type TestPeer } from '../fixtures/peer.js'
import { startWsPeer } from '../fixtures/upgrades.js'

const SECRET = 'a secret of some length'
const NAME = 'peer'

interface Stage { gateway: TestGateway, peers: TestPeer[], app: FastifyInstance }

async function stage (t: Test, service: ServiceOptions = {}, options: Partial<UpstreamEtcdOptions> = {}, count = 4): Promise<Stage> {
  const peers = await Promise.all(Array.from({ length: count }, () => startPeer(t)))
  const registered = Object.fromEntries(peers.map(({ id }) => [id, {}]))
  const gateway = await startGateway(t, {
    peers: { shop: registered, other: registered },
    services: { shop: { sticky: { cookie: NAME, secret: SECRET }, ...service }, other: { sticky: { cookie: NAME, secret: SECRET } } },
    routes: [{ prefix: '/shop', service: 'shop', websocket: true }, { prefix: '/other', service: 'other' }],
    ...options
  })
  return { gateway, peers, app: gateway.app }
}

/** The `name=value` that an answer sets; undefined when it sets none. */
function cookieOf (answer: Pick<Answer, 'headers'>): string | undefined {
  return [answer.headers['set-cookie'] ?? []].flat().find(line => line.startsWith(`${NAME}=`))?.split(';')[0]
}

const peerOf = (answer: Answer): unknown => answer.headers['x-peer']

t.test('a client stays on its peer, and others are spread', async t => {
  const { gateway } = await stage(t)
  const first = await gateway.send('/shop/')
  const cookie = cookieOf(first)
  t.match([first.headers['set-cookie']].flat()[0], /^peer=[\w-]+; Path=\/; HttpOnly; SameSite=Lax$/)
  for (let i = 0; i < 8; i++) {
    const next = await gateway.send('/shop/', { headers: { cookie: `a=1; ${cookie}; b=2` } })
    t.equal(peerOf(next), peerOf(first))
    t.equal(cookieOf(next), undefined, 'it knows already')
  }
  const others = new Set<unknown>()
  for (let i = 0; i < 4; i++) others.add(peerOf(await gateway.send('/shop/')))
  t.equal(others.size, 4)
})

t.test('the cookie tells nobody an address', async t => {
  const { gateway, peers } = await stage(t)
  const value = cookieOf(await gateway.send('/shop/'))?.slice(NAME.length + 1) ?? ''
  const text = Buffer.from(value, 'base64url').toString('latin1')
  for (const { id, port } of peers) t.notOk(text.includes(id) || text.includes(String(port)))
  t.not(cookieOf(await gateway.send('/shop/')), cookieOf(await gateway.send('/shop/')), 'and no two are alike')
})

t.test('a cookie that was changed, or is none of this service, is as good as none', async t => {
  const { gateway } = await stage(t)
  const cookie = cookieOf(await gateway.send('/shop/')) ?? ''
  const value = cookie.slice(NAME.length + 1)
  const flipped = [...value].map((letter, i) => value.slice(0, i) + (letter === 'A' ? 'B' : 'A') + value.slice(i + 1))
  // The last letter carries bits that no byte is made of.
  const bad = [...flipped.slice(0, -1), '', 'x', value.slice(0, -4), `${value}AAAA`, 'A'.repeat(38), 'A'.repeat(5000), '"', '%00', '=', cookieOf(await gateway.send('/other/'))?.slice(NAME.length + 1)]
  for (const text of bad) {
    const answer = await gateway.send('/shop/', { headers: { cookie: `${NAME}=${text}` } })
    t.equal(answer.status, 200)
    t.ok(cookieOf(answer), `a fresh pick, and a cookie for it, after ${text}`)
  }
})

t.test('who cannot take the request any more is left for another, who is told of', async t => {
  const { gateway, peers, app } = await stage(t)
  const first = await gateway.send('/shop/')
  const headers = { cookie: cookieOf(first) ?? '' }
  await app.upstreams.drain('shop', String(peerOf(first)))
  const moved = await gateway.send('/shop/', { headers })
  t.not(peerOf(moved), peerOf(first))
  t.ok(cookieOf(moved))
  app.upstreams.recover('shop', String(peerOf(first)))
  t.equal(peerOf(await gateway.send('/shop/', { headers })), peerOf(first), 'back, and kept again')
  await peers.find(({ id }) => id === peerOf(first))?.kill()
  const saved = await gateway.send('/shop/', { headers })
  t.equal(saved.status, 200, 'refused there, answered elsewhere')
  t.not(peerOf(saved), peerOf(first))
  t.ok(cookieOf(saved))
})

t.test('an answer that only stands because nobody else had a better one keeps nobody', async t => {
  const [good, bad] = [await startPeer(t), await startPeer(t, { status: 503 })]
  const lasts: unknown[] = []
  const gateway = await startGateway(t, {
    peers: { shop: { [good.id]: {}, [bad.id]: {} } },
    sticky: { cookie: NAME, secret: SECRET },
    outlier: false,
    retry: { attempts: 1 },
    routes: [{ prefix: '/', service: 'shop' }]
  }, app => { app.addHook('onResponse', async request => { lasts.push(request.upstream?.attempts.at(-1)?.peer) }) })
  await good.kill()
  const answers = await gateway.sendMany(4, '/')
  t.same(answers.map(({ status }) => status), [503, 503, 503, 503])
  t.same(new Set(lasts), new Set([good.id, bad.id]), 'either was tried last')
  answers.forEach((answer, i) => t.equal(cookieOf(answer) !== undefined, lasts[i] === bad.id))
})

t.test('the peer\'s own cookies go on beside ours', async t => {
  const peer = await startPeer(t, { handler: (_request, response) => response.setHeader('set-cookie', ['a=1', 'b=2']).end('ok') })
  const gateway = await startGateway(t, { peers: { shop: { [peer.id]: {} } }, sticky: { cookie: NAME, secret: SECRET }, routes: [{ prefix: '/', service: 'shop' }] })
  const cookies = [(await gateway.send('/')).headers['set-cookie']].flat()
  t.match(cookies, ['a=1', 'b=2', /^peer=/])
})

t.test('over TLS the cookie is for TLS alone, as far as the proxy before us is trusted', async t => {
  const peer = await startPeer(t)
  const gateway = await startGateway(t, { peers: { shop: { [peer.id]: {} } }, sticky: { cookie: NAME, secret: SECRET }, routes: [{ prefix: '/', service: 'shop' }] }, undefined, { trustProxy: true })
  t.match((await gateway.send('/', { headers: { 'x-forwarded-proto': 'https' } })).headers['set-cookie'], /; Secure$/)
})

t.test('a secret can be changed: cookies of the one before are still understood', async t => {
  const { gateway: old, peers } = await stage(t)
  const first = await old.send('/shop/')
  const registered = Object.fromEntries(peers.map(({ id }) => [id, {}]))
  const both = { cookie: NAME, secret: ['the next secret of all', SECRET] }
  const gateway = await startGateway(t, { peers: { shop: registered }, sticky: both, routes: [{ prefix: '/shop', service: 'shop' }] })
  const headers = { cookie: cookieOf(first) ?? '' }
  for (let i = 0; i < 4; i++) t.equal(peerOf(await gateway.send('/shop/', { headers })), peerOf(first))
  const fresh = cookieOf(await gateway.send('/shop/')) ?? ''
  t.ok(cookieOf(await old.send('/shop/', { headers: { cookie: fresh } })), 'those of the new one are not, by who does not know it')
})

t.test('an upgrade keeps its client, too', async t => {
  const peers = await Promise.all([1, 2, 3].map(() => startWsPeer(t)))
  const gateway = await startGateway(t, {
    peers: { shop: Object.fromEntries(peers.map(({ id }) => [id, {}])) },
    sticky: { cookie: NAME, secret: SECRET },
    routes: [{ prefix: '/', service: 'shop', websocket: true }]
  })
  const url = gateway.url.replace('http', 'ws')
  const upgraded = async (headers: Record<string, string>): Promise<string[] | undefined> => {
    const socket = new WebSocket(url, { headers })
    const [response] = await once(socket, 'upgrade') as [IncomingMessage]
    socket.terminate()
    return response.headers['set-cookie']
  }
  const [line = ''] = await upgraded({}) ?? []
  t.match(line, /^peer=/)
  for (let i = 0; i < 5; i++) t.equal(await upgraded({ cookie: line.split(';')[0] ?? '' }), undefined)
  t.same(peers.map(({ asked }) => asked.length).sort(), [0, 0, 6])
})
