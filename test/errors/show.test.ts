import t from 'tap'
import { quote, show } from '../../lib/errors/show.js'

t.test('values', async (t) => {
  class Box { inside = 1 }
  const cycle: Record<string, unknown> = {}
  cycle['again'] = cycle
  const rows: Array<[unknown, string]> = [
    ['abc', '"abc"'], ['a\n"b"', '"a\\n\\"b\\""'], ['5000', '"5000"'], ['', '""'],
    [5, '5'], [NaN, 'NaN'], [-Infinity, '-Infinity'], [7n, '7n'], [true, 'true'], [null, 'null'], [undefined, 'undefined'],
    [Symbol('s'), 'Symbol(s)'], [() => 1, '[function]'], [Box, '[function]'], [new Box(), '{"inside":1}'],
    [Buffer.from('top secret'), '[bytes]'],
    [[1, 'a', [2]], '[1,"a",[2]]'], [{ a: { b: NaN, f () {} } }, '{"a":{"b":NaN,"f":[function]}}'],
    [[[[[]]]], '[[[[…]]]]'], [cycle, '{"again":{"again":{"again":{…}}}}'],
    [{ at: 'user@host' }, '{"at":"user@host"}'], ['12:30', '"12:30"'], ['a@b:1', '"a@b:1"'],
    ['x'.repeat(1000), `"${'x'.repeat(78)}…`],
    [Array.from({ length: 100000 }, () => 1), '[1,1,1,1,1,1,1,1]']
  ]
  for (const [value, text] of rows) t.equal(show(value), text)
})

t.test('nothing secret', async (t) => {
  const secrets = [
    { password: 'hush' }, { etcd: { auth: { username: 'root', password: 'hush' } } }, { tls: { key: 'hush' } }, { secret: ['hush'] },
    'http://root:hush@h:2379', 'root:hush@h:2379', 'http://root:hu/sh@h', ['http://root:hush@h'],
    `-----BEGIN ${'PRIVATE KEY'}-----\nhush`, { anything: `-----BEGIN EC ${'PRIVATE KEY'}-----\nhush` }
  ]
  for (const value of secrets) {
    t.notMatch(show(value), /hush|hu\/sh/)
    t.match(show(value), '[hidden]')
  }
  t.equal(show('http://root:hush@h:2379'), '"[hidden]@h:2379"')
})

t.test('names', async (t) => {
  t.equal(quote('check.interval'), '"check.interval"')
  t.equal(quote('a"\u0000'), '"a\\"\\u0000"')
  t.equal(quote('n'.repeat(81)), `"${'n'.repeat(79)}…"`)
})
