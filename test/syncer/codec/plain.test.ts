import sjson from 'secure-json-parse'
import t from 'tap'
import { createCodec } from '../../../lib/syncer/codec/codec.js'
import type { Decoded, Registration } from '../../../lib/syncer/codec/registration.js'

const PREFIX = '/services/'
const codec = createCodec({
  keyPrefix: PREFIX,
  format: 'plain',
  parse: text => sjson.parse(text, null, { protoAction: 'remove', constructorAction: 'remove' })
})

function raw (key: string, value: string, previous?: readonly Registration[], size = value.length): Decoded {
  return codec.decode({ key, value, size, modRevision: 7n, lease: 9n }, previous)
}

/** Decodes a key that must give one peer. */
function one (segment: string, value: unknown, previous?: readonly Registration[]) {
  const text = typeof value === 'string' ? value : JSON.stringify(value)
  const decoded = raw(`${PREFIX}shop/${segment}`, text, previous)
  if (decoded.kind !== 'peers') throw new Error(`no peer: ${JSON.stringify(decoded)}`)
  const [registration] = decoded.peers
  if (registration === undefined || decoded.peers.length !== 1) throw new Error('not exactly one peer')
  return { peer: registration.peer, errors: decoded.errors, peers: decoded.peers }
}

function errorOf (decoded: Decoded): string {
  return decoded.kind === 'invalid' ? decoded.error : `not invalid but ${decoded.kind}`
}

const DEFAULTS = {
  id: '10.1.1.3:8080',
  host: '10.1.1.3',
  port: 8080,
  scheme: 'http',
  weight: 1,
  status: 'up',
  slowStart: 0,
  checkUrl: null,
  startAt: null,
  priority: 0,
  zone: null,
  maxInflight: 0,
  params: {},
  key: '/services/shop/10.1.1.3:8080',
  modRevision: 7n,
  lease: 9n
}

t.test('a key with an address is a peer with defaults, whatever the value', async t => {
  const cases: Array<[value: string, error?: RegExp]> = [
    [''],
    [' \n\t '],
    ['{}'],
    ['hello', /^the value is not JSON: "hello"$/],
    ['{"weight":', /^the value is not JSON: /],
    ['x'.repeat(500), /^the value is not JSON: "x{58}…$/],
    ['5', /^the value is not a JSON object: 5$/],
    ['"x"', /^the value is not a JSON object: "x"$/],
    ['[]', /^the value is not a JSON object: \[\]$/],
    ['null', /^the value is not a JSON object: null$/],
    ['true', /^the value is not a JSON object: true$/]
  ]
  for (const [value, error] of cases) {
    const { peer, errors } = one('10.1.1.3:8080', value)
    t.strictSame({ ...peer }, DEFAULTS, `defaults for ${value}`)
    t.equal(errors.length, error === undefined ? 0 : 1, `errors for ${value}`)
    if (error !== undefined) t.match(errors[0], error)
  }
})

t.test('the value of the quick start', async t => {
  const { peer, errors } = one('10.1.1.3:8080', '{"weight": 3, "slow_start": 30, "checkurl": "/health"}')
  t.strictSame({ ...peer }, { ...DEFAULTS, weight: 3, slowStart: 30_000, checkUrl: '/health' })
  t.strictSame(errors, [])
})

t.test('the original\'s nested form, with Lua\'s empty array for an empty object', async t => {
  const { peer, errors } = one('10.1.1.3:8080', {
    Metadata: { weight: '2', status: 'up', check_url: '/c', slow_start: 5, start_at: 1_700_000_000, rack: 'r1' },
    Params: []
  })
  t.strictSame({ ...peer }, {
    ...DEFAULTS,
    weight: 2,
    checkUrl: '/c',
    slowStart: 5000,
    startAt: 1_700_000_000_000,
    params: { rack: 'r1' }
  })
  t.strictSame(errors, [])
  t.strictSame(one('h:1', { Metadata: [], params: [] }).peer.params, {})
})

t.test('nginx-upsync\'s form', async t => {
  const value = { weight: 1, max_fails: 2, fail_timeout: 10, down: 0, backup: 0 }
  const params = { max_fails: 2, fail_timeout: 10 }
  t.strictSame({ ...one('10.1.1.3:8080', value).peer }, { ...DEFAULTS, params })
  const cases: Array<[object, string, number]> = [
    [{ down: 1 }, 'down', 0],
    [{ down: true }, 'down', 0],
    [{ down: false, backup: false }, 'up', 0],
    [{ down: 1, status: 'up' }, 'down', 0],
    [{ down: 0, status: 'drain' }, 'drain', 0],
    [{ backup: 1 }, 'up', 1],
    [{ backup: true }, 'up', 1],
    [{ backup: 1, priority: 3 }, 'up', 3],
    [{ Metadata: { down: 1, backup: 1 } }, 'down', 1]
  ]
  for (const [fields, status, priority] of cases) {
    const { peer, errors } = one('h:1', fields)
    t.equal(peer.status, status, JSON.stringify(fields))
    t.equal(peer.priority, priority, JSON.stringify(fields))
    t.strictSame(errors, [])
    t.strictSame(peer.params, {})
  }
})

t.test('a bad flag keeps what the flag said before', async t => {
  const before = one('h:1', { down: 1, backup: 1 }).peers
  const kept = one('h:1', { down: 'x', backup: [] }, before)
  t.equal(kept.peer.status, 'down')
  t.equal(kept.peer.priority, 1)
  t.strictSame(kept.errors, ['down: expected 0 or 1, got "x"', 'backup: expected 0 or 1, got []'])
  const fresh = one('h:1', { down: 'x', backup: 2 })
  t.equal(fresh.peer.status, 'up')
  t.equal(fresh.peer.priority, 0)
  const unset = one('h:1', { down: 'x', backup: 2 }, one('h:1', '').peers)
  t.equal(unset.peer.status, 'up')
  t.equal(unset.peer.priority, 0)
})

t.test('addresses', async t => {
  const good: Array<[segment: string, host: string, id: string]> = [
    ['10.0.0.1:1', '10.0.0.1', '10.0.0.1:1'],
    ['255.255.255.255:65535', '255.255.255.255', '255.255.255.255:65535'],
    ['0.0.0.0:80', '0.0.0.0', '0.0.0.0:80'],
    ['[::1]:80', '::1', '[::1]:80'],
    ['[2001:DB8:0:0:0:0:0:1]:80', '2001:db8::1', '[2001:db8::1]:80'],
    ['[::FFFF:1.2.3.4]:80', '::ffff:102:304', '[::ffff:102:304]:80'],
    ['localhost:80', 'localhost', 'localhost:80'],
    ['Shop-1.Example.COM:443', 'shop-1.example.com', 'shop-1.example.com:443'],
    ['my_host.svc:80', 'my_host.svc', 'my_host.svc:80'],
    ['a--b:80', 'a--b', 'a--b:80'],
    ['1a.2b:80', '1a.2b', '1a.2b:80'],
    ['10.0.0.1.example:80', '10.0.0.1.example', '10.0.0.1.example:80'],
    ['xn--bcher-kva.example:80', 'xn--bcher-kva.example', 'xn--bcher-kva.example:80'],
    [`${'a.'.repeat(126)}a:80`, `${'a.'.repeat(126)}a`, `${'a.'.repeat(126)}a:80`]
  ]
  for (const [segment, host, id] of good) {
    const { peer, errors } = one(segment, '')
    t.equal(peer.host, host, segment)
    t.equal(peer.id, id, segment)
    t.strictSame(errors, [], segment)
  }
})

t.test('what is no address', async t => {
  const hosts = [
    '', '.', '..', 'a..b', '.a', 'a.', '-a', 'a-', 'a.-b', 'a-.b', '256.0.0.1', '1.2.3', '1.2.3.4.5', '1.2.3.04',
    '01.2.3.4', '0x7f.0.0.1', '0x7f000001', '0x', 'a.0x1', '2130706433', '1', 'a.1', '1.2.3.4.', '+1.2.3.4',
    '::1', '[::1', '::1]', '[]', '[:::1]', '[1::2::3]', '[fe80::1%eth0]', '[fe80::1%25eth0]', '[1.2.3.4]', '[g::1]',
    '[::1]x', 'x[::1]', '[[::1]]', '[::1.2.3.400]', '[::1]@[::2]', '[::1][::2]', 'a b', 'a\tb', 'a\r\nb', 'a\n', 'user@host', 'a\\b', 'a#b', 'a?b', 'a%2eb',
    'a,b', 'a;b', 'a"b', 'a<b', 'a=b', 'bücher', '\u212aelvin', 'a。b', '１.2.3.4', 'a\u0000', 'a\u00adb', 'xn--a', 'xn--zzzzzz99999',
    `${'a.'.repeat(127)}a`, 'a'.repeat(254), '1'.repeat(70_000)
  ]
  for (const host of hosts) {
    t.match(errorOf(raw(`${PREFIX}shop/${host}:80`, '')), /^bad host /, JSON.stringify(host).slice(0, 80))
  }
  const ports = ['', '0', '65536', '99999', '100000', '-1', '+80', '080', '80a', '8e1', '0x50', ' 80', '80 ', '80\n', '８０', '1.5', 'http']
  for (const port of ports) {
    t.match(errorOf(raw(`${PREFIX}shop/10.0.0.1:${port}`, '')), /^bad port .*: expected 1 to 65535$/, JSON.stringify(port))
  }
  t.equal(errorOf(raw(`${PREFIX}shop/1.2.3.999:80`, '{"weight":3}')), 'bad host "1.2.3.999": not an IPv4 address')
})

t.test('keys', async t => {
  const invalid: Array<[key: string, value: string, error: RegExp]> = [
    ['/other/shop/h:1', '', /^the key does not start with "\/services\/"$/],
    ['', '', /^the key does not start with/],
    ['/services/h:1', '', /^no service in the key$/],
    ['/services//h:1', '', /^no service in the key$/],
    ['/services/', '{}', /^no service in the key$/],
    ['/services/', '', /^no address in the key or the value$/],
    ['/services/shop', '', /^no address in the key or the value$/],
    ['/services/shop', '5', /^no address in the key or the value$/],
    ['/services/shop', '[]', /^no address in the key or the value$/],
    ['/services/shop', 'text', /^no address in the key or the value$/],
    ['/services/shop/', '', /^no address in the key or the value$/],
    ['/services/shop/one', '{"Addr":"1.2.3.4:80"}', /^no address in the key, and Addr /],
    ['/services/shop/one', '{"addr":"1.2.3.4:80"}', /^no address in the key, and Addr /],
    ['/services/a\u0000b/h:1', '', /^control character in the service name "a\\u0000b"$/],
    ['/services/a\nb/h:1', '', /^control character in the service name/],
    ['/services/a\u009fb/h:1', '', /^control character in the service name/],
    ['/services/a\ud800b/h:1', '', /^control character in the service name/],
    ['/services/a\u007fb', '{}', /^control character in the service name/]
  ]
  for (const [key, value, error] of invalid) t.match(errorOf(raw(key, value)), error, JSON.stringify(key))

  for (const service of ['shop', 'team/shop', 'a:b', 'a b', 'bücher', '__proto__', 'constructor', '..', 'x'.repeat(2000)]) {
    const decoded = raw(`/services/${service}/h:1`, '')
    t.equal(decoded.kind === 'peers' && decoded.peers[0]?.service, service)
  }
})

t.test('an object under a key without an address is settings', async t => {
  for (const service of ['shop', 'team/shop', 'shop/']) {
    t.strictSame(raw(`/services/${service}`, '{"balancer":"hash","check":{"path":"/x"}}'), {
      kind: 'settings',
      service,
      value: { balancer: 'hash', check: { path: '/x' } }
    })
  }
  t.match(errorOf(raw('/services/shop', `${'{"a":'.repeat(40)}1${'}'.repeat(40)}`)), /^nested deeper than 32 levels$/)
})

t.test('a value over 64 KiB', async t => {
  const key = '/services/shop/h:1'
  const error = 'value of 65537 bytes is over 65536'
  t.equal(errorOf(raw(key, '', undefined, 65537)), error)
  t.equal(errorOf(raw(key, '', [], 65537)), error)
  t.equal(errorOf(raw('/services/shop', '', undefined, 65537)), error)
  t.equal(raw(key, '', undefined, 65536).kind, 'peers')
  const before = one('h:1', { weight: 4 }).peers
  const decoded = raw(key, '', before, 65537)
  t.strictSame(decoded, { kind: 'peers', peers: before, errors: [error] })
  t.equal(decoded.kind === 'peers' && decoded.peers[0]?.peer, before[0]?.peer, 'the very same peer')
})

t.test('everything is frozen', async t => {
  const peers = raw('/services/shop/h:1', '{"weight":"x","params":{"a":{"b":[1,{}]}}}')
  const settings = raw('/services/shop', '{"check":{"status":[[200,299]]}}')
  const invalid = raw('/services/shop', '')
  const seen: object[] = []
  const walk = (value: unknown): void => {
    if (typeof value !== 'object' || value === null) return
    seen.push(value)
    t.ok(Object.isFrozen(value), JSON.stringify(Object.keys(value)))
    Object.values(value).forEach(walk)
  }
  for (const decoded of [peers, settings, invalid]) walk(decoded)
  t.equal(seen.length, 8 + 1 + 5 + 1, 'all of it was seen')
})

t.test('whatever it is given, it does not throw', async t => {
  const odd: unknown[] = [null, undefined, 5, {}, { key: 5 }, { key: '/services/a/h:1' }, { key: '/services/a/h:1', value: null }]
  for (const entry of odd) t.equal(codec.decode(entry as never, undefined).kind, 'invalid')
  const entry = { key: '/services/a/h:1', value: '', size: 0, modRevision: 1n, lease: 0n }
  for (const previous of [null, 5, 'x', {}]) {
    t.equal(codec.decode(entry, previous as never).kind, 'peers')
    t.equal(codec.decode({ ...entry, size: 1e6 }, previous as never).kind, 'invalid')
  }
  const bad = { ...entry, value: '{"weight":"x"}' }
  t.equal(codec.decode(bad, [null] as never).kind, 'peers', 'what is not understood stays as it was')
})
