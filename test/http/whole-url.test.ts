import t from 'tap'
import { startGateway } from '../fixtures/gateway.js'
import { ask, portOf, startRawPeer } from '../fixtures/raw.js'

const OK = 'HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 2\r\n\r\nok'

t.test('a whole URL and Host must name the same host', async t => {
  const peer = await startRawPeer(t, { answer: socket => { socket.write(OK) } })
  const gateway = await startGateway(t, { peers: { shop: { [peer.id]: {} } }, routes: [{ prefix: '/proxied', service: 'shop' }], outlier: false, inspect: false }, app => {
    app.get('/forwarded/*', (_request, reply) => reply.forward('shop'))
  })
  const rows: Array<[url: string, host: string | null, good: boolean]> = [
    ['http://shop.example', 'shop.example', true],
    ['http://shop.example', 'Shop.EXAMPLE', true],
    ['HTTP://SHOP.example', 'shop.example', true],
    ['http://shop.example:80', 'shop.example', true],
    ['http://shop.example', 'shop.example:80', true],
    ['http://shop.example:', 'shop.example', true],
    ['https://shop.example:443', 'shop.example', true],
    ['http://shop.example:8080', 'shop.example:8080', true],
    ['http://[::1]', '[::1]:80', true],
    ['http://shop.example', null, true],
    ['http://other.example', 'shop.example', false],
    ['http://shop.example', '', false],
    ['http://shop.example:81', 'shop.example', false],
    ['http://shop.example:443', 'shop.example', false],
    ['https://shop.example:80', 'shop.example', false],
    ['http://shop.example', 'shop.example:8080', false],
    ['http://user@shop.example', 'shop.example', false],
    ['http://', 'shop.example', false],
    ['http://[::80]', '[:', false]
  ]
  for (const prefix of ['/proxied', '/forwarded']) {
    for (const [url, host, good] of rows) {
      peer.forget()
      const head = host === null ? 'HTTP/1.0\r\n' : `HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n`
      const { answers } = await ask(portOf(gateway.url), `GET ${url}${prefix}/x?y ${head}\r\n`, { answers: Infinity })
      const what = `${url}${prefix} with Host ${host ?? 'left out'}`
      t.match(answers[0]?.line, good ? / 200 / : / 400 /, what)
      t.same(peer.requests.map(({ line }) => line), good ? [`GET ${prefix === '/proxied' ? '' : prefix}/x?y HTTP/1.1`] : [], what)
    }
  }
})
