import t from 'tap'
import type { FormatFunction } from '../../../lib/syncer/codec/codec.js'
import type { Decoded } from '../../../lib/syncer/codec/registration.js'
import { brief, decode, errorsOf, peersOf } from '../../fixtures/decoding.js'

t.test('grpc, by name and by value', async t => {
  const cases: Array<[key: string, value: unknown, expected: string]> = [
    ['shop/x', { Op: 0, Addr: '1.2.3.4:80' }, 'shop http://1.2.3.4:80*1'],
    ['shop/x', { Addr: '1.2.3.4:80' }, 'shop http://1.2.3.4:80*1'],
    ['shop/x', { Op: null, Addr: '1.2.3.4:80', Metadata: null }, 'shop http://1.2.3.4:80*1'],
    ['shop/x', { addr: '[::1]:80' }, 'shop http://[::1]:80*1'],
    ['a/b/x', { Addr: 'Host:80' }, 'a/b http://host:80*1'],
    ['shop/9.9.9.9:9', { Addr: '1.2.3.4:80' }, 'shop http://1.2.3.4:80*1'],
    ['shop/a:b', { Addr: '1.2.3.4:80' }, 'shop http://1.2.3.4:80*1'],
    ['shop/x', { Addr: 'h:1', Metadata: { weight: 3, scheme: 'https' } }, 'shop https://h:1*3'],
    ['shop/x', { Addr: 'h:1', weight: 4, Metadata: { weight: 3 } }, 'shop http://h:1*4'],
    ['shop/x', { Op: 1, Addr: 'h:1' }, 'invalid Op 1 is not a registration'],
    ['shop/x', { Op: '0', Addr: 'h:1' }, 'invalid Op "0" is not a registration'],
    ['shop/x', { Addr: '' }, 'invalid bad address "": no port'],
    ['shop/x', { Addr: '1.2.3.4' }, 'invalid bad address "1.2.3.4": no port'],
    ['shop/x', { Addr: '1.2.3.4:0' }, 'invalid bad port "0": expected 1 to 65535'],
    ['shop/x', { Addr: 'dns:///h:80' }, 'invalid bad host "dns:///h": not an IPv6 address in brackets'],
    ['x', { Addr: '1.2.3.4:80' }, 'invalid no service in the key'],
    ['/x', { Addr: '1.2.3.4:80' }, 'invalid no service in the key'],
    ['a\tb/x', { Addr: '1.2.3.4:80' }, 'invalid control character in the service name "a\\tb"'],
    ['shop', { balancer: 'hash' }, 'settings shop {"balancer":"hash"}'],
    ['shop', '', 'invalid no address in the key or the value'],
    ['shop', '5', 'invalid no address in the key or the value']
  ]
  for (const [key, value, expected] of cases) {
    t.equal(brief(decode('grpc', key, value)), expected, `grpc ${key}`)
    t.equal(brief(decode('auto', key, value)), expected, `auto ${key}`)
  }
})

t.test('where grpc by name and auto differ', async t => {
  const cases: Array<[key: string, value: unknown, grpc: string, auto: string]> = [
    ['shop/h:1', {}, 'invalid no Addr in the value', 'shop http://h:1*1'],
    ['shop/h:1', '', 'invalid no Addr in the value', 'shop http://h:1*1'],
    ['shop/h:1', 'x', 'invalid the value is not JSON: "x"', 'shop http://h:1*1'],
    ['shop/h:1', { weight: 3, Addr: null }, 'invalid no Addr in the value', 'shop http://h:1*3'],
    ['shop/h:1', { Addr: 5 }, 'invalid Addr: expected "host:port", got 5', 'shop http://h:1*1'],
    ['shop/h:1', { addr: 'Main Street' }, 'invalid bad address "Main Street": no port', 'shop http://h:1*1'],
    ['shop', { Op: 1 }, 'invalid Op 1 is not a registration', 'settings shop {"Op":1}'],
    ['shop', { Addr: 5 }, 'invalid Addr: expected "host:port", got 5', 'settings shop {"Addr":5}']
  ]
  for (const [key, value, grpc, auto] of cases) {
    t.equal(brief(decode('grpc', key, value)), grpc, `grpc ${key}`)
    t.equal(brief(decode('auto', key, value)), auto, `auto ${key}`)
  }
})

t.test('by name, plain takes Addr for any free field', async t => {
  const decoded = decode('plain', 'shop/h:1', { Op: 1, Addr: '1.2.3.4:80' })
  t.equal(brief(decoded), 'shop http://h:1*1')
  t.strictSame(peersOf(decoded)[0]?.peer.params, { Op: 1, Addr: '1.2.3.4:80' })
})

t.test('grpc metadata', async t => {
  const cases: Array<[metadata: unknown, params: unknown]> = [
    [null, {}],
    [{ rack: 1, params: { a: 1 } }, { rack: 1, a: 1 }],
    ['text', { metadata: 'text' }],
    [5, { metadata: 5 }],
    [[1], { metadata: [1] }]
  ]
  for (const [Metadata, params] of cases) {
    const decoded = decode('auto', 'shop/x', { Op: 0, Addr: 'h:1', addr: 'other:1', Metadata })
    t.strictSame(peersOf(decoded)[0]?.peer.params, params)
    t.strictSame(errorsOf(decoded), [])
  }
})

t.test('a grpc value that is bad as a whole keeps the known peer', async t => {
  const before = peersOf(decode('auto', 'shop/x', { Addr: 'h:1', Metadata: { weight: 3 } }))
  const cases: Array<[value: unknown, error: string]> = [
    [{ Addr: 'nowhere' }, 'bad address "nowhere": no port'],
    ['', 'no address in the key or the value'],
    ['{"Op":0,"Addr":"h', 'no address in the key or the value']
  ]
  for (const [value, error] of cases) {
    t.strictSame(decode('auto', 'shop/x', value, before), { kind: 'peers', peers: before, errors: [error] })
  }
  t.equal(brief(decode('auto', 'shop/x', { Op: 1, Addr: 'h:1' }, before)), 'invalid Op 1 is not a registration')
  t.equal(brief(decode('auto', 'shop/x', { Addr: 'h:1', weight: 'x' }, before)), 'shop http://h:1*3')
  t.equal(brief(decode('auto', 'shop/x', { Addr: 'h:2', weight: 'x' }, before)), 'shop http://h:2*1')
})

t.test('a function of the user\'s own', async t => {
  const seen: unknown[] = []
  const format: FormatFunction = (key, value) => {
    seen.push(key, value)
    return [
      { service: 'a', host: 'H', port: 1, weight: 3, slow_start: 2, params: { x: 1 }, y: 2 },
      { service: 'b/c', host: '::1', port: '2', Metadata: { scheme: 'https' } },
      { service: 'b/c', host: '[::1]', port: 2, weight: 'x' }
    ]
  }
  const decoded = decode(format, 'any', 'raw text')
  t.strictSame(seen, ['/services/any', 'raw text'])
  t.equal(brief(decoded), 'a http://h:1*3, b/c https://[::1]:2*1, b/c http://[::1]:2*1')
  t.strictSame(errorsOf(decoded), ['weight: expected a number from 0 to 1000000, got "x"'])
  t.strictSame({ ...peersOf(decoded)[0]?.peer }, {
    id: 'h:1',
    host: 'h',
    port: 1,
    scheme: 'http',
    weight: 3,
    status: 'up',
    slowStart: 2000,
    checkUrl: null,
    startAt: null,
    priority: 0,
    zone: null,
    maxInflight: 0,
    params: { x: 1, y: 2 },
    key: '/services/any',
    modRevision: 7n,
    lease: 9n
  })
  t.ok(Object.isFrozen(decoded) && Object.isFrozen(peersOf(decoded)) && Object.isFrozen(errorsOf(decoded)))
})

t.test('a bad field of one peer of many falls back to that peer', async t => {
  const item = (scheme: unknown, weight: unknown, service = 's') => ({ service, host: 'h', port: 1, scheme, weight })
  const before = peersOf(decode(() => [item('https', 3), item('http', 4), item('http', 5, 't')], 'x', ''))
  const again = (...items: unknown[]) => brief(decode((() => items) as FormatFunction, 'x', '', before))
  t.equal(again(item('http', 'x'), item('https', 'x'), item('http', 'x', 't')), 's http://h:1*4, s https://h:1*3, t http://h:1*5')
  t.equal(again(item('x', 'x')), 's https://h:1*3', 'a bad scheme: the first at that address')
  t.equal(again(item('https', 'x', 't')), 't https://h:1*1', 'another scheme is another peer')
})

t.test('what a function may return besides', async t => {
  t.equal(brief(decode(() => undefined, 'x', '')), 'ignored')
  t.equal(brief(decode(() => null, 'x', '')), 'ignored')
  t.ok(Object.isFrozen(decode(() => null, 'x', '')))
  t.strictSame(decode(() => [], 'x', ''), { kind: 'peers', peers: [], errors: [] })
  const twice = decode(() => [{ service: 's', host: 'h', port: 1, weight: 2 }, { service: 's', host: 'H', port: '1', weight: 3 }], 'x', '')
  t.equal(brief(twice), 's http://h:1*3', 'the last one counts')
  t.strictSame(errorsOf(twice), ['s http://h:1 is there twice'])
})

t.test('what a function throws or returns badly counts as a bad value', async t => {
  const item = { service: 's', host: 'h', port: 1 }
  const before = peersOf(decode(() => [{ ...item, weight: 3 }], 'x', ''))
  const boom = (thrown: unknown) => () => { throw thrown }
  const cases: Array<[format: (key: string, value: string) => unknown, error: RegExp]> = [
    [boom(new Error('boom')), /^boom$/],
    [boom(new Error('x'.repeat(500))), /^x{200}$/],
    [boom('text'), /^"text"$/],
    [boom(undefined), /^undefined$/],
    [boom(null), /^null$/],
    [boom(5n), /^bigint$/],
    [boom({ toJSON () { throw new Error('again') } }), /^object$/],
    [boom(Object.defineProperty(new Error('x'), 'message', { get () { throw new Error('again') } })), /^an error that cannot be read$/],
    [() => 5, /^expected an array, got 5$/],
    [() => 'x', /^expected an array, got "x"$/],
    [() => item, /^expected an array, got \{"service":"s"/],
    [async () => [item], /^expected an array, got a promise$/],
    [async () => { throw new Error('later') }, /^expected an array, got a promise$/],
    [() => [5], /^expected an object with service, host and port, got 5$/],
    [() => [null], /^expected an object with service, host and port, got null$/],
    [() => [[]], /^expected an object with service, host and port, got \[\]$/],
    [() => [item, {}], /^service: expected a text, got undefined$/],
    [() => [{ ...item, service: '' }], /^no service in the key$/],
    [() => [{ ...item, service: 'a\nb' }], /^control character in the service name/],
    [() => [{ ...item, host: 5 }], /^host: expected a text, got 5$/],
    [() => [{ ...item, host: 'a b' }], /^bad host "a b": not a host name$/],
    [() => [{ ...item, host: 'fe80::1%eth0' }], /^bad host /],
    [() => [{ ...item, port: undefined }], /^port: expected a number, got undefined$/],
    [() => [{ ...item, port: 0 }], /^bad port "0": expected 1 to 65535$/],
    [() => [{ ...item, port: 80.5 }], /^bad port "80.5"/],
    [() => [{ ...item, port: NaN }], /^bad port "NaN"/],
    [() => [{ ...item, port: 1e21 }], /^bad port "1e\+21"/],
    [() => [{ get service () { throw new Error('getter') } }], /^getter$/],
    [() => [{ ...item, get weight () { throw new Error('getter') } }], /^getter$/],
    [() => [new Proxy(item, { ownKeys () { throw new Error('proxy') } })], /^proxy$/]
  ]
  for (const [format, error] of cases) {
    const fresh = decode(format as FormatFunction, 'x', '')
    t.match(fresh.kind === 'invalid' ? fresh.error : brief(fresh), error)
    const kept = decode(format as FormatFunction, 'x', '', before)
    t.strictSame(kept.kind === 'peers' && kept.peers, before)
    t.match(errorsOf(kept)[0], error)
  }
})

t.test('params of a function are made plain', async t => {
  const read = (params: unknown): Decoded =>
    decode((() => [{ service: 's', host: 'h', port: 1, params }]) as FormatFunction, 'x', '')
  const cycle: Record<string, unknown> = {}
  cycle.again = cycle
  const bush: Record<string, unknown> = {}
  let twig: Record<string, unknown> = bush
  for (let level = 0; level < 30; level++) twig = twig.a = twig.b = {}
  const bad: Array<[params: unknown, error: RegExp]> = [
    [{ a: 1n }, /bigint/],
    [{ a: () => 1 }, /function/],
    [{ a: Symbol('a') }, /symbol/],
    [{ a: [1n] }, /bigint/],
    [{ a: new Date(0) }, /Date/],
    [{ a: new Map() }, /Map/],
    [{ a: cycle }, /deeper than 32/],
    [{ a: bush }, /more than 65536 values/],
    [{ a: new Array(1e9) }, /more than 65536 values/],
    [{ toJSON: () => 1n }, /function/]
  ]
  for (const [params, error] of bad) {
    const decoded = read(params)
    t.strictSame(peersOf(decoded)[0]?.peer.params, {})
    t.match(errorsOf(decoded)[0], error)
  }
  const mine = { list: [1, { deep: true }], none: undefined }
  const params = peersOf(read(mine))[0]?.peer.params
  t.strictSame(params, mine)
  t.notOk(Object.isFrozen(mine) || Object.isFrozen(mine.list), 'what the function gave stays its own')
})
