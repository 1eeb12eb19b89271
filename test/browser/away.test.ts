import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import Fastify, { type FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import upstreamEtcd, { type UpstreamEtcdOptions } from '../../lib/index.js'
import { needBrowser, startBrowser } from '../fixtures/browser.js'
import { startGateway } from '../fixtures/gateway.js'
import { drawn, picture, read, rowOf } from '../fixtures/page.js'
import { freePort } from '../fixtures/port.js'
import { until } from '../fixtures/wait.js'

needBrowser(t)
const browser = await startBrowser(t)

/** What a browser says by itself of a gateway that is away. */
const expected = [/net::ERR_CONNECTION_REFUSED|net::ERR_INCOMPLETE_CHUNKED_ENCODING|net::ERR_CONNECTION_RESET|net::ERR_EMPTY_RESPONSE/]
const peers = { shop: { '10.0.0.1:1': {}, '10.0.0.2:1': {} } }

async function listen (t: Pick<Test, 'teardown'>, port: number, options: UpstreamEtcdOptions): Promise<FastifyInstance> {
  const app = Fastify()
  t.teardown(async () => await app.close())
  await app.register(upstreamEtcd, { check: false, ...options })
  await app.listen({ port, host: '127.0.0.1' })
  return app
}

t.test('the gateway goes away, and comes back', async t => {
  const port = await freePort()
  const first = await listen(t, port, { peers })
  const { page } = await browser.openPage(t, `http://127.0.0.1:${port}/_upstreams`, { expected })
  await drawn(page)
  await first.upstreams.drain('shop', '10.0.0.1:1')
  await until(async () => rowOf(await read(page), 'shop', '10.0.0.1:1')?.state === '▽ draining', { timeout: 10_000, what: 'drained peer' })

  const from = performance.now()
  await first.close()
  t.ok(performance.now() - from < 2000, 'a page that looks does not hold up the end')
  const lost = await until(async () => {
    const shown = await read(page)
    return shown.title.startsWith('▲ disconnected') && shown
  }, { timeout: 10_000, what: 'word in the title' })
  t.match(lost.link, /^▲ Disconnected: .*\. The figures are those of \d\d:\d\d:\d\dZ, \d+(\.\d)? s ago\.$/)
  t.equal(rowOf(lost, 'shop', '10.0.0.1:1')?.state, '▽ draining', 'what was known is still there')
  t.equal(await page.getAttribute('#registry', 'class'), 'off', 'and nothing of it is green')
  await picture(page, 'disconnected')

  const second = await listen(t, port, { peers: { shop: { ...peers.shop, '10.0.0.3:1': {} } } })
  const back = await until(async () => {
    const shown = await read(page)
    return shown.link === '' && shown.services[0]?.rows.length === 3 && shown
  }, { timeout: 10_000, what: 'recovery' })
  t.notMatch(back.title, 'disconnected')
  t.equal(await page.getAttribute('#registry', 'class'), 'good')
  t.not(rowOf(back, 'shop', '10.0.0.1:1')?.state, '▽ draining')
  const registered = back.timeline.filter(line => /10\.0\.0\..*registered/.test(line)).map(line => line.slice(10))
  t.same(new Set(registered).size, registered.length, 'nothing is told twice')
  t.equal(registered.length, 3)
  t.equal(back.timeline.filter(line => line.includes('drain')).length, 0, 'the timeline is the one of this run')
  await second.upstreams.drain('shop', '10.0.0.3:1')
  await until(async () => (await read(page)).timeline[0]?.includes('shop 10.0.0.3:1 drain'), { timeout: 10_000, what: 'what happens now' })

  // The same run, after a break: what was missed is told once, in its place.
  await page.context().setOffline(true)
  await page.context().setOffline(false)
  await second.upstreams.drain('shop', '10.0.0.2:1')
  await until(async () => (await read(page)).timeline[0]?.includes('shop 10.0.0.2:1 drain'), { timeout: 10_000, what: 'what was missed' })
  const { timeline } = await read(page)
  t.equal(new Set(timeline).size, timeline.length)
})

t.test('a stream that goes silent, is refused or ends with an error', async t => {
  const gateway = await startGateway(t, { peers, check: false })
  const port = await freePort()
  let answer: 'pass' | 'refuse' = 'pass'
  const open = new Set<ServerResponse>()
  let isSilent = false
  // Stands between, as a proxy does.
  const proxy = createServer((request, response) => { relay(request, response).catch(() => response.destroy()) }).listen(port, '127.0.0.1')
  await once(proxy, 'listening')
  t.teardown(() => { proxy.close(); proxy.closeAllConnections() })
  const abort = new AbortController()
  t.teardown(() => abort.abort())
  async function relay (request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (request.url?.endsWith('/events') === true && answer === 'refuse') { response.writeHead(503).end(); return }
    const got = await fetch(gateway.url + String(request.url), { headers: { accept: request.headers.accept ?? '' }, signal: abort.signal })
    response.writeHead(got.status, { 'content-type': got.headers.get('content-type') ?? '' })
    response.flushHeaders()
    if (request.url?.endsWith('/events') === true) open.add(response)
    for await (const chunk of got.body as unknown as AsyncIterable<Uint8Array>) if (!isSilent || !open.has(response)) response.write(chunk)
    response.end()
  }
  const { page } = await browser.openPage(t, `http://127.0.0.1:${port}/_upstreams`, { expected: [...expected, /503/] })
  await drawn(page)
  isSilent = true
  await until(async () => /Disconnected: nothing is heard\. .*, [4-6]\.\d s ago/.test((await read(page)).link), { timeout: 10_000, what: 'word of the silence' })
  t.match((await read(page)).title, 'disconnected')
  isSilent = false
  await until(async () => (await read(page)).link === '', { timeout: 10_000, what: 'end of the silence' })
  answer = 'refuse'
  for (const response of open) response.destroy()
  await until(async () => (await read(page)).link.includes('refuses the event stream'), { timeout: 10_000, what: 'word of the refusal' })
  answer = 'pass'
  await until(async () => (await read(page)).link === '', { timeout: 10_000, what: 'another try' })
})
