import t from 'tap'
import { cookieIn, keyOf, needsKey, type Asked } from '../../lib/picker/hash-key.js'
import { settings } from '../fixtures/pure.js'

function asked (fields: Record<string, string | string[]> = {}, address: string | null = '10.1.2.3'): Asked {
  return { uri: '/a?b=c', address, field: name => fields[name] }
}

t.test('every form', async t => {
  const request = asked({ 'x-user': 'kim', 'x-list': ['a', 'b'], cookie: 'sid=42; other=1', 'x-empty': '' })
  const cases: Array<[form: string, key: string]> = [
    ['ip', '10.1.2.3'],
    ['uri', '/a?b=c'],
    ['header:x-user', 'kim'],
    ['header:X-User', 'kim'],
    ['header:x-list', 'a; b'],
    ['cookie:sid', '42'],
    ['cookie:other', '1']
  ]
  for (const [form, key] of cases) t.equal(keyOf(form, request), key, form)
})

t.test('without it, or empty: the client\'s address', async t => {
  const request = asked({ 'x-empty': '', cookie: 'sid=; SID=7', 'x-none': [] })
  for (const form of ['header:x-user', 'header:x-empty', 'header:x-none', 'cookie:sid', 'cookie:missing']) t.equal(keyOf(form, request), '10.1.2.3', form)
  t.equal(keyOf('cookie:sid', asked()), '10.1.2.3', 'no cookies at all')
  for (const form of ['ip', 'header:x-user', 'cookie:sid']) t.equal(keyOf(form, asked({}, null)), null, `${form}, no client`)
  t.equal(keyOf('uri', asked({}, null)), '/a?b=c')
})

t.test('a header named like what every object has is no header', async t => {
  const headers: Record<string, string> = {}
  const request: Asked = { uri: '/', address: '10.1.2.3', field: name => headers[name] }
  for (const name of ['constructor', '__proto__', 'toString', 'hasownproperty', 'valueof']) t.equal(keyOf(`header:${name}`, request), '10.1.2.3', name)
})

t.test('cookies as browsers and proxies write them', async t => {
  const cases: Array<[field: string | string[] | undefined, value: string | undefined]> = [
    ['sid=1', '1'],
    ['a=0;sid=1', '1'],
    ['a=0;  sid = 1 ; b=2', '1'],
    ['sid=1; sid=2', '1'],
    ['xsid=1', undefined],
    ['sidx=1; xsid=2', undefined],
    ['Sid=1', undefined],
    ['sid', undefined],
    ['sid; sid=3', '3'],
    ['sid=', ''],
    ['sid=a=b==', 'a=b=='],
    ['sid="quoted"', '"quoted"'],
    ['=1; ;;; sid=5;', '5'],
    ['', undefined],
    [undefined, undefined],
    [['a=0', 'sid=6'], '6'],
    [[], undefined],
    ['sid=%E4; x', '%E4'],
    [`${'a=b; '.repeat(2000)}sid=7`, '7']
  ]
  for (const [field, value] of cases) t.equal(cookieIn(field, 'sid'), value, JSON.stringify(field)?.slice(0, 40))
  t.equal(cookieIn('__proto__=1', '__proto__'), '1')
})

t.test('only who hashes needs a key', async t => {
  const own = { rebuild: () => {}, pick: () => undefined }
  for (const [balancer, needs] of [['hash', true], [own, true], ['round-robin', false], ['random', false], ['p2c-ewma', false], ['least-requests', false]] as const) {
    t.equal(needsKey(settings({ balancer })), needs, typeof balancer === 'string' ? balancer : 'own')
  }
})
