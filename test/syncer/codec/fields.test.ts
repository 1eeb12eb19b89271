import sjson from 'secure-json-parse'
import t from 'tap'
import type { Peer } from '../../../lib/store/peer.js'
import { createCodec } from '../../../lib/syncer/codec/codec.js'
import type { Registration } from '../../../lib/syncer/codec/registration.js'

const codec = createCodec({
  keyPrefix: '/services/',
  format: 'auto',
  parse: text => sjson.parse(text, null, { protoAction: 'remove', constructorAction: 'remove' })
})

function read (value: unknown, previous?: readonly Registration[]) {
  const text = typeof value === 'string' ? value : JSON.stringify(value)
  const decoded = codec.decode({ key: '/services/shop/h:1', value: text, size: 0, modRevision: 1n, lease: 0n }, previous)
  if (decoded.kind !== 'peers' || decoded.peers[0] === undefined) throw new Error(`no peer: ${JSON.stringify(decoded)}`)
  return { peer: decoded.peers[0].peer, errors: decoded.errors, peers: decoded.peers }
}

/** JSON that nests `levels` objects, the outermost included. */
function nested (levels: number): string {
  return `${'{"a":'.repeat(levels - 1)}{}${'}'.repeat(levels - 1)}`
}

interface Table {
  readonly names: readonly string[]
  readonly field: keyof Peer
  readonly fallback: unknown
  /** A value for the previous registration, and what it is read as. */
  readonly known: readonly [raw: unknown, read: unknown]
  readonly good: ReadonlyArray<readonly [raw: unknown, read: unknown]>
  readonly bad: readonly unknown[]
  readonly expected: string
}

const NOT_NUMBERS = ['', ' ', 'abc', '0x10', 'Infinity', '-Infinity', 'NaN', '1,5', '1_000', '--1', '1e', '.', 'e3', '1 2', '٣', true, false, [], [1], {}]

const TABLES: readonly Table[] = [
  {
    names: ['weight'],
    field: 'weight',
    fallback: 1,
    known: [7, 7],
    good: [[0, 0], [3, 3], [0.5, 0.5], [1e6, 1e6], ['3', 3], ['0.5', 0.5], ['1e3', 1000], [' 4 ', 4], ['+2', 2], ['.5', 0.5], ['5.', 5], ['-0', 0], ['1E-2', 0.01]],
    bad: [...NOT_NUMBERS, -1, -0.001, 1_000_001, '-1', '1000001', '1e400', `${'1'.repeat(60_000)}x`],
    expected: 'a number from 0 to 1000000'
  },
  {
    names: ['slow_start', 'slowStart'],
    field: 'slowStart',
    fallback: 0,
    known: [3, 3000],
    good: [[0, 0], [30, 30_000], [0.25, 250], ['1.5', 1500], [1e9, 1e12], [0.0001, 0], [4.35, 4350]],
    bad: [...NOT_NUMBERS, -1, 1e9 + 1],
    expected: 'seconds from 0 to 1000000000'
  },
  {
    names: ['start_at', 'startAt'],
    field: 'startAt',
    fallback: null,
    known: [12, 12_000],
    good: [[0, 0], [1_700_000_000, 1_700_000_000_000], ['1700000000.5', 1_700_000_000_500], [8.64e12, 8.64e15]],
    bad: [...NOT_NUMBERS, -1, 8.64e12 + 1],
    expected: 'seconds since 1970 from 0 to 8640000000000'
  },
  {
    names: ['priority'],
    field: 'priority',
    fallback: 0,
    known: [2, 2],
    good: [[0, 0], [1000, 1000], ['5', 5], ['1e2', 100], ['-0', 0]],
    bad: [...NOT_NUMBERS, -1, 0.5, '0.5', 1001],
    expected: 'a whole number from 0 to 1000'
  },
  {
    names: ['max_inflight', 'maxInflight'],
    field: 'maxInflight',
    fallback: 0,
    known: [2, 2],
    good: [[0, 0], [64, 64], ['64', 64], [1e9, 1e9]],
    bad: [...NOT_NUMBERS, -1, 1.5, 1e9 + 1],
    expected: 'a whole number from 0 to 1000000000'
  },
  {
    names: ['status'],
    field: 'status',
    fallback: 'up',
    known: ['drain', 'drain'],
    good: [['up', 'up'], ['down', 'down'], ['drain', 'drain'], ['UP', 'UP'], ['Wartung – später', 'Wartung – später'], ['x'.repeat(64), 'x'.repeat(64)]],
    bad: ['', 'x'.repeat(65), 'a\nb', 'a\u0000', 'a\u009b', '\ud800', 1, true, [], {}],
    expected: 'a text of 1 to 64 characters'
  },
  {
    names: ['checkurl', 'check_url', 'checkUrl'],
    field: 'checkUrl',
    fallback: null,
    known: ['/known', '/known'],
    good: [['/', '/'], ['/a?b=c&d=%20', '/a?b=c&d=%20'], ['', null], [`/${'x'.repeat(2047)}`, `/${'x'.repeat(2047)}`]],
    bad: ['health', 'http://h/', '/a b', '/a\r\nx: y', '/a\n', '/ü', '/\u007f', ' /a', `/${'x'.repeat(2048)}`, 1, true, [], {}],
    expected: 'a path that starts with "/", of at most 2048 visible ASCII characters'
  },
  {
    names: ['zone'],
    field: 'zone',
    fallback: null,
    known: ['eu', 'eu'],
    good: [['eu-1a', 'eu-1a'], ['Zürich', 'Zürich'], ['', null], ['x'.repeat(256), 'x'.repeat(256)]],
    bad: ['x'.repeat(257), 'a\nb', 1, true, [], {}],
    expected: 'a text of at most 256 characters'
  }
]

for (const { names, field, fallback, known, good, bad, expected } of TABLES) {
  t.test(field, async t => {
    t.strictSame(read({}).peer[field], fallback, 'absent')
    const [name = ''] = names
    const before = read({ [name]: known[0] })
    t.strictSame(before.peer[field], known[1])
    for (const alias of names) {
      for (const [raw, expectedValue] of good) {
        for (const value of [{ [alias]: raw }, { Metadata: { [alias]: raw } }]) {
          const { peer, errors } = read(value)
          t.strictSame(peer[field], expectedValue, JSON.stringify(value).slice(0, 80))
          t.strictSame(errors, [])
          t.strictSame(peer.params, {}, 'a known name is not kept as an unknown one')
        }
      }
      const absent = read({ [alias]: null, Metadata: { [alias]: null } }, before.peers)
      t.strictSame(absent.peer[field], fallback, 'null is absent')
      t.strictSame(absent.errors, [])
      t.strictSame(read({ [alias]: null, Metadata: { [alias]: known[0] } }).peer[field], known[1], 'null lets Metadata speak')
    }
    for (const raw of bad) {
      for (const value of [{ [name]: raw }, { [name]: raw, Metadata: { [name]: known[0] } }, { Metadata: { [name]: raw } }]) {
        const label = JSON.stringify(value).slice(0, 80)
        const fresh = read(value)
        t.strictSame(fresh.peer[field], fallback, label)
        t.equal(fresh.errors.length, 1, label)
        t.equal(fresh.errors[0]?.startsWith(`${name}: expected ${expected}, got `), true, label)
        t.ok((fresh.errors[0] ?? '').length < 200, 'the value is shortened')
        t.strictSame(read(value, before.peers).peer[field], known[1], `previous, ${label}`)
      }
    }
  })
}

t.test('minus zero is zero', async t => {
  for (const text of ['-0', '-0.0', '"-0"']) t.ok(Object.is(read(`{"weight":${text}}`).peer.weight, 0), text)
})

t.test('numbers that are too big for JavaScript', async t => {
  t.strictSame(read('{"weight":1e999}').errors, ['weight: expected a number from 0 to 1000000, got Infinity'])
  t.strictSame(read('{"start_at":1e999}').peer.startAt, null)
})

t.test('the message of a bad field', async t => {
  t.strictSame(read({ weight: 'abc' }).errors, ['weight: expected a number from 0 to 1000000, got "abc"'])
  t.strictSame(read({ weight: 'x'.repeat(99) }).errors, [`weight: expected a number from 0 to 1000000, got "${'x'.repeat(58)}…`])
  t.strictSame(read(`{"weight":${'['.repeat(30_000)}${']'.repeat(30_000)}}`).errors.length, 1, 'deeper than the stack')
})

t.test('scheme', async t => {
  t.equal(read({}).peer.scheme, 'http')
  t.equal(read({ scheme: 'http' }).peer.scheme, 'http')
  t.equal(read({ scheme: 'https' }).peer.scheme, 'https')
  for (const scheme of ['HTTPS', 'ftp', '', 'https:', 1, true, [], {}]) {
    const { peer, errors } = read({ scheme })
    t.equal(peer.scheme, 'http')
    t.strictSame(errors, [`scheme: expected "http" or "https", got ${JSON.stringify(scheme)}`])
    const kept = read({ scheme, weight: 'x' }, read({ scheme: 'https', weight: 5 }).peers)
    t.equal(kept.peer.scheme, 'https', 'a bad scheme keeps the previous one')
    t.equal(kept.peer.weight, 5, 'and with it the identity')
  }
})

t.test('a bad field falls back to the peer with the same identity only', async t => {
  const before = read({ weight: 5 }).peers
  t.equal(read({ weight: 'x' }, before).peer.weight, 5)
  t.equal(read({ weight: 'x', scheme: 'https' }, before).peer.weight, 1, 'another scheme')
  const [known] = before
  if (known === undefined) throw new Error('no peer')
  t.equal(read({ weight: 'x' }, [{ ...known, service: 'other' }]).peer.weight, 1, 'another service')
  t.equal(read({ weight: 'x' }, [{ ...known, peer: { ...known.peer, id: 'h:2' } }]).peer.weight, 1, 'another address')
  t.equal(read({ weight: 'x' }, [{ ...known, service: 'other' }, known]).peer.weight, 5)
})

t.test('good fields beside a bad one are read', async t => {
  const { peer, errors } = read({ weight: 'x', status: 5, zone: 'eu', slow_start: 2 })
  t.equal(peer.zone, 'eu')
  t.equal(peer.slowStart, 2000)
  t.strictSame(errors.map(error => error.split(':')[0]), ['status', 'weight'])
})

t.test('the top level wins over Metadata, and the first alias over the next', async t => {
  t.equal(read({ weight: 2, Metadata: { weight: 3 } }).peer.weight, 2)
  t.equal(read({ slowStart: 2, Metadata: { slow_start: 3 } }).peer.slowStart, 2000)
  t.equal(read({ slowStart: 2, slow_start: 3 }).peer.slowStart, 3000)
  t.equal(read({ checkUrl: '/c', check_url: '/b', checkurl: '/a' }).peer.checkUrl, '/a')
  t.equal(read({ checkurl: '', check_url: '/b' }).peer.checkUrl, null)
})

t.test('params', async t => {
  const cases: Array<[value: unknown, params: unknown]> = [
    [{ a: 1, b: null, c: [1, { d: 2 }] }, { a: 1, b: null, c: [1, { d: 2 }] }],
    [{ params: { a: 1 } }, { a: 1 }],
    [{ Params: { a: 1 } }, { a: 1 }],
    [{ params: null, Params: null }, {}],
    [{ params: [], Params: [] }, {}],
    [{ Metadata: { a: 1, params: { b: 2 } } }, { a: 1, b: 2 }],
    [{ a: 1, Metadata: { a: 2 } }, { a: 1 }],
    [{ a: 1, Metadata: { Params: { a: 3 } } }, { a: 3 }],
    [{ a: 1, params: { a: 2 } }, { a: 2 }],
    [{ Params: { a: 1, b: 1 }, params: { a: 2 } }, { a: 2, b: 1 }],
    [{ params: { a: 2 }, Metadata: { params: { a: 3 } } }, { a: 2 }],
    [{ params: { weight: 9, Metadata: 1 } }, { weight: 9, Metadata: 1 }],
    [{ Metadata: null }, {}],
    [{ Metadata: 'text' }, { metadata: 'text' }],
    [{ Metadata: [1] }, { metadata: [1] }],
    [{ metadata: { a: 1 } }, { metadata: { a: 1 } }],
    [{ toString: 1, hasOwnProperty: 2, toJSON: 3 }, { toString: 1, hasOwnProperty: 2, toJSON: 3 }]
  ]
  for (const [value, params] of cases) {
    const { peer, errors } = read(value)
    t.strictSame(peer.params, params, JSON.stringify(value))
    t.strictSame(errors, [])
  }
})

t.test('bad params keep the previous ones', async t => {
  const before = read({ params: { a: 1 } }).peers
  for (const name of ['params', 'Params']) {
    for (const bad of [5, 'x', true, [1]]) {
      const errors = [`${name}: expected an object, got ${JSON.stringify(bad)}`]
      for (const value of [{ b: 2, [name]: bad }, { b: 2, Metadata: { [name]: bad } }]) {
        const fresh = read(value)
        t.strictSame(fresh.peer.params, { b: 2 }, 'unknown fields are kept')
        t.strictSame(fresh.errors, errors)
        const kept = read(value, before)
        t.strictSame(kept.peer.params, { a: 1 })
        t.strictSame(kept.errors, errors)
      }
    }
  }
})

t.test('params of 32 levels are kept, deeper ones are bad', async t => {
  const before = read({ params: { a: 1 } }).peers
  t.strictSame(read(`{"params":${nested(32)}}`).errors, [])
  t.equal(JSON.stringify(read(`{"params":${nested(32)}}`).peer.params), nested(32))
  for (const value of [`{"params":${nested(33)}}`, `{"x":${nested(32)}}`, `{"x":${'['.repeat(30_000)}${']'.repeat(30_000)}}`]) {
    const fresh = read(value)
    t.strictSame(fresh.peer.params, {})
    t.ok(Object.isFrozen(fresh.peer.params))
    t.strictSame(fresh.errors, ['params: nested deeper than 32 levels'])
    t.strictSame(read(value, before).peer.params, { a: 1 })
  }
})
