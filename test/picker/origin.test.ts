import fc from 'fast-check'
import t from 'tap'
import { originFor, serviceAt } from '../../lib/picker/origin.js'

t.test('names that people use can be read, and written by hand', async t => {
  const table: Array<[string, string]> = [
    ['orders', 'orders'],
    ['my_test_service', 'my_test_service'],
    ['user-service.v2', 'user-service.v2'],
    ['xn-a', 'xn-a'],
    ['team/orders', 'team_2forders'],
    ['Orders', '_4frders'],
    ['café', 'caf_e9'],
    ['订单', '_u8ba2_u5355'],
    ['a b', 'a_20b'],
    // What reads as a code is written as one.
    ['a_be', 'a_5fbe'],
    ['_u00e9', '_5fu00e9'],
    ['_ug', '_ug'],
    // No label is empty, begins or ends with a hyphen, or says that it is punycode.
    ['a..b', 'a_2e_2eb'],
    ['.', '_2e'],
    ['-a-', '_2da_2d'],
    ['xn--caf-dma', 'xn_2d_2dcaf-dma'],
    ['', '']
  ]
  for (const [name, host] of table) {
    t.equal(originFor(name), `http://${host}.upstream`, name)
    t.equal(serviceAt(`http://${host}.upstream`), name, `${name} and back`)
  }
  t.equal(serviceAt('http://a--b.upstream'), 'a--b', 'by hand')
})

t.test('other origins select nothing', async t => {
  const others = ['http://orders', 'http://orders.example', 'https://orders.upstream', 'http://orders.upstream:8080', 'http://Orders.upstream',
    'http://orders.upstream/', 'http://u@orders.upstream', 'http://orders.upstream.example', 'http://x/.upstream', '', 'null']
  for (const origin of others) t.equal(serviceAt(origin), undefined, origin)
})

t.test('every name has an origin of its own, which a URL leaves as it is', async () => {
  const names = fc.oneof(fc.string({ unit: 'binary' }), fc.string({ unit: fc.constantFrom(...'ax0f_-./uN%é\ud800') }), fc.webPath(), fc.domain())
  fc.assert(fc.property(names, name => {
    const origin = originFor(name)
    const url = new URL(`${origin}/path?q`)
    return serviceAt(origin) === name && url.origin === origin && url.pathname === '/path'
  }), { seed: 1, numRuns: 5000 })
})
