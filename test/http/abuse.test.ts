import t from 'tap'
import { startActions } from '../fixtures/actions.js'

t.test('whatever is asked below inspect.path, the answer is no 5xx, and tells nothing of the machine', async t => {
  const peers = { shop: { '127.0.0.1:1': {}, '127.0.0.1:2': {} }, 'a/b': { '127.0.0.1:1': {} }, __proto__x: {} }
  const { gateway } = await startActions(t, { peers })
  const long = 'x'.repeat(7000)
  const paths = [
    '/..', '/../', '/%2e%2e/%2e%2e/etc/passwd', '/services/..', '/services/%2e%2e', '/services/%2e%2e%2f%2e%2e%2fetc%2fpasswd', '/assets/..%2f..%2fhtml.ts',
    '/assets/%2e%2e%2f%2e%2e%2fhtml.ts', '/assets/../../plugin.ts', '/assets/', '/assets/main.js/', '/assets/main.js%00.css', '/assets/__proto__', '/assets/constructor',
    '/services/', '/services/__proto__', '/services/constructor', '/services/%00', '/services/%E0%A4%A', '/services/%ff', `/services/${long}`, '/services/shop/peers/', '/services/shop/peers/__proto__',
    '/services/shop/peers/http:%2F%2F127.0.0.1:1', '/services/shop/peers/%00', '/services/shop/peers/127.0.0.1:1/', '/services/a%2Fb', '/services/shop/report?seconds=1e3', '/services/shop/report?seconds=-1',
    '/services/shop/report?seconds=NaN', '/services/shop/report?seconds=5&seconds=6', '/services/shop/report?peer=127.0.0.1:1&peer=127.0.0.1:2', '/services/shop/report?peer[]=x',
    '/services/shop/report?peer=__proto__', '/services/shop/explain?key=a&key=b', `/services/shop/explain?key=${long}`, '/services/shop/explain?key=%00', '/tps?seconds=', '/tps?seconds=1&seconds=2',
    '/tps?seconds=Infinity', '/tps?__proto__[seconds]=1', '/?text=1&text=2', '/?text[]=', '/?__proto__=1', `/?${long}`, '/ready?x=1', '/schema/', '/events/', '/metrics/x', '//', '/;a=b', '/%2fevents', '/EVENTS'
  ]
  for (const path of paths) {
    for (const accept of ['*/*', 'text/html']) {
      const { status, body } = await gateway.send(`/_upstreams${path}`, { headers: { accept } })
      t.ok(status < 500, `${status} ${path.slice(0, 80)}`)
      t.notMatch(body, /node_modules|root:x:|\.ts:\d| {4}at /, 'no file, no stack')
    }
  }
})

t.test('headers of all kinds', async t => {
  const { gateway } = await startActions(t, { peers: { shop: { '127.0.0.1:1': {} } } })
  const odd: Array<Record<string, string>> = [
    { accept: 'text/html;q=x' }, { accept: ',,;;,text/html' }, { accept: 'x'.repeat(8000) }, { 'if-none-match': '"' }, { 'if-none-match': ',*,' }, { 'if-none-match': 'W/"x'.repeat(1000) },
    { 'accept-encoding': 'gzip;q=0, *;q=1' }, { 'accept-encoding': ';;gzip' }, { range: 'bytes=0-1' }, { 'accept-language': '\u00e9' }
  ]
  for (const headers of odd) {
    for (const path of ['', '/assets/main.js', '/services/shop', '/schema']) {
      const { status } = await gateway.send(`/_upstreams${path}`, { headers })
      t.ok(status < 500, `${status} ${JSON.stringify(headers).slice(0, 60)} ${path}`)
    }
  }
  t.match(await gateway.send('/_upstreams', { headers: { 'accept-encoding': 'gzip;q=0', accept: 'text/html' } }), { headers: { 'content-encoding': undefined }, body: /<title>/ })
})
