import t from 'tap'
import { errors } from '../../lib/errors.js'
import { readOptions, type EtcdSettings } from '../../lib/options.js'
import { pem } from '../fixtures/pem.js'

const CERT = pem('client.pem')
const KEY = pem('client.key')
const noTls = { ca: null, cert: null, key: null, serverName: null }
const HOST = 'a host as in http://host:2379, https://host:2379 or host:2379'

function read (etcd: unknown): EtcdSettings | null {
  return readOptions({ etcd }).etcd
}

function refusal (raw: unknown): string {
  try {
    readOptions(raw)
  } catch (error) {
    if (error instanceof errors.BAD_OPTION) return error.message
    throw error
  }
  return 'accepted'
}

t.test('hosts', async (t) => {
  const rows: Array<[unknown, string[]]> = [
    ['http://127.0.0.1:2379', ['http://127.0.0.1:2379']],
    ['http://h', ['http://h:2379']], ['h', ['http://h:2379']], ['h:23790', ['http://h:23790']], ['HTTP://h:80/', ['http://h:80']],
    ['[::1]:2379', ['http://[::1]:2379']], ['http://[::1]', ['http://[::1]:2379']], ['etcd-0.etcd_ns.svc:1', ['http://etcd-0.etcd_ns.svc:1']],
    [['http://a:1', 'b:2', 'c'], ['http://a:1', 'http://b:2', 'http://c:2379']],
    [{ hosts: 'a' }, ['http://a:2379']], [{ hosts: ['a', 'b'] }, ['http://a:2379', 'http://b:2379']]
  ]
  for (const [etcd, hosts] of rows) t.strictSame(read(etcd), { hosts, auth: null, tls: null, timeout: 2000 })
  t.strictSame(read(['https://a', 'https://b:443']), { hosts: ['https://a:2379', 'https://b:443'], auth: null, tls: noTls, timeout: 2000 })
})

t.test('bad hosts', async (t) => {
  for (const host of [
    '', ' ', 'ftp://h', 'http://', '//h', 'http://h:0', 'http://h:65536', 'http://h:x', 'http://h:2379/v3', 'http://h?x', 'http://h#x', 'http://h:1?',
    'a b', 'http://999.1.1.1:1', '[::1', '[zz]', 'a,b', 'http://a:1,http://b:1', '::1'
  ]) {
    t.equal(refusal({ etcd: host }), `option "etcd" must be ${HOST}, got ${JSON.stringify(host)}`)
    t.equal(refusal({ etcd: ['a', host] }), `option "etcd[1]" must be ${HOST}, got ${JSON.stringify(host)}`)
    t.equal(refusal({ etcd: { hosts: host } }), `option "etcd.hosts" must be ${HOST}, got ${JSON.stringify(host)}`)
  }
  const rows: Array<[unknown, string]> = [
    [[], 'option "etcd" must be a host or a list of at least one, got []'],
    [{ hosts: [] }, 'option "etcd.hosts" must be a host or a list of at least one, got []'],
    [{ hosts: 5 }, 'option "etcd.hosts" must be a host or a list of at least one, got 5'],
    [{ timeout: 5 }, 'option "etcd.hosts" must be a host or a list of at least one, got undefined'],
    [[5], `option "etcd[0]" must be ${HOST}, got 5`],
    [5, 'option "etcd" must be a host, a list of hosts or an object, got 5'],
    [null, 'option "etcd" must be a host, a list of hosts or an object, got null'],
    [() => 'h', 'option "etcd" must be a host, a list of hosts or an object, got [function]'],
    [['http://a', 'https://b'], 'option "etcd" must be all http:// or all https://, got ["http://a","https://b"]'],
    [{ hosts: ['https://a', 'b'] }, 'option "etcd.hosts" must be all http:// or all https://, got ["https://a","b"]'],
    [{ host: 'a' }, 'unknown option "etcd.host", did you mean "etcd.hosts"?'],
    [{ hosts: 'a', user: 5 }, 'unknown option "etcd.user", known: hosts, auth, tls, timeout'],
    [{ hosts: 'a', timeout: 0 }, 'option "etcd.timeout" must be a number from 1 to 2147483647 (ms), got 0']
  ]
  for (const [etcd, message] of rows) t.equal(refusal({ etcd }), message)
})

t.test('credentials', async (t) => {
  t.strictSame(read({ hosts: 'a', auth: { username: 'root', password: '' }, timeout: 5 }),
    { hosts: ['http://a:2379'], auth: { username: 'root', password: '' }, tls: null, timeout: 5 })
  const rows: Array<[unknown, string]> = [
    [{ username: 'root' }, 'option "etcd.auth.password" must be a string, got undefined'],
    [{ username: 'root', password: 1234 }, 'option "etcd.auth.password" must be a string, got "[hidden]"'],
    [{ password: 'hush' }, 'option "etcd.auth.username" must be a string that is not empty and holds no control characters, got undefined'],
    [{ username: '', password: 'hush' }, 'option "etcd.auth.username" must be a string that is not empty and holds no control characters, got ""'],
    [{ user: 'root', password: 'hush' }, 'unknown option "etcd.auth.user", known: username, password'],
    ['root:hush', 'option "etcd.auth" must be an object { username, password }, got "[hidden]"']
  ]
  for (const [auth, message] of rows) t.equal(refusal({ etcd: { hosts: 'a', auth } }), message)
  t.equal(refusal({ etcd: 'http://root:hush@h:2379' }), `option "etcd" must be ${HOST}, got "[hidden]@h:2379"`)
})

t.test('TLS', async (t) => {
  const hosts = 'https://a'
  const buffer = Buffer.from(CERT)
  const settings = read({ hosts, tls: { ca: buffer, cert: CERT, key: Buffer.from(KEY), serverName: 'etcd.internal' } })
  buffer.fill(0)
  t.strictSame(settings?.tls, { ca: CERT, cert: CERT, key: KEY, serverName: 'etcd.internal' }, 'text, and no part of the caller\'s buffer')
  t.strictSame(read({ hosts, tls: { ca: CERT } })?.tls, { ...noTls, ca: CERT })
  t.strictSame(read({ hosts, tls: {} })?.tls, noTls)
  const rows: Array<[unknown, string]> = [
    [{ hosts: 'http://a', tls: {} }, 'option "etcd.tls" needs hosts that start with https://'],
    [{ hosts: 'a', tls: { ca: CERT } }, 'option "etcd.tls" needs hosts that start with https://'],
    [{ hosts, tls: { ca: '/etc/ca.pem' } }, 'option "etcd.tls.ca" must be PEM text or a Buffer of it, got "/etc/ca.pem"'],
    [{ hosts, tls: { ca: Buffer.from('x') } }, 'option "etcd.tls.ca" must be PEM text or a Buffer of it, got [bytes]'],
    [{ hosts, tls: { cert: null } }, 'option "etcd.tls.cert" must be PEM text or a Buffer of it, got null'],
    [{ hosts, tls: { cert: CERT, key: 'hush' } }, 'option "etcd.tls.key" must be PEM text or a Buffer of it, got "[hidden]"'],
    [{ hosts, tls: { cert: CERT } }, 'options "etcd.tls.cert" and "etcd.tls.key" need each other'],
    [{ hosts, tls: { key: KEY } }, 'options "etcd.tls.cert" and "etcd.tls.key" need each other'],
    [{ hosts, tls: { serverName: '' } }, 'option "etcd.tls.serverName" must be a string that is not empty and holds no control characters, got ""'],
    [{ hosts, tls: { rejectUnauthorized: false } }, 'unknown option "etcd.tls.rejectUnauthorized", known: ca, cert, key, serverName'],
    [{ hosts, tls: KEY }, 'option "etcd.tls" must be an object, got "[hidden]"'],
    [{ hosts, tls: true }, 'option "etcd.tls" must be an object, got true']
  ]
  for (const [etcd, message] of rows) t.equal(refusal({ etcd }), message)
})

t.test('the embedded registry', async (t) => {
  const odd = new Date(0)
  const raw = { orders: { 'a:1': { weight: 3, params: { tags: ['x'] } }, 'b:2': '', 'c:3': odd }, 'group/empty': {} }
  const { peers, etcd } = readOptions({ peers: raw })
  t.equal(etcd, null)
  t.strictSame([...peers?.keys() ?? []], ['orders', 'group/empty'])
  t.strictSame([...peers?.get('orders') ?? []], [['a:1', { weight: 3, params: { tags: ['x'] } }], ['b:2', ''], ['c:3', odd]])
  raw.orders['a:1'].params.tags.push('y')
  t.strictSame(peers?.get('orders')?.get('a:1'), { weight: 3, params: { tags: ['x'] } }, 'a copy')

  const hostile = readOptions({ peers: JSON.parse('{"__proto__":{"a:1":{"__proto__":{"weight":9}}}}') }).peers?.get('__proto__')?.get('a:1')
  t.strictSame(Object.keys(hostile ?? {}), ['__proto__'], 'a field, not a prototype')

  const cycle: Record<string, unknown> = {}
  cycle['again'] = cycle
  const rows: Array<[unknown, string]> = [
    [[], 'option "peers" must be an object, got []'],
    [null, 'option "peers" must be an object, got null'],
    [new Map(), 'option "peers" must be an object, got {}'],
    [{ '': {} }, 'option "peers" must be a service\'s name, not empty and without control characters, got ""'],
    [{ 'a\nb': {} }, 'option "peers" must be a service\'s name, not empty and without control characters, got "a\\nb"'],
    [{ orders: ['a:1'] }, 'option "peers.orders" must be an object, got ["a:1"]'],
    [{ orders: { 'a:1': cycle } }, 'option "peers.orders.a:1" must be at most 100 levels deep, got {"again":{"again":{"again":{…}}}}']
  ]
  for (const [peers, message] of rows) t.equal(refusal({ peers }), message)
})

t.test('exactly one of both', async (t) => {
  t.equal(refusal({}), 'one of the options "etcd" and "peers" is needed')
  t.equal(refusal({ etcd: undefined, peers: undefined }), 'one of the options "etcd" and "peers" is needed')
  t.equal(refusal({ etcd: 'a', peers: {} }), 'options "etcd" and "peers" exclude each other, give one of them')
  t.strictSame(readOptions({ etcd: undefined, peers: {} }).peers, new Map())
})
