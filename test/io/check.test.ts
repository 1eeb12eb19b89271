import { once } from 'node:events'
import { createServer as createPlain, type RequestListener } from 'node:http'
import { createServer, type ServerOptions } from 'node:https'
import { createServer as createTcp, type AddressInfo, type Server } from 'node:net'
import type { TLSSocket } from 'node:tls'
import t from 'tap'
import type { CheckTask } from '../../lib/health/checks.js'
import { Checker } from '../../lib/io/check.js'
import type { CheckSettings, ServiceSettings, TlsSettings } from '../../lib/store/settings.js'
import { checks, settings, World } from '../fixtures/pure.js'
import { pem } from '../fixtures/pem.js'
import { until } from '../fixtures/wait.js'

type T = Pick<typeof t, 'teardown'>

const own = { cert: pem('server.pem'), key: pem('server.key') }
const ca = pem('ca.pem')

/** Lets a server listen until the test ends; its port, and how many connections it has seen. */
async function listen (t: T, server: Server): Promise<{ port: number, seen: { connections: number, open: number } }> {
  const seen = { connections: 0, open: 0 }
  server.on('connection', socket => {
    seen.connections++
    seen.open++
    socket.on('error', () => {}).once('close', () => { seen.open-- })
    t.teardown(() => { socket.destroy() })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => { server.close() })
  return { port: (server.address() as AddressInfo).port, seen }
}

/** One check of a peer there, as the gateway would make it. */
async function check (at: { port: number, host?: string, scheme?: 'http' | 'https' }, fields: Partial<CheckSettings> = {}, of: Partial<Omit<ServiceSettings, 'tls'>> & { tls?: Partial<TlsSettings> } = {}) {
  const { host = '127.0.0.1', port, scheme = 'https' } = at
  const world = new World({ ...of, tls: { ...settings().tls, ...of.tls }, check: checks({ path: '/up', ...fields }) })
  world.put(`${host}:${port}`, { host, port, scheme })
  const [task] = world.due()
  if (task === undefined) throw new Error('no check is due')
  return await new Checker().run(task)
}

async function https (t: T, options: ServerOptions = {}, listener?: RequestListener) {
  return await listen(t, createServer({ ...own, ...options }, listener ?? ((_request, response) => { response.end('fine') })))
}

t.test('over https a peer must prove who it is, as for requests', async t => {
  const { port, seen } = await https(t)
  const table: Array<[string, string, Partial<TlsSettings>, RegExp | null]> = [
    ['by default nobody knows its authority', '127.0.0.1', {}, /^GET \/up: .*certificate/],
    ['its authority', '127.0.0.1', { ca }, null],
    ['another authority', '127.0.0.1', { ca: pem('other-ca.pem') }, /^GET \/up: .*certificate/],
    ['a name that it has', '127.0.0.1', { ca, serverName: 'etcd.test' }, null],
    ['a name that it has not', '127.0.0.1', { ca, serverName: 'shop.test' }, /^GET \/up: .*shop\.test/],
    ['a host that it has not', 'localhost', { ca }, /^GET \/up: .*localhost/],
    ['no questions', '127.0.0.1', { rejectUnauthorized: false }, null]
  ]
  for (const [what, host, tls, error] of table) {
    const answer = await check({ port, host }, {}, { tls })
    t.match(answer, error === null ? { ok: true, status: 200, error: null } : { ok: false, status: null, error }, what)
  }
  const before = seen.connections
  for (let i = 0; i < 3; i++) await check({ port }, {}, { tls: { ca } })
  t.equal(seen.connections - before, 3, 'each on a connection of its own: whether it takes new ones is part of the question')
  await until(() => seen.open === 0, { what: 'the end of all connections' })
})

t.test('with a certificate of our own where the peer asks for one', async t => {
  let client: string | undefined
  const { port } = await https(t, { requestCert: true, rejectUnauthorized: true, ca }, (request, response) => {
    client = (request.socket as TLSSocket).getPeerCertificate().subject?.CN as string
    response.end()
  })
  t.match(await check({ port }, {}, { tls: { ca, cert: pem('client.pem'), key: pem('client.key') } }), { ok: true, status: 200 })
  t.equal(client, 'client')
  t.match(await check({ port }, {}, { tls: { ca } }), { ok: false, status: null, error: /^GET \/up: / })
})

t.test('what is asked: the path, the host, the agent; a redirect is an answer and is not followed', async t => {
  const asked: Array<[string | undefined, string | undefined, string | undefined, string | undefined]> = []
  const { port } = await https(t, {}, ({ method, url, headers }, response) => {
    asked.push([method, url, headers.host, headers['user-agent']])
    response.writeHead(302, { location: '/elsewhere' }).end()
  })
  const tls = { ca }
  t.match(await check({ port }, { userAgent: 'probe/1' }, { tls }), { ok: true, status: 302 })
  t.match(await check({ port }, { status: [[200, 299]] }, { tls, host: 'shop.example' }), { ok: false, status: 302, error: 'GET /up answered 302' })
  t.same(asked, [['GET', '/up', `127.0.0.1:${port}`, 'probe/1'], ['GET', '/up', 'shop.example', 'fastify-upstream-etcd']])
})

t.test('the statuses that count', async t => {
  const { port } = await listen(t, createPlain(({ url }, response) => { response.writeHead(Number(url?.slice(1))).end() }))
  const cases: Array<[number, Array<[number, number]>, boolean]> = [
    [200, [[200, 399]], true], [399, [[200, 399]], true], [400, [[200, 399]], false], [500, [[200, 399]], false], [503, [[200, 399]], false],
    [204, [[200, 200], [204, 204]], true], [201, [[200, 200], [204, 204]], false], [404, [[404, 404]], true]
  ]
  for (const [status, accepted, ok] of cases) {
    t.match(await check({ port, scheme: 'http' }, { path: `/${status}`, status: accepted }), { ok, status }, `${status} of ${accepted.join(' ')}`)
  }
})

t.test('in time, whatever it hangs on, and nothing is left of it', async t => {
  const silent = await listen(t, createTcp(socket => { socket.resume() }))
  const mute = await https(t, {}, () => {})
  const endless = await https(t, {}, (_request, response) => { response.writeHead(200).write('never ends') })
  const late = { ok: false, status: null, error: 'GET /up took over 80 ms' }
  t.match(await check(silent, { timeout: 80 }, { tls: { ca } }), { ok: false, error: /^GET \/up(?:: no connection within| took over) 80 ms$/ }, 'the handshake')
  t.match(await check(mute, { timeout: 80 }, { tls: { ca } }), late, 'the answer')
  t.match(await check(endless, {}, { tls: { ca } }), { ok: true, status: 200 }, 'the body is none of its business')
  for (const { seen } of [silent, mute, endless]) await until(() => seen.open === 0, { what: 'the end of the connection' })
})

t.test('by connecting, whatever is spoken there', async t => {
  const { port, seen } = await listen(t, createTcp(socket => { socket.resume() }))
  for (const scheme of ['http', 'https'] as const) {
    t.match(await check({ port, scheme }, { type: 'tcp' }), { ok: true, status: null, error: null })
  }
  await until(() => seen.open === 0, { what: 'the end of the connections' })
  const closed = await listen(t, createTcp(socket => { socket.resume() }))
  const gone = createTcp()
  gone.listen(0, '127.0.0.1')
  await once(gone, 'listening')
  const free = (gone.address() as AddressInfo).port
  await new Promise(resolve => gone.close(resolve))
  t.match(await check({ port: free }, { type: 'tcp' }), { ok: false, status: null, error: /^connecting: connect ECONNREFUSED/ })
  t.match(await check({ port: free }), { ok: false, status: null, error: /^GET \/up: connect ECONNREFUSED/ })
  t.match(await check({ port: closed.port, host: 'no-such-host.invalid' }, { type: 'tcp' }), { ok: false, error: /^connecting: / })
})

t.test('a peer that speaks the other scheme has failed', async t => {
  const plain = await listen(t, createPlain((_request, response) => { response.end() }))
  t.match(await check({ port: plain.port }, {}, { tls: { ca } }), { ok: false, status: null, error: /^GET \/up: / })
  const tls = await https(t)
  t.match(await check({ port: tls.port, scheme: 'http' }), { ok: false, error: /^GET \/up/ })
})

t.test('the end of all ends those under way', async t => {
  const { port, seen } = await https(t, {}, () => {})
  const world = new World({ tls: { ...settings().tls, ca }, check: checks({ path: '/up', timeout: 60_000 }) })
  world.put(`127.0.0.1:${port}`, { host: '127.0.0.1', port, scheme: 'https' })
  const checker = new Checker()
  const [task] = world.due()
  if (task === undefined) throw new Error('no check is due')
  const answer = checker.run(task)
  await until(() => seen.open === 1, { what: 'the connection' })
  checker.close()
  t.match(await answer, { ok: false, status: null, error: /^GET \/up: / })
  await until(() => seen.open === 0, { what: 'its end' })
})

/** Checks of a peer there: /1, /2 and so on. */
function tasks (port: number, n: number): CheckTask[] {
  const world = new World({ check: checks({ path: '/' }) })
  world.put(`127.0.0.1:${port}`, { host: '127.0.0.1', port })
  return world.due().flatMap(task => Array.from({ length: n }, (_, i) => ({ ...task, path: `/${i + 1}` })))
}

t.test('no more at once than one process can bear, in the order in which they came', async t => {
  const answers: Array<() => void> = []
  const paths: string[] = []
  const { port, seen } = await listen(t, createPlain(({ url }, response) => {
    paths.push(url ?? '')
    answers.push(() => { response.end() })
  }))
  const checker = new Checker(2)
  const ended = tasks(port, 5).map(async task => (await checker.run(task)).error)
  for (const next of [2, 3, 4]) {
    await until(() => answers.length === next, { what: `request ${next}` })
    t.ok(seen.open <= 2)
    answers[next - 2]?.()
    await ended[next - 2]
  }
  await until(() => answers.length === 5, { what: 'the last request' })
  t.same(paths, ['/1', '/2', '/3', '/4', '/5'])
  for (const answer of answers) answer()
  t.same(await Promise.all(ended), [null, null, null, null, null])
})

t.test('the end of all ends those that wait, too', async t => {
  const { port, seen } = await listen(t, createPlain(() => {}))
  const checker = new Checker(1)
  const ended = tasks(port, 3).map(async task => await checker.run(task))
  await until(() => seen.open === 1, { what: 'the connection' })
  checker.close()
  const [first, ...others] = await Promise.all(ended)
  t.match(first, { ok: false, error: /^GET \/1: / })
  t.same(others, [1, 2].map(() => ({ ok: false, status: null, ms: 0, error: 'the gateway was closed' })))
  t.equal(seen.connections, 1)
})
