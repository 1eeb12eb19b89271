import t from 'tap'
import { readServiceSettings, serviceDefaults } from '../../../lib/options.js'
import { formatNames, isFormatName, type FormatName } from '../../../lib/syncer/codec/codec.js'
import { brief, decode, errorsOf, peersOf } from '../../fixtures/decoding.js'

type Case = readonly [key: string, value: unknown, expected: string]

/** What holds by name holds under `auto`, too. */
function bothWays (name: FormatName, cases: readonly Case[]): void {
  t.test(`${name}, by name and by value`, async t => {
    for (const [key, value, expected] of cases) {
      t.equal(brief(decode(name, key, value)), expected, `${name} ${key}`)
      t.equal(brief(decode('auto', key, value)), expected, `auto ${key}`)
    }
  })
}

/** Where a name says more than the value can. */
function apart (name: FormatName, cases: ReadonlyArray<readonly [key: string, value: unknown, named: string, auto: string]>): void {
  t.test(`where ${name} by name and auto differ`, async t => {
    for (const [key, value, named, auto] of cases) {
      t.equal(brief(decode(name, key, value)), named, `${name} ${key} ${JSON.stringify(value)}`)
      t.equal(brief(decode('auto', key, value)), auto, `auto ${key} ${JSON.stringify(value)}`)
    }
  })
}

/** The first peer of what must be peers without errors. */
function only (name: FormatName, key: string, value: unknown) {
  const decoded = decode(name, key, value)
  const [registration] = peersOf(decoded)
  if (registration === undefined || errorsOf(decoded).length > 0) throw new Error(brief(decoded))
  return registration.peer
}

const NO_ADDRESS = 'invalid no address in the key or the value'

bothWays('address', [
  // registrator: <service>/<host name>:<container>:<exposed port>, and for UDP one more part
  ['redis/dockerhost:redis.1:6379', '192.168.1.102:32768', 'redis http://192.168.1.102:32768*1'],
  ['dns/dockerhost:bind:53:udp', '192.168.1.102:53', 'dns http://192.168.1.102:53*1'],
  ['redis/dockerhost:redis.1:6379', '[fd00::5]:32768', 'redis http://[fd00::5]:32768*1'],
  // go-zero: <key>/<lease id>
  ['user.rpc/7587870460981677828', '10.0.0.5:8080', 'user.rpc http://10.0.0.5:8080*1'],
  // go-kit: whatever key its user made
  ['foobar/1', 'http://1.2.3.4:8080', 'foobar http://1.2.3.4:8080*1'],
  ['foobar/1', ' https://Host.example/base?x#y\n', 'foobar https://host.example:443*1'],
  ['foobar/1', 'HTTP://[::1]', 'foobar http://[::1]:80*1'],
  ['foobar/1', 'http://1.2.3.4:', 'invalid bad port "": expected 1 to 65535'],
  ['foobar/1', 'http://user@1.2.3.4:80', 'invalid bad host "user@1.2.3.4": not an IPv4 address'],
  ['foobar/1', 'http://::1:80', 'invalid bad port ":1:80": expected 1 to 65535'],
  ['foobar/1', '1.2.3.4:99999', 'invalid bad port "99999": expected 1 to 65535'],
  ['foobar/nonsense:99999', '1.2.3.4:80', 'foobar http://1.2.3.4:80*1'],
  ['1', '1.2.3.4:80', 'invalid no service in the key'],
  ['shop', { panic: 0.3 }, 'settings shop {"panic":0.3}']
])

apart('address', [
  ['shop/h:1', 'http://1.2.3.4:80', 'shop http://1.2.3.4:80*1', 'shop http://h:1*1'],
  ['shop/h:1', '', 'invalid bad address "": no port', 'shop http://h:1*1'],
  ['shop/h:1', { weight: 2 }, 'invalid no address in the value', 'shop http://h:1*2'],
  ['shop/x', '', 'invalid bad address "": no port', NO_ADDRESS],
  ['shop/x', 'hello', 'invalid bad address "hello": no port', NO_ADDRESS],
  ['shop/x', '1.2.3.4', 'invalid bad address "1.2.3.4": no port', NO_ADDRESS],
  ['shop/x', '{"weight":1', 'invalid bad host "{\\"weight\\"": not a host name', NO_ADDRESS],
  ['shop/x', 'grpc://1.2.3.4:80', 'invalid bad URL "grpc://1.2.3.4:80": expected http:// or https://', NO_ADDRESS]
])

t.test('what a URL says besides the address', async t => {
  t.strictSame(only('address', 'shop/x', 'http://1.2.3.4:80/').params, {})
  t.strictSame(only('address', 'shop/x', 'http://1.2.3.4:80').params, {})
  t.strictSame(only('address', 'shop/x', 'http://1.2.3.4:80/base/?x=1#y').params, { path: '/base/?x=1' })
  t.strictSame(only('vulcand', 'b1/servers/x', { URL: 'https://h:1/v1', Id: 'x' }).params, { path: '/v1', Id: 'x' })
  t.strictSame(only('kratos', 'shop/x', { endpoints: ['http://h:1/v1?isSecure=false'] }).params, { path: '/v1' })
})

const node = (address: unknown, metadata?: unknown) => ({ id: 'greeter-5a1', address, metadata })
const greeter = (...nodes: unknown[]) => ({
  name: 'go.micro.srv.greeter',
  version: 'latest',
  metadata: null,
  endpoints: [{ name: 'Say.Hello', request: { name: 'Request', type: 'Request', values: null }, response: null, metadata: {} }],
  nodes
})

bothWays('go-micro', [
  ['greeter/greeter-5a1', greeter(node('192.168.1.5:40123', { registry: 'etcd', server: 'grpc' })), 'greeter http://192.168.1.5:40123*1'],
  ['greeter/greeter-5a1', greeter(node('[::1]:1', { weight: '5', scheme: 'https' })), 'greeter https://[::1]:1*5'],
  ['greeter/greeter-5a1', greeter(node('h:1', null), node('h:2', {})), 'greeter http://h:1*1, greeter http://h:2*1'],
  ['greeter/10.0.0.9:1', greeter(node('h:1')), 'greeter http://h:1*1'],
  ['greeter/x', greeter({ id: 'x', address: '192.168.1.5', port: 40123 }), 'greeter http://192.168.1.5:40123*1'],
  ['greeter/x', greeter({ id: 'x', address: '::1', port: 40123 }), 'greeter http://[::1]:40123*1'],
  ['greeter/x', greeter({ id: 'x', address: 'h:1', port: 40123 }), 'greeter http://h:1*1'],
  ['greeter/x', greeter({ id: 'x', address: 'h:1', port: 0 }), 'greeter http://h:1*1'],
  ['greeter/x', greeter(node('h')), 'invalid bad address "h": no port'],
  ['greeter/x', greeter(node('h:1'), node(5)), 'invalid address: expected "host:port", got 5'],
  ['greeter/x', greeter(node('h:1'), null), 'invalid nodes: expected an object with an address, got null'],
  ['x', greeter(node('h:1')), 'invalid no service in the key'],
  ['greeter', { panic: 0.3 }, 'settings greeter {"panic":0.3}'],
  ['greeter/x', '', NO_ADDRESS]
])

apart('go-micro', [
  ['greeter/h:1', { weight: 2 }, 'invalid no nodes in the value', 'greeter http://h:1*2'],
  ['greeter/x', { nodes: null }, 'invalid nodes: expected a list, got null', 'settings greeter/x {"nodes":null}'],
  ['greeter/x', { nodes: [{ host: 'h', port: 1 }] }, 'invalid address: expected "host:port", got undefined', 'greeter/x http://h:1*1']
])

t.test('go-micro: what is kept of a node, and of its service', async t => {
  const { params } = only('auto', 'greeter/x', greeter({ ...node('h:1', { broker: 'http' }), rack: 'r1' }))
  t.strictSame(params, { id: 'greeter-5a1', broker: 'http', rack: 'r1', version: 'latest' })
  t.strictSame(only('auto', 'greeter/x', { ...greeter(node('h:1')), version: 'v'.repeat(65) }).params, { id: 'greeter-5a1' })
})

const kitex = (address: unknown, more = {}) => ({ network: 'tcp', address, weight: 10, tags: null, ...more })

bothWays('kitex', [
  ['echo/10.0.0.5:8888', kitex('10.0.0.5:8888'), 'echo http://10.0.0.5:8888*10'],
  ['echo/10.0.0.5:8888', kitex('10.0.0.6:8888', { weight: 3 }), 'echo http://10.0.0.6:8888*3'],
  ['echo/10.0.0.5:8888', kitex('10.0.0.5:8888', { weight: 0 }), 'echo http://10.0.0.5:8888*10'],
  ['echo/10.0.0.5:8888', kitex('10.0.0.5:8888', { weight: -3 }), 'echo http://10.0.0.5:8888*10'],
  ['echo/10.0.0.5:8888', kitex('10.0.0.5:8888', { weight: null }), 'echo http://10.0.0.5:8888*10'],
  ['echo/10.0.0.5:8888', kitex('10.0.0.5:8888', { weight: 'x' }), 'echo http://10.0.0.5:8888*10'],
  ['echo/x', kitex('10.0.0.5:8888', { tags: { scheme: 'https' } }), 'echo https://10.0.0.5:8888*10'],
  ['echo/x', kitex('echo.sock', { network: 'unix' }), 'invalid bad address "echo.sock": no port'],
  ['x', kitex('10.0.0.5:8888'), 'invalid no service in the key'],
  ['echo', { panic: 0.3 }, 'settings echo {"panic":0.3}']
])

apart('kitex', [
  ['echo/h:1', { weight: 2 }, 'invalid no address in the value', 'echo http://h:1*2'],
  ['echo/h:1', { address: 'Main Street', weight: 2 }, 'invalid bad address "Main Street": no port', 'echo http://h:1*2'],
  ['echo/h:1', kitex(5), 'invalid address: expected "host:port", got 5', 'echo http://h:1*10'],
  ['echo/h:1', 'text', 'invalid the value is not JSON: "text"', 'echo http://h:1*1']
])

t.test('kitex: a bad weight keeps the previous one, tags are params', async t => {
  const before = peersOf(decode('kitex', 'echo/h:1', kitex('h:1', { weight: 3 })))
  const decoded = decode('kitex', 'echo/h:1', kitex('h:1', { weight: 'x' }), before)
  t.equal(brief(decoded), 'echo http://h:1*3')
  t.strictSame(errorsOf(decoded), ['weight: expected a number from 0 to 1000000, got "x"'])
  t.strictSame(only('auto', 'echo/h:1', kitex('h:1', { tags: { cluster: 'a' } })).params, { cluster: 'a' })
})

const kratos = (endpoints: unknown, more = {}) => ({ id: '7d2', name: 'helloworld', version: 'v1', metadata: {}, endpoints, ...more })

bothWays('kratos', [
  ['helloworld/7d2', kratos(['http://10.0.0.5:8000?isSecure=false', 'grpc://10.0.0.5:9000?isSecure=false']), 'helloworld http://10.0.0.5:8000*1'],
  ['helloworld/7d2', kratos(['grpc://10.0.0.5:9000', 'http://10.0.0.5:8000?isSecure=true']), 'helloworld https://10.0.0.5:8000*1'],
  ['helloworld/7d2', kratos(['http://10.0.0.5:8000', 'https://10.0.0.5:8443']), 'helloworld http://10.0.0.5:8000*1, helloworld https://10.0.0.5:8443*1'],
  ['helloworld/7d2', kratos(['http://h', 'http://i?isSecure=true']), 'helloworld http://h:80*1, helloworld https://i:443*1'],
  ['helloworld/7d2', kratos(['http://h:1'], { metadata: { weight: '7', zone: 'a' } }), 'helloworld http://h:1*7'],
  ['helloworld/7d2', kratos(['grpc://10.0.0.5:9000?isSecure=false']), ''],
  ['helloworld/7d2', kratos([]), ''],
  ['helloworld/7d2', kratos(null), ''],
  ['helloworld/10.0.0.5:8000', kratos(['http://h:1']), 'helloworld http://h:1*1'],
  ['helloworld/7d2', { endpoints: ['http://h:1'] }, 'helloworld http://h:1*1'],
  ['helloworld/7d2', kratos(['http://h:0']), 'invalid bad port "0": expected 1 to 65535'],
  ['helloworld/7d2', kratos(['http://h:1', 'h:2']), 'invalid endpoints: expected URLs, got "h:2"'],
  ['helloworld/7d2', kratos(['http://h:1', 5]), 'invalid endpoints: expected texts, got 5'],
  ['helloworld/7d2', kratos(Array(17).fill('http://h:1')), 'invalid endpoints: 17 are more than 16'],
  ['7d2', kratos(['http://h:1']), 'invalid no service in the key'],
  ['helloworld', { panic: 0.3 }, 'settings helloworld {"panic":0.3}']
])

apart('kratos', [
  ['shop/h:1', { weight: 2 }, 'invalid no endpoints in the value', 'shop http://h:1*2'],
  ['shop/h:1', { endpoints: ['http://i:1'] }, 'shop http://i:1*1', 'shop http://h:1*1'],
  ['shop/h:1', { endpoints: [1] }, 'invalid endpoints: expected texts, got 1', 'shop http://h:1*1'],
  ['shop/h:1', { endpoints: 5 }, 'invalid endpoints: expected a list, got 5', 'shop http://h:1*1'],
  ['shop/h:1', { endpoints: null }, '', 'shop http://h:1*1'],
  ['shop', { endpoints: [{}] }, 'invalid no service in the key', 'settings shop {"endpoints":[{}]}']
])

t.test('kratos: an instance without an http endpoint is no error', async t => {
  t.strictSame(decode('kratos', 'helloworld/7d2', kratos(['grpc://10.0.0.5:9000'])), { kind: 'peers', peers: [], errors: [] })
  t.strictSame(only('kratos', 'helloworld/7d2', kratos(['http://h:1'], { metadata: { region: 'a' } })).params,
    { id: '7d2', name: 'helloworld', version: 'v1', region: 'a' })
})

bothWays('vulcand', [
  ['b1/servers/srv1', { URL: 'http://localhost:5000' }, 'b1 http://localhost:5000*1'],
  ['b1/servers/srv1', { Id: 'srv1', URL: 'https://10.0.0.5' }, 'b1 https://10.0.0.5:443*1'],
  ['b1/servers/10.0.0.5:5000', { URL: 'http://10.0.0.6:5000' }, 'b1 http://10.0.0.6:5000*1'],
  ['backends/b1/servers/srv1', { URL: 'http://localhost:5000' }, 'backends/b1 http://localhost:5000*1'],
  ['b1/servers/srv1', { URL: 'http://localhost:5000', weight: 4 }, 'b1 http://localhost:5000*4'],
  ['b1/servers/srv1', { URL: 'localhost:5000' }, 'invalid bad URL "localhost:5000": expected http:// or https://'],
  ['/servers/srv1', { URL: 'http://localhost:5000' }, 'invalid no service in the key'],
  ['b1', { panic: 0.3 }, 'settings b1 {"panic":0.3}'],
  ['my-backend', { panic: 0.3 }, 'settings my-backend {"panic":0.3}']
])

apart('vulcand', [
  ['b1/backend', { Type: 'http' }, 'ignored', 'settings b1/backend {"Type":"http"}'],
  ['frontends/f1/middlewares/m1', { Id: 'm1' }, 'ignored', 'settings frontends/f1/middlewares/m1 {"Id":"m1"}'],
  ['b1/servers/x', { URL: 5 }, 'invalid URL: expected "http://host:port", got 5', 'settings b1/servers/x {"URL":5}'],
  ['b1/servers/h:1', '', 'invalid no URL in the value', 'b1/servers http://h:1*1'],
  ['b1/servers/h:1', 'x', 'invalid the value is not JSON: "x"', 'b1/servers http://h:1*1'],
  ['shop/h:1', { URL: 'http://i:1' }, 'invalid expected <backend>/servers/<id> as key', 'shop http://h:1*1']
])

bothWays('skydns', [
  ['local/cluster/default/x1', { host: '1.1.1.1', port: 8080 }, 'default.cluster.local http://1.1.1.1:8080*1'],
  ['local/skydns/x5', { host: 'skydns-local.server', ttl: 60, priority: 10, port: 8080 }, 'skydns.local http://skydns-local.server:8080*1'],
  ['local/skydns/x5', { host: 'skydns-local.server.', port: 8080 }, 'skydns.local http://skydns-local.server:8080*1'],
  ['local/skydns/x5', { host: '2003::8:1', port: 8080, weight: 20 }, 'skydns.local http://[2003::8:1]:8080*20'],
  ['local/skydns/x5', { host: 'h', port: 1, weight: 0 }, 'skydns.local http://h:1*1'],
  ['local/skydns/x5', { host: 'h', port: '1', weight: '0' }, 'skydns.local http://h:1*1'],
  ['local/skydns/x5', { host: 'h', port: 1, weight: 'x' }, 'skydns.local http://h:1*1'],
  ['x5', { host: 'h', port: 1 }, 'invalid no service in the key'],
  ['local/x5', { host: 'h', port: {} }, 'invalid port: expected a number, got {}'],
  ['local/x5', { host: 'h', port: 0 }, 'invalid no port: a record without one is no address to connect to'],
  ['default.cluster.local', { panic: 0.3 }, 'settings default.cluster.local {"panic":0.3}']
])

apart('skydns', [
  ['local/x5', { host: '1.1.1.1' }, 'invalid no port: a record without one is no address to connect to', 'settings local/x5 {"host":"1.1.1.1"}'],
  ['local/x6', { ttl: 60, text: 'a text' }, 'ignored', 'settings local/x6 {"ttl":60,"text":"a text"}'],
  ['local/x6', { mail: true, host: 'h' }, 'ignored', 'settings local/x6 {"mail":true,"host":"h"}'],
  ['local/x6', { host: 5, port: 1 }, 'invalid host: expected a text, got 5', 'settings local/x6 {"host":5,"port":1}'],
  ['local/h:1', { host: 'i', port: 1 }, 'local http://i:1*1', 'local http://h:1*1'],
  ['local/h:1', {}, 'invalid no host in the value', 'local http://h:1*1']
])

t.test('skydns: lower priorities are asked first, and what else there is is kept', async t => {
  const record = { host: 'h', port: 1, ttl: 60, targetstrip: 1, group: 'g', text: 't' }
  const at = (priority: unknown) => only('skydns', 'local/x', { ...record, priority }).priority
  t.strictSame([undefined, 0, 10, 20, 1000, 65535].map(at), [0, 0, 10, 20, 1000, 1000])
  t.strictSame(only('skydns', 'local/x', record).params, { ttl: 60, targetstrip: 1, group: 'g', text: 't' })
})

const upstream = (nodes: unknown, more = {}) => ({ id: '1', type: 'roundrobin', hash_on: 'vars', scheme: 'http', pass_host: 'pass', create_time: 1700000000, nodes, ...more })

bothWays('apisix', [
  ['1', upstream({ '127.0.0.1:1980': 1 }), '1 http://127.0.0.1:1980*1'],
  ['1', upstream({ '127.0.0.1:1980': 1, '[::1]:1981': 0 }), '1 http://127.0.0.1:1980*1, 1 http://[::1]:1981*0'],
  ['1', upstream({ 'foo.com': 2 }), '1 http://foo.com:80*2'],
  ['1', upstream({ 'foo.com': 2, '[::1]': 1 }, { scheme: 'https' }), '1 https://foo.com:443*2, 1 https://[::1]:443*1'],
  ['upstreams/1', upstream([{ host: '127.0.0.1', port: 1980, weight: 1 }]), 'upstreams/1 http://127.0.0.1:1980*1'],
  ['1', upstream([{ host: '::1', port: 1980, weight: 3 }, { host: 'h', weight: 1 }]), '1 http://[::1]:1980*3, 1 http://h:80*1'],
  ['1', [{ host: '127.0.0.1', port: 1980, weight: 2 }], '1 http://127.0.0.1:1980*2'],
  ['1', upstream({}), ''],
  ['1', upstream([]), ''],
  ['1', upstream({ 'h:1': 1, 'h:x': 1 }), 'invalid bad port "x": expected 1 to 65535'],
  ['1', upstream({ '': 1 }), 'invalid bad host "": not a host name'],
  ['1', upstream([{ host: 5, port: 1 }]), 'invalid host: expected a text, got 5'],
  ['1', upstream([{ host: 'h', port: '1' }]), 'invalid port: expected a number, got "1"'],
  ['1', [{ host: 'h', port: 1 }, 5], 'invalid nodes: expected an object with host and port, got 5'],
  ['a\tb', upstream({ 'h:1': 1 }), 'invalid control character in the service name "a\\tb"'],
  ['1', { panic: 0.3 }, 'settings 1 {"panic":0.3}']
])

apart('apisix', [
  ['1', { type: 'roundrobin', discovery_type: 'dns', service_name: 'x' }, 'ignored', 'settings 1 {"type":"roundrobin","discovery_type":"dns","service_name":"x"}'],
  ['1', { nodes: 5 }, 'invalid nodes: expected an object or a list, got 5', 'settings 1 {"nodes":5}'],
  ['1', [], '', NO_ADDRESS],
  ['1', [5], 'invalid nodes: expected an object with host and port, got 5', NO_ADDRESS],
  ['shop/h:1', { nodes: { 'i:1': 1 } }, 'shop/h:1 http://i:1*1', 'shop http://h:1*1'],
  ['shop/h:1', [{ host: 'i', port: 1 }], 'shop/h:1 http://i:1*1', 'shop http://h:1*1'],
  ['shop/h:1', {}, 'invalid no nodes in the value', 'shop http://h:1*1']
])

t.test('apisix: the highest priority is asked first', async t => {
  const at = (...priorities: unknown[]) => peersOf(decode('apisix', '1', upstream(
    priorities.map((priority, i) => ({ host: 'h', port: i + 1, weight: 1, priority }))))).map(({ peer }) => peer.priority)
  t.strictSame(at(0, 10, -1), [1, 0, 2])
  t.strictSame(at(undefined, null, 0), [0, 0, 0])
  t.strictSame(at(-1, undefined, 5, 5, '7'), [3, 2, 1, 1, 0])
  t.strictSame(at(100_000, -100_000), [0, 1])
  t.strictSame(at(5, 'x', 1.5, true, {}), [0, 1, 1, 1, 1], 'a bad one counts as APISIX\' own default, 0')
  const many = at(...Array.from({ length: 1100 }, (_, i) => -i))
  t.strictSame([many[0], many[999], many[1000], many[1099]], [0, 999, 1000, 1000])
})

t.test('apisix: what is bad in one node, and what is kept', async t => {
  const before = peersOf(decode('apisix', '1', upstream([{ host: 'h', port: 1, weight: 7, priority: 3 }, { host: 'i', port: 1, weight: 1, priority: 9 }])))
  const decoded = decode('apisix', '1', upstream([{ host: 'h', port: 1, weight: -1, priority: 'x' }, { host: 'i', port: 1, weight: 2, priority: 9 }]), before)
  t.equal(brief(decoded), '1 http://h:1*7, 1 http://i:1*2')
  t.equal(peersOf(decoded)[0]?.peer.priority, 1)
  t.strictSame(errorsOf(decoded), ['weight: expected a number from 0 to 1000000, got -1', 'priority: expected a whole number from 0 to 1000, got "x"'])
  const grpc = decode('apisix', '1', upstream({ 'h:1': 1, 'i:1': 1 }, { scheme: 'grpc' }))
  t.strictSame(errorsOf(grpc), ['scheme: expected "http" or "https", got "grpc"'], 'told once')
  t.strictSame(only('apisix', '1', upstream([{ host: 'h', port: 1, weight: 1, metadata: { rack: 'r1', zone: 'z' }, x: 1 }])).params, { rack: 'r1', x: 1 })
  t.strictSame(only('apisix', '1', upstream({ 'h:1': 1 })).params, {}, 'nothing of the upstream, however many nodes it has')
})

bothWays('traefik', [
  ['web/loadbalancer/servers/0/url', 'http://172.17.0.2:80', 'part web/loadbalancer/servers/0 url=web http://172.17.0.2:80*1'],
  ['web/loadbalancer/servers/0/url', ' http://172.17.0.2:80\n', 'part web/loadbalancer/servers/0 url=web http://172.17.0.2:80*1'],
  ['Service02/loadBalancer/servers/1/url', 'https://10.0.0.5/base', 'part Service02/loadBalancer/servers/1 url=Service02 https://10.0.0.5:443*1'],
  ['a/b/loadbalancer/servers/a:1/url', 'http://h:1', 'part a/b/loadbalancer/servers/a:1 url=a/b http://h:1*1'],
  ['web/loadbalancer/servers/0/weight', '42', 'part web/loadbalancer/servers/0 weight=42'],
  ['web/loadbalancer/servers/0/weight', ' 0\n', 'part web/loadbalancer/servers/0 weight=0'],
  ['web/loadbalancer/servers/0/weight', '-1', 'part web/loadbalancer/servers/0 weight=undefined'],
  ['web/loadbalancer/servers/0/weight', '', 'part web/loadbalancer/servers/0 weight=undefined'],
  ['web/loadbalancer/servers/0/url', '172.17.0.2:80', 'part web/loadbalancer/servers/0 url=undefined'],
  ['web/loadbalancer/servers/0/url', {}, 'part web/loadbalancer/servers/0 url=undefined'],
  ['web/loadbalancer/servers/0/preservePath', 'true', 'ignored'],
  ['web/loadbalancer/servers/0/URL', 'http://h:1', 'ignored'],
  ['web/loadbalancer/healthcheck/path', '/health', 'ignored'],
  ['Service02/loadBalancer/healthCheck/path', '/health', 'ignored'],
  ['web/loadbalancer/healthcheck/hostname', 'h:1', 'ignored'],
  ['web/loadbalancer/healthcheck/port', '42', 'ignored'],
  ['web/loadbalancer/sticky/cookie/name', 'foobar', 'ignored'],
  ['web/loadbalancer/sticky', '', 'ignored'],
  ['web/mirroring/service', 'foobar', 'ignored'],
  ['web/weighted/services/0/weight', '42', 'ignored'],
  ['web/failover/service', 'foobar', 'ignored'],
  ['a\tb/loadbalancer/servers/0/url', 'http://h:1', 'invalid control character in the service name "a\\tb"'],
  ['web', { panic: 0.3 }, 'settings web {"panic":0.3}'],
  ['web', '{"panic":', NO_ADDRESS]
])

apart('traefik', [
  ['web/loadbalancer/x', {}, 'ignored', 'settings web/loadbalancer/x {}'],
  ['web/loadbalancer/h:1', '', NO_ADDRESS, 'web/loadbalancer http://h:1*1']
])

t.test('traefik: what was bad', async t => {
  const errors = (key: string, value: unknown) => {
    const decoded = decode('auto', `web/loadbalancer/servers/0/${key}`, value)
    return decoded.kind === 'part' ? decoded.errors : brief(decoded)
  }
  t.strictSame(errors('url', 'http://h:1'), [])
  t.strictSame(errors('url', 'x'), ['bad URL "x": expected http:// or https://'])
  t.strictSame(errors('weight', 'x'), ['weight: expected a number from 0 to 1000000, got "x"'])
  const part = decode('traefik', 'web/loadbalancer/servers/0/url', 'http://h:1/v1')
  t.ok(Object.isFrozen(part) && part.kind === 'part' && Object.isFrozen(part.errors) && Object.isFrozen(part.value))
  t.strictSame(part.kind === 'part' && part.field === 'url' && part.value?.peer.params, { path: '/v1' })
})

t.test('the settings of a service, and our own peers, are nobody else\'s', async t => {
  const settings = { ...serviceDefaults, host: 'api.example', balancer: 'round-robin' }
  const names = Object.keys(settings)
  t.ok(names.includes('host') && names.includes('tls'))
  for (const name of names) {
    const value = { [name]: Reflect.get(settings, name) }
    t.match(brief(decode('auto', 'shop', value)), /^settings shop /, name)
  }
  t.doesNotThrow(() => readServiceSettings({ host: 'api.example' }, serviceDefaults, 'shop'))
  const free = { weight: 2, address: 'a', network: 5, nodes: 3, endpoints: 'x', URL: 'http://i:1', host: 'i', port: 1, url: 'x', tags: {}, id: 'x' }
  t.equal(brief(decode('auto', 'shop/h:1', free)), 'shop http://h:1*2')
  t.equal(brief(decode('auto', 'shop/url', { weight: 1 })), 'settings shop/url {"weight":1}')
})

t.test('of one peer twice in one value the last counts, and it is told', async t => {
  const twice: Array<[FormatName, unknown, string]> = [
    ['go-micro', greeter(node('h:1', { weight: 2 }), node('H:1', { weight: 3 })), 's/x http://h:1*3'],
    ['apisix', upstream([{ host: 'h', port: 1, weight: 2 }, { host: 'H', port: 1, weight: 3 }]), 's/x http://h:1*3'],
    ['kratos', kratos(['http://h:1', 'http://h:1']), 's/x http://h:1*1']
  ]
  for (const [name, value, expected] of twice) {
    const key = name === 'apisix' ? 's/x' : 's/x/1'
    for (const format of [name, 'auto'] as const) {
      const decoded = decode(format, key, value)
      t.equal(brief(decoded), expected)
      t.strictSame(errorsOf(decoded), ['s/x http://h:1 is there twice'])
    }
  }
})

t.test('a value that is bad as a whole keeps what the key said', async t => {
  const cases: Array<[FormatName, key: string, good: unknown, bad: unknown]> = [
    ['address', 's/x', '1.2.3.4:80', '1.2.3.4:x'],
    ['go-micro', 's/x', greeter(node('h:1')), greeter(node('h'))],
    ['kitex', 's/h:1', kitex('h:1'), kitex('h')],
    ['kratos', 's/x', kratos(['http://h:1']), kratos(['http://h:0'])],
    ['vulcand', 's/servers/x', { URL: 'http://h:1' }, { URL: 'h:1' }],
    ['skydns', 's/x', { host: 'h', port: 1 }, { host: 'a b', port: 1 }],
    ['apisix', 's', upstream({ 'h:1': 1, 'h:2': 1 }), upstream({ 'h:1': 1, 'h:x': 1 })]
  ]
  for (const [name, key, good, bad] of cases) {
    const before = peersOf(decode(name, key, good))
    for (const format of [name, 'auto'] as const) {
      const decoded = decode(format, key, bad, before)
      t.equal(peersOf(decoded)[0], before[0], `${format} for ${name}`)
      t.equal(peersOf(decoded).length, before.length)
      t.equal(errorsOf(decoded).length, 1)
    }
  }
})

t.test('the list of formats', async t => {
  t.strictSame(formatNames, ['auto', 'plain', 'grpc', 'address', 'go-micro', 'kitex', 'kratos', 'vulcand', 'skydns', 'traefik', 'apisix'])
  t.strictSame([...formatNames, 'consul', 'toString', '__proto__', null, 5].filter(isFormatName), formatNames)
})
