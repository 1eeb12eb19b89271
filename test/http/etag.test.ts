import t from 'tap'
import { startGateway } from '../fixtures/gateway.js'
import { until } from '../fixtures/wait.js'

t.test('the status is sent again only when something has changed', async t => {
  const gateway = await startGateway(t, { peers: { shop: { '127.0.0.1:1': {} } }, check: false })
  for (const path of ['/_upstreams', '/_upstreams?text', '/_upstreams/']) {
    const first = await gateway.send(path)
    const tag = String(first.headers['etag'])
    t.match([first.status, first.headers['cache-control'], first.headers['vary']], [200, 'private, no-cache', 'accept'])
    t.match(tag, /^W\/"[\w-]{43}"$/)
    const { now } = gateway.app.upstreams.status()
    await until(() => gateway.app.upstreams.status().now !== now, { what: 'another time' })
    const again = await gateway.send(path)
    t.equal(again.headers['etag'], tag, 'time alone changes nothing')
    const known = [tag, tag.slice(2), `"x", ${tag}`, `W/"a,b" ,${tag}, "y"`, '*', ' * ']
    for (const header of known) {
      for (const method of ['GET', 'HEAD'] as const) {
        const { status, headers, body } = await gateway.send(path, { method, headers: { 'if-none-match': header } })
        t.match([status, body, headers['etag'], headers['cache-control'], headers['vary'], headers['content-type']], [304, '', tag, 'private, no-cache', 'accept', undefined], `${method} ${header}`)
      }
    }
    const head = await gateway.send(path, { method: 'HEAD' })
    t.match([head.status, head.body, head.headers['etag'], head.headers['content-type']], [200, '', tag, first.headers['content-type']])
    for (const header of ['', '"x"', tag.slice(2, -1), tag.slice(3, -1), `${tag.slice(0, -2)}"`, '"*"', '*, "x"', '"'.repeat(5000)]) {
      t.equal((await gateway.send(path, { headers: { 'if-none-match': header } })).status, 200, header.slice(0, 60))
    }
  }
})

t.test('what has changed has another tag', async t => {
  const gateway = await startGateway(t, { peers: { shop: { '127.0.0.1:1': {}, '127.0.0.1:2': {} } }, check: false })
  const tag = async (path = ''): Promise<unknown> => (await gateway.send(`/_upstreams${path}`)).headers['etag']
  const before = [await tag(), await tag('?text')]
  t.not(before[0], before[1])
  gateway.app.upstreams.cutdown('shop', '127.0.0.1:1', 0.5, { for: 60_000 })
  const after = [await tag(), await tag('?text')]
  t.not(after[0], before[0])
  t.not(after[1], before[1])
  gateway.app.upstreams.recover('shop', '127.0.0.1:1')
  await until(async () => await tag() === before[0], { what: 'the first tag' })
})

t.test('who may not see it learns no tag', async t => {
  const gateway = await startGateway(t, { peers: {}, check: false })
  const { status, headers } = await gateway.send('/_upstreams', { headers: { via: 'x', 'if-none-match': '*' } })
  t.match([status, headers['etag']], [404, undefined])
})

t.test('HEAD also where the application has none by itself', async t => {
  const gateway = await startGateway(t, { peers: {} }, () => {}, { exposeHeadRoutes: false })
  t.equal((await gateway.send('/_upstreams', { method: 'HEAD' })).status, 200)
})

t.test('what others have said of `vary` stays', async t => {
  const gateway = await startGateway(t, { peers: {}, inspect: { access: 'loopback', onRequest: (_request, reply, done) => { reply.header('vary', 'origin'); done() } } })
  t.equal((await gateway.send('/_upstreams')).headers['vary'], 'origin, accept')
  t.equal((await gateway.send('/_upstreams', { headers: { accept: 'text/html' } })).headers['vary'], 'origin, accept, accept-encoding')
  t.equal((await gateway.send('/_upstreams/assets/main.js')).headers['vary'], 'origin, accept-encoding')
})
