import fc from 'fast-check'
import t from 'tap'
import { createCodec, formatNames, isFormatName, type FormatFunction, type FormatName } from '../../../lib/syncer/codec/codec.js'
import type { Decoded, Registration } from '../../../lib/syncer/codec/registration.js'
import { safeParse } from '../../fixtures/decoding.js'

const ID = /^(\[[0-9a-f:.]+\]|[a-z0-9_.-]+):\d+$/
const SEED = 20240611
const FORMATS: readonly FormatName[] = formatNames.filter(isFormatName)

/** What the prototype looked like before anything was decoded. */
const PROTOTYPE = JSON.stringify(Object.entries(Object.getOwnPropertyDescriptors(Object.prototype)).map(([name, it]) => [name, String(it.value)]))

function decode (
  format: FormatName | FormatFunction, key: string, value: string, previous?: readonly Registration[], parse = safeParse
): Decoded {
  const codec = createCodec({ keyPrefix: '/s/', format, parse })
  return codec.decode({ key, value, size: Buffer.byteLength(value), modRevision: 1n, lease: 0n }, previous)
}

function assert (holds: boolean, what: string): void {
  if (!holds) throw new Error(what)
}

function assertFrozen (value: unknown): void {
  if (typeof value !== 'object' || value === null) return
  assert(Object.isFrozen(value), 'not frozen')
  for (const name of Reflect.ownKeys(value)) {
    assert(name !== '__proto__', 'a key __proto__')
    assertFrozen(Reflect.get(value, name))
  }
}

/** All that an entry names, part of a peer or not. */
function namedBy (decoded: Decoded): readonly Registration[] {
  if (decoded.kind === 'peers') return decoded.peers
  return decoded.kind === 'part' && decoded.field === 'url' && decoded.value !== undefined ? [decoded.value] : []
}

/** What holds for any decoded entry. */
function assertSound (decoded: Decoded): void {
  assertFrozen(decoded)
  for (const { service, peer } of namedBy(decoded)) {
    assert(service !== '' && !/[\p{Cc}\p{Cs}]/u.test(service), `service ${JSON.stringify(service)}`)
    assert(ID.test(peer.id), `id ${JSON.stringify(peer.id)}`)
    const url = new URL(`${peer.scheme}://${peer.id}/x`)
    assert(url.hostname === peer.id.slice(0, peer.id.lastIndexOf(':')), `host of ${peer.id} is ${url.hostname}`)
    assert(url.port === String(peer.port) || url.port === '', `port of ${peer.id} is ${url.port}`)
    assert(url.username === '' && url.pathname === '/x' && url.search === '' && url.hash === '', `url of ${peer.id}`)
    assert(peer.host === url.hostname.replace(/^\[|\]$/g, ''), `host ${peer.host}`)
    assert(Number.isInteger(peer.port) && peer.port >= 1 && peer.port <= 65535, `port ${peer.port}`)
    assert(peer.weight >= 0 && peer.weight <= 1e6 && !Object.is(peer.weight, -0), `weight ${peer.weight}`)
    assert(peer.slowStart >= 0 && peer.slowStart <= 1e12, `slowStart ${peer.slowStart}`)
    if (peer.startAt !== null) assert(new Date(peer.startAt).toISOString() !== '', `startAt ${peer.startAt}`)
    assert(peer.status !== '' && peer.status.length <= 64, `status ${peer.status}`)
    if (peer.checkUrl !== null) assert(/^\/[!-~]*$/.test(peer.checkUrl), `checkUrl ${peer.checkUrl}`)
    assert(Number.isInteger(peer.priority) && Number.isInteger(peer.maxInflight), 'whole numbers')
    assert(typeof JSON.stringify(peer.params) === 'string', 'params as JSON')
    assert(Object.getPrototypeOf(peer.params) === Object.prototype, 'prototype of params')
  }
  if (decoded.kind === 'part' && decoded.field === 'weight' && decoded.value !== undefined) {
    assert(decoded.value >= 0 && decoded.value <= 1e6 && !Object.is(decoded.value, -0), `weight ${decoded.value}`)
  }
  if (decoded.kind === 'settings') assert(typeof JSON.stringify(decoded.value) === 'string', 'settings as JSON')
  assert(PROTOTYPE === JSON.stringify(Object.entries(Object.getOwnPropertyDescriptors(Object.prototype)).map(([name, it]) => [name, String(it.value)])), 'Object.prototype was changed')
}

/** All formats, with and without a past. */
function assertAllSound (key: string, value: string): void {
  const known = decode('auto', '/s/shop/h:1', '{"weight":5,"params":{"a":1}}')
  const previous = known.kind === 'peers' ? known.peers : []
  for (const format of FORMATS) {
    assertSound(decode(format, key, value))
    assertSound(decode(format, key, value, previous))
  }
  const custom: FormatFunction = (_key, text) => {
    const json: unknown = JSON.parse(text)
    return Array.isArray(json) ? json : [json]
  }
  assertSound(decode(custom, key, value, previous))
}

const POLLUTED = '{"polluted":true,"prototype":{"polluted":true}}'
const POLLUTION = [
  `{"__proto__":${POLLUTED}}`,
  `{"\\u005f_proto__":${POLLUTED}}`,
  `{"constructor":${POLLUTED}}`,
  `{"prototype":${POLLUTED}}`,
  `{"params":{"__proto__":${POLLUTED},"constructor":${POLLUTED}}}`,
  `{"Params":{"a":[{"__proto__":${POLLUTED}}]}}`,
  `{"Metadata":{"__proto__":${POLLUTED},"constructor":${POLLUTED}}}`,
  `{"Metadata":{"params":{"x":{"constructor":${POLLUTED},"__proto__":${POLLUTED}}}}}`,
  `{"Addr":"h:1","Metadata":{"__proto__":${POLLUTED}}}`,
  '{"Addr":"h:1","__proto__":{"weight":9}}',
  '{"__proto__":{"Addr":"evil:1","weight":9,"status":"down"}}',
  '{"__proto__":null,"constructor":null}',
  '{"constructor":"a text","prototype":5}',
  `{"nodes":[{"address":"h:1","__proto__":${POLLUTED},"metadata":{"__proto__":${POLLUTED},"constructor":${POLLUTED}}}]}`,
  `{"nodes":[{"host":"h","port":1,"constructor":${POLLUTED},"metadata":{"params":{"__proto__":${POLLUTED}}}}]}`,
  '{"nodes":{"__proto__":{"h:1":9}}}',
  '{"nodes":{"__proto__":1,"constructor":1}}',
  `[{"host":"h","port":1,"__proto__":${POLLUTED}}]`,
  `{"network":"tcp","address":"h:1","tags":{"__proto__":${POLLUTED},"constructor":${POLLUTED}},"__proto__":${POLLUTED}}`,
  `{"name":"n","endpoints":["http://h:1"],"metadata":{"__proto__":${POLLUTED},"constructor":${POLLUTED}}}`,
  `{"URL":"http://h:1","__proto__":${POLLUTED},"params":{"constructor":${POLLUTED}}}`,
  `{"host":"h","port":1,"__proto__":${POLLUTED},"constructor":${POLLUTED}}`
]

/** What a careless consumer does with params. */
function merge (target: Record<string, unknown>, source: object): void {
  for (const [name, value] of Object.entries(source)) {
    const there = target[name]
    if (typeof value === 'object' && value !== null && there !== null && (typeof there === 'object' || typeof there === 'function')) {
      merge(there as Record<string, unknown>, value)
    } else {
      target[name] = value
    }
  }
}

t.test('no key reaches a prototype, whatever the parser lets through', async t => {
  for (const parse of [safeParse, JSON.parse]) {
    for (const value of POLLUTION) {
      for (const format of [...FORMATS, () => [Object.assign(JSON.parse(value), { service: 's', host: 'h', port: 1 })]] as const) {
        for (const key of ['/s/shop/h:1', '/s/shop/x', '/s/shop/servers/x', '/s/shop/loadbalancer/servers/x/url', '/s/__proto__', '/s/__proto__/h:1', '/s/constructor/h:1']) {
          const decoded = decode(format, key, value, undefined, parse)
          assertSound(decoded)
          const target: Record<string, unknown> = {}
          if (decoded.kind === 'peers') decoded.peers.forEach(({ peer }) => merge(target, peer.params))
          if (decoded.kind === 'settings') merge(target, decoded.value)
          assert(Reflect.get({}, 'polluted') === undefined && Reflect.get(target, 'polluted') === undefined, value)
          assert(!Object.hasOwn(Object, 'polluted'), `Object, by ${value}`)
          // kitex counts an absent weight as 10.
          const usual = value.includes('"network"') || format === 'kitex' ? [1, 10] : [1]
          if (decoded.kind === 'peers') assert(decoded.peers.every(({ peer }) => usual.includes(peer.weight) && peer.status === 'up'), value)
        }
      }
    }
  }
  const kept = decode('auto', '/s/shop/h:1', '{"constructor":"a text","prototype":5}')
  t.strictSame(kept.kind === 'peers' && Object.entries(kept.peers[0]?.peer.params ?? {}), [['constructor', 'a text'], ['prototype', 5]])
})

const hostileCharacter = fc.constantFrom(...'abz09AZ._-:[]@/\\#?% \r\n\t\0\u007f\u009f\u212a\u017f。．１üß🦊', '%eth0', 'xn--', '0x', '..', '::', '1.2.3.4')
const hostileHost = fc.array(hostileCharacter, { maxLength: 12 }).map(parts => parts.join(''))
const anyPort = fc.oneof(fc.integer({ min: -5, max: 70_000 }).map(String), fc.string({ maxLength: 5 }))
const key = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.string({ unit: 'binary' }).map(rest => `/s/${rest}`),
  fc.tuple(hostileHost, anyPort).map(([host, port]) => `/s/shop/${host}:${port}`),
  fc.constantFrom('/s/shop/h:1', '/s/shop/x', '/s/shop', '/s/a/b/[::1]:2', '/s/shop/servers/x', '/s/shop/host:web:80',
    '/s/shop/loadbalancer/servers/0/url', '/s/shop/loadbalancer/servers/0/weight', '/s/shop/loadbalancer/x')
)

const fieldName = fc.constantFrom(
  'weight', 'status', 'slow_start', 'slowStart', 'checkurl', 'check_url', 'start_at', 'scheme', 'priority', 'zone', 'max_inflight',
  'params', 'Params', 'Metadata', 'down', 'backup', 'Op', 'Addr', 'addr', 'service', 'host', 'port', 'toJSON',
  'nodes', 'address', 'network', 'tags', 'endpoints', 'name', 'version', 'metadata', 'URL', 'text', 'mail', 'discovery_type', 'constructor', '__proto__', 'other'
)
const hostileUrl = fc.tuple(fc.constantFrom('http://', 'https://', 'HTTP://', 'grpc://', '//', ''), hostileHost, anyPort, fc.constantFrom('', '/', '/a?b#c', '?isSecure=true'))
  .map(([scheme, host, port, rest]) => `${scheme}${host}:${port}${rest}`)
const address = fc.oneof(hostileUrl, fc.tuple(hostileHost, anyPort).map(([host, port]) => `${host}:${port}`), fc.constantFrom('h:1', 'http://h:1'))
/** What nodes and endpoints may look like, good and bad ones in one list. */
const nodes = fc.oneof(
  fc.array(fc.oneof(address, fc.jsonValue(), fc.record({
    address, host: fc.oneof(hostileHost, fc.constant('h')), port: fc.oneof(fc.integer(), anyPort), weight: fc.jsonValue(), priority: fc.jsonValue(), metadata: fc.jsonValue()
  }, { requiredKeys: [] })), { maxLength: 4 }),
  fc.dictionary(address, fc.jsonValue(), { maxKeys: 4 })
)
const fieldValue = fc.oneof(
  fc.jsonValue(),
  fc.constantFrom('up', '/x', 'https', '1.2.3.4:80', '1e3', '-0', -0, 1e300, 1, '', null, [], {}),
  fc.tuple(hostileHost, anyPort).map(([host, port]) => `${host}:${port}`),
  fc.double(),
  nodes
)
/** Entries, not an object: `__proto__` is to arrive as a key. */
const fields = fc.array(fc.tuple(fieldName, fieldValue), { maxLength: 8 })
  .map(list => list.map(([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`).join(','))
const record = fc.tuple(fields, fields).map(([top, metadata]) => `{${top}${top === '' ? '' : ','}"Metadata":{${metadata}}}`)

/** JSON that was valid until one character was taken out, put in or replaced. */
const mutated = fc.tuple(record, fc.nat(), fc.string({ maxLength: 2 }), fc.nat(2)).map(([text, at, insert, cut]) => {
  const position = at % (text.length + 1)
  return text.slice(0, position) + insert + text.slice(position + cut)
})

const cases: ReadonlyArray<[name: string, value: fc.Arbitrary<string>]> = [
  ['arbitrary text', fc.string({ unit: 'binary', maxLength: 200 })],
  ['arbitrary JSON', fc.json()],
  ['records of known fields', record],
  ['mutated records', mutated],
  ['nodes', fc.tuple(fc.constantFrom('nodes', 'endpoints', 'list'), nodes).map(([name, value]) => JSON.stringify(name === 'list' ? value : { [name]: value, name: 'n' }))],
  ['addresses and weights as text', fc.oneof(address, fc.string({ unit: fc.constantFrom(...'0123456789.-+eE \t:[]') }))],
  ['hostile addresses', fc.tuple(hostileHost, anyPort).map(([host, port]) => JSON.stringify({ service: 's', host, port, Addr: `${host}:${port}` }))]
]

for (const [name, value] of cases) {
  t.test(`whatever comes in is decoded or refused: ${name}`, async t => {
    fc.assert(fc.property(key, value, assertAllSound), { seed: SEED, numRuns: 500 })
    t.pass()
  })
}

t.test('values that name many peers cost no more than their size', async t => {
  const long = 'x'.repeat(10_000)
  const many = Array.from({ length: 1500 }, (_, i) => i + 1)
  const values = [
    { version: long, name: long, nodes: many.map(port => ({ address: `h:${port}` })) },
    { type: long, checks: { long }, nodes: Object.fromEntries(many.map(port => [`h:${port}`, port])) },
    { name: long, endpoints: many.slice(0, 16).map(port => `http://h:${port}`), metadata: { long } }
  ]
  for (const value of values) {
    const decoded = decode('auto', '/s/shop/x', JSON.stringify(value))
    if (decoded.kind !== 'peers') throw new Error(decoded.kind)
    t.ok(decoded.peers.length >= 16)
    t.ok(JSON.stringify(decoded.peers.map(({ peer }) => peer.params)).length < 1e6)
  }
})

t.test('a host that is accepted is accepted as it is spelled', async t => {
  let accepted = 0
  fc.assert(fc.property(hostileHost, host => {
    const decoded = decode('plain', `/s/shop/${host}:80`, '')
    if (decoded.kind !== 'peers') return
    accepted++
    const id = decoded.peers[0]?.peer.id ?? ''
    const again = decode('plain', `/s/shop/${id}`, '')
    assert(again.kind === 'peers' && again.peers[0]?.peer.id === id, `${id} is not stable`)
  }), { seed: SEED, numRuns: 5000 })
  t.ok(accepted > 100, `${accepted} were accepted`)
})
