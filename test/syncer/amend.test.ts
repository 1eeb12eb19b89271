import sjson from 'secure-json-parse'
import t from 'tap'
import { createAmend, type Amendment } from '../../lib/syncer/amend.js'
import { createCodec, type CodecOptions, type FormatFunction, type FormatName } from '../../lib/syncer/codec/codec.js'
import { membersOf } from '../../lib/syncer/codec/members.js'
import { Refusal } from '../../lib/syncer/refusal.js'
import type { Entry } from '../../lib/syncer/source.js'
import { entry, PREFIX } from '../fixtures/registry.js'

function optionsOf (format: FormatName | FormatFunction): CodecOptions {
  return { keyPrefix: PREFIX, format, parse: text => sjson.parse(text, null, { protoAction: 'remove', constructorAction: 'remove' }) }
}

/** The value after the change, or why it was refused. The key's first peer is the one to change. */
function amended (written: Entry, amendment: Amendment, format: FormatName | FormatFunction = 'auto'): string {
  const options = optionsOf(format)
  const decoded = createCodec(options).decode(written, undefined)
  const registration = decoded.kind === 'peers' ? decoded.peers[0] : undefined
  if (registration === undefined) throw new Error(`no peer: ${JSON.stringify(decoded)}`)
  try {
    return createAmend(options)(written, registration, amendment)
  } catch (error) {
    if (error instanceof Refusal) return error.message
    throw error
  }
}

const of = (value: unknown): Entry => entry('shop/10.0.0.1:80', value, 1)

t.test('only what was asked for changes, to the byte', async t => {
  const rows: Array<[before: string, amendment: Amendment, after: string]> = [
    ['', { weight: 3 }, '{"weight":3}'],
    ['  ', { status: 'drain' }, '{"status":"drain"}'],
    ['{}', { weight: 3, status: 'down' }, '{"weight":3,"status":"down"}'],
    ['{ }', { weight: 3 }, '{"weight":3 }'],
    ['{"weight": 1}', { weight: 0.5 }, '{"weight": 0.5}'],
    ['{"weight": "7", "status":"down"}', { status: 'up' }, '{"weight": "7", "status":"up"}'],
    ['{ "zone": "a\\"}{,:[", "weight" : 1 , "n": 12345678901234567890 }', { weight: 2 }, '{ "zone": "a\\"}{,:[", "weight" : 2 , "n": 12345678901234567890 }'],
    ['{"params": {"weight": 9, "list": [1, {"status": "x"}, []]}}', { weight: 2 }, '{"params": {"weight": 9, "list": [1, {"status": "x"}, []]},"weight":2}'],
    ['{"a": [1, 2], "weight": 1}', { status: 'drain' }, '{"a": [1, 2], "weight": 1,"status":"drain"}'],
    ['{"\\u0077eight": 1}', { weight: 2 }, '{"\\u0077eight": 2}'],
    ['{"weight": 1, "weight": 4}', { weight: 2 }, '{"weight": 2, "weight": 2}'],
    ['{"weight": "lots"}', { weight: 2 }, '{"weight": 2}'],
    ['{"Metadata":{"weight":5,"status":"up","check_url":"/up"},"Params":{}}', { weight: 2 }, '{"Metadata":{"weight":2,"status":"up","check_url":"/up"},"Params":{}}'],
    ['{"Metadata":{},"Params":{"a":1}}', { status: 'drain' }, '{"Metadata":{"status":"drain"},"Params":{"a":1}}'],
    ['{"weight":1,"Metadata":{"weight":5}}', { weight: 2 }, '{"weight":2,"Metadata":{"weight":5}}'],
    ['{"weight":null,"Metadata":{"weight":5}}', { weight: 2 }, '{"weight":null,"Metadata":{"weight":2}}'],
    ['{"weight":null}', { weight: 2 }, '{"weight":2}'],
    ['{"Metadata":[],"weight":1}', { weight: 2 }, '{"Metadata":[],"weight":2}'],
    ['{"Metadata":{"weight":1},"Metadata":{"weight":5}}', { weight: 2 }, '{"Metadata":{"weight":1},"Metadata":{"weight":2}}'],
    ['{"__proto__": {"weight": 9}, "weight": 1}', { weight: 2 }, '{"__proto__": {"weight": 9}, "weight": 2}'],
    ['\uFEFF{"weight": 1}', { weight: 2 }, '\uFEFF{"weight": 2}'],
    ['{"down":0,"backup":1,"weight":1}', { weight: 2, status: 'drain' }, '{"down":0,"backup":1,"weight":2,"status":"drain"}']
  ]
  for (const [before, amendment, after] of rows) {
    for (const format of ['auto', 'plain'] as const) t.equal(amended(of(before), amendment, format), after, `${format}: ${before}`)
  }
})

t.test('what cannot be changed is refused in a sentence', async t => {
  const layout = 'its registration is in a layout that cannot be changed here'
  const rows: Array<[string, Entry, string, Amendment?, (FormatName | FormatFunction)?]> = [
    ['not JSON', of('yes'), 'its registration cannot be changed here: the value is not JSON: "yes"'],
    ['a list', of('[1]'), 'its registration cannot be changed here: the value is not a JSON object: [1]'],
    ['a flag that overrules', of('{"down":1}'), 'its registration holds something else that would overrule the change', { status: 'up' }],
    ['grpc', entry('shop/x', '{"Op":0,"Addr":"10.0.0.1:80","Metadata":{"weight":1}}', 1), layout],
    ['an address', entry('shop/x', '10.0.0.1:80', 1), layout],
    ['kitex', entry('shop/10.0.0.1:80', '{"network":"tcp","address":"10.0.0.1:80","weight":10,"tags":{}}', 1), layout],
    ['go-micro', entry('shop/x', '{"name":"shop","version":"1","metadata":{},"nodes":[{"id":"x","address":"10.0.0.1:80","metadata":{}}]}', 1), layout],
    ['apisix', entry('shop', '{"nodes":{"10.0.0.1:80":1,"10.0.0.2:80":1}}', 1), layout],
    ['vulcand', entry('shop/servers/a', '{"URL":"http://10.0.0.1:80"}', 1), layout],
    ['a function\'s', of('3'), layout, { weight: 1 }, () => [{ service: 'shop', host: '10.0.0.1', port: 80, weight: 3 }]],
    ['one that is too long with the change', of(`{"a":"${'x'.repeat(65536 - 9)}"}`), 'its registration holds something else that would overrule the change'],
    ['and one that says what it said before', of(`{"a":"${'x'.repeat(65536 - 9)}"}`), 'its registration holds something else that would overrule the change', { weight: 1 }]
  ]
  for (const [what, written, sentence, amendment = { weight: 2 }, format] of rows) t.equal(amended(written, amendment, format), sentence, what)
})

t.test('a value that was too long to be read is never written over', async t => {
  const options = optionsOf('auto')
  const decoded = createCodec(options).decode(of('{"weight":3}'), undefined)
  const [registration] = decoded.kind === 'peers' ? decoded.peers : []
  if (registration === undefined) throw new Error('no peer')
  const long = { ...of(''), size: 70_000 }
  t.throws(() => createAmend(options)(long, registration, { weight: 3 }), { message: /in a layout that cannot be changed here/ })
})

t.test('members of what is no whole object end with the text', async t => {
  t.same(membersOf('{', 0), [])
  t.same(membersOf('{"a": {', 0), [])
})
