import { createHash } from 'node:crypto'
import t from 'tap'
import { isSecretName } from '../../lib/http/inspect/redact/names.js'
import { hideIn, redact } from '../../lib/http/inspect/redact.js'
import { startGateway } from '../fixtures/gateway.js'
import { pem } from '../fixtures/pem.js'

const HIDDEN = '[hidden]'

/** Bytes that look like chance and are the same each time. */
function bytes (i: number, length: number): Buffer {
  return createHash('sha512').update(String(i)).digest().subarray(0, length)
}

t.test('names that say secret', async t => {
  for (const name of ['password', 'Passwd', 'PWD', 'pass', 'passphrase', 'DB_PASSWORD', 'dbPassword', 'userPass', 'MYSQL_PWD', 'PGPASSWORD', 'password2',
    'passwordHash', 'secret', 'SECRETS', 'client-secret', 'clientSecret', 'secret_id', 'token', 'tokens', 'authToken', 'authtoken', 'x-auth-token', 'id_token', 'refreshToken',
    'api key', 'apikey', 'apiKey', 'APIKey', 'API_KEY', 'api.key', 'x-api-key', 'apiKeys', 'access-key', 'accessKeyId', 'secretAccessKey', 'Authorization',
    'proxy-authorization', 'auth', 'credential', 'credentials', 'X-Amz-Credential', 'private_key', 'privateKey', 'PRIVATEKEY', 'signingKey', 'AccountKey', 'cookie', 'set-cookie',
    'session', 'sessionId', 'PHPSESSID', 'signature', 'X-Amz-Signature', 'sig', 'jwt', 'pass-word', 'passWord']) t.ok(isSecretName(name), name)
  for (const name of ['author', 'authority', 'authorized', 'authMethod', 'authors', 'keyPrefix', 'key', 'keys', 'publicKey', 'partition_key', 'monkey', 'tokenizer', 'tokenUrl',
    'token_endpoint', 'maxTokens', 'tokenLimit', 'sessions', 'sessionAffinity', 'session_timeout', 'cookieName', 'passwordPolicy', 'passes', 'bypass', 'compass', 'secretary',
    'secretName', 'passwordFile', 'accessLog', 'signal', 'design', 'assign', 'weight', 'zone', 'version', 'env', '', '_', '__proto__', 'constructor']) t.notOk(isSecretName(name), name)
})

t.test('what is secret by its look', async t => {
  const [chance, more] = [bytes(1, 32).toString('base64url'), bytes(2, 48).toString('base64url')]
  const jwt = `${Buffer.from('{"alg":"HS256"}').toString('base64url')}.${Buffer.from('{"sub":"1"}').toString('base64url')}.${chance}`
  const letters = (length: number): string => bytes(3, 64).toString('hex').replace(/\d/g, digit => 'ghijklmnop'.charAt(Number(digit))).slice(0, length - 1) + '7'
  // Put together here: whoever scans this repository for secrets would find them.
  const tokens = [jwt, jwt.slice(0, 15), chance, more, bytes(4, 24).toString('hex'), bytes(4, 32).toString('hex').toUpperCase(), pem('client.key').trim(),
    ...['ghp_', 'gho_', 'ghs_', 'github_pat_', 'glpat-', 'sk-', 'sk-proj-', 'sk-ant-api03-', 'sk_live_', 'rk_test_', 'xoxb-', 'xoxp-', 'AIza', 'npm_', 'hvs.', 'SG.', 'ya29.', 'hf_', 'whsec_'].map(prefix => prefix + letters(36)),
    `AKIA${'ABCD'.repeat(4)}`, `ASIA${'WXYZ'.repeat(4)}`, `dop_v1_${'0a'.repeat(32)}`, `SG.${letters(22)}.${letters(43)}`]
  for (const token of tokens) {
    t.equal(hideIn(token), HIDDEN, token.slice(0, 20))
    for (const [before, after] of [['got "', '" here'], ['a (', ')'], ['', ', and more'], ['https://h/p?x=1&y=', '&z=2'], ['x: ', '\n']]) {
      t.equal(hideIn(`${before}${token}${after}`), `${before}${HIDDEN}${after}`, `${before} ${token.slice(0, 20)}`)
    }
  }
})

t.test('what is secret by what stands before it', async t => {
  const rows: Array<[string, string]> = [
    ['Bearer x', 'Bearer [hidden]'],
    ['authorization: bearer abc.def-g, x', 'authorization: bearer [hidden], x'],
    ['Bearer%20+abc', 'Bearer%20+[hidden]'],
    ['Basic dTpw and', 'Basic [hidden] and'],
    ['Basic dXNlcjpwYXNz', 'Basic [hidden]'],
    ['https://user:password@host:80/p?q#f', 'https://user:[hidden]@host:80/p?q#f'],
    ['redis://:p@ss@host/0 and amqp://u:p@h', 'redis://:[hidden]@host/0 and amqp://u:[hidden]@h'],
    ['postgres://u:a/b@host/db', 'postgres://u:[hidden]@host/db'],
    ['http://u:p@[::1]:80/x@y', 'http://u:[hidden]@[::1]:80/x@y'],
    ['got "http://u:pass…', 'got "http://u:[hidden]…'],
    ['GET /up?token=abc&x=1#f answered 500', 'GET /up?token=[hidden]&x=1#f answered 500'],
    ['/up?x=1&api_key=a%20b', '/up?x=1&api_key=[hidden]'],
    ['url=http://h/?sig=x&b=2', 'url=http://h/?sig=[hidden]&b=2'],
    ['host=h password=x y', 'host=h password=[hidden] y'],
    ['a=b,password=q,c=d', 'a=b,password=[hidden],c=d'],
    ["password='a b' x", "password='[hidden]' x"],
    ['{"password":"a\\"b","x":1}', '{"password":"[hidden]","x":1}'],
    ['{"pin": 1, "token": 7, "x": 2}', '{"pin": 1, "token": [hidden], "x": 2}'],
    ['{"token":{"x":["y"]},"z":1}', '{"token":[hidden],"z":1}'],
    ['the value is not JSON: "{\\"password\\":\\"hun…', 'the value is not JSON: "{\\"password\\":\\"[hidden]'],
    ['"{\\"password\\":\\"hun\\",\\"x\\":1}"', '"{\\"password\\":\\"[hidden]\\",\\"x\\":1}"'],
    ['password: "a b", x', 'password: "[hidden]", x']
  ]
  for (const [text, shown] of rows) {
    t.equal(hideIn(text), shown)
    t.equal(hideIn(shown), shown, 'and again')
  }
})

t.test('what stays', async t => {
  for (const text of ['550e8400-e29b-41d4-a716-446655440000', 'node-550E8400-E29B-41D4-A716-446655440000', bytes(1, 20).toString('hex'), `sha256:${bytes(1, 32).toString('hex')}`,
    `registry.example.com:5000/shop/Image:1.2@sha256:${bytes(2, 32).toString('hex')}`, `sha512-${bytes(1, 64).toString('base64')}`, '2001:0db8:85a3:0000:0000:8a2e:0370:7334', '[::1]:8080',
    'ip-10-0-1-23.eu-west-1.compute.internal:8080', 'my-service-7d9f8b6c5d-x2k4q', '/v1/testing/services/my_test_service/10.1.1.3:8080', '/Registry/Services/MyTestServiceBackend/Instances/Node01Primary',
    '/Users/JohnDoe/Projects/MyApp2/src/Components/Button3', 'com.example.MyVeryLongServiceNameV2.DoSomething', 'HTTPServerV2WithTLS13AndHTTP2Support', 'kubernetesClusterProd01EastUS2Node7',
    'My-Service-Name-2-with-many-Words-And-More-2', 'arn:aws:elasticloadbalancing:us-west-2:123456789012:loadbalancer/app/MyLoadBalancer/50dc6c495c0c9188', 'donaudampfschifffahrtselektrizitaeten',
    '2026-11-26T00:44:42.123Z', '1.2.3-beta.4+build.5', 'v20.19.0', 'http://h:8080/a@b', 'http://[::1]:8080/a@b', 'https://user@host/x', 'sk-bratislava-frontend-service-1', 'a=b&key=c',
    'basic checks fail', 'Bearer token missing', 'weight: expected a number, got "lots"', 'token: expected a text', 'x'.repeat(1000), '5 requests in a row answered with 5xx', '', HIDDEN]) t.equal(hideIn(text), text)
})

t.test('chance is seen as such, and names as names', async t => {
  let visible = 0
  for (let i = 0; i < 2000; i++) if (hideIn(bytes(i, 32).toString('base64url')) !== HIDDEN) visible++
  t.ok(visible < 40, `${visible} of 2000 keys of 256 bits were taken for names`)
  let parts = 0
  for (let i = 0; i < 2000; i++) if (hideIn(`got ${bytes(i, 32).toString('base64')}.`).replace(HIDDEN, '').length > 5 + 12) parts++
  t.ok(parts < 80, `of ${parts} of 2000 more than a few characters were left, where a "/" is among them`)
})

t.test('64 KiB of anything take bounded time', async t => {
  const parts = ['a', 'A1b', 'a/', 'Ab1/', '://', '://a:', '://a:b@', 'eyJ', '-eyJ', 'sk-', '-sk-a', '-----BEGIN PRIVATE KEY', '-----BEGIN PRIVATE KEY-----', 'a=', 'token=', 'token=,a', ',a=',
    '"token":"', '\\"token\\":\\"', '"token":{', '\\', '"', "'", ' ', 'bearer ', 'bearer  ', '.', 'abcdef01', '-', '@', '1', '…', '550e8400-', 'SG.', 'hvs.a', 'dp.pt.', '{', '\n', '\u{1F600}']
  const begins = ['', 'token="', '"token":"', '\\"token\\":\\"', '://a:', 'bearer ']
  for (const part of parts) {
    for (const begin of begins) {
      const text = begin + part.repeat(Math.ceil(65536 / part.length))
      const startedAt = performance.now()
      const hidden = hideIn(text)
      t.ok(performance.now() - startedAt < 500, JSON.stringify(begin + part))
      if (hideIn(hidden) !== hidden) t.fail(`hiding ${JSON.stringify(begin + part)} again changes it`)
    }
  }
  const startedAt = performance.now()
  isSecretName('A'.repeat(65536))
  redact({ ['aB'.repeat(32768)]: 1 })
  t.ok(performance.now() - startedAt < 500, 'names')
})

t.test('data', async t => {
  const given = { rack: 7, password: { a: [1] }, tokens: [1, 2], apiKey: 5, secret: null, cookie: true, list: [{ pwd: 'x', ok: 'y' }, 'Bearer x'], env: [{ name: 'DB_PASSWORD', value: 'x' }, { name: 'DB_HOST', value: 'h' }], tags: ['password=x', 'a=b'], 'https://u:p@h': 1, none: null, empty: {} }
  const before = structuredClone(given)
  t.same(redact(given), { rack: 7, password: HIDDEN, tokens: HIDDEN, apiKey: HIDDEN, secret: HIDDEN, cookie: HIDDEN, list: [{ pwd: HIDDEN, ok: 'y' }, 'Bearer [hidden]'], env: [{ name: 'DB_PASSWORD', value: HIDDEN }, { name: 'DB_HOST', value: 'h' }], tags: ['password=[hidden]', 'a=b'], 'https://u:[hidden]@h': 1, none: null, empty: {} })
  t.same(given, before, 'what was given is as it was')

  const hostile = JSON.parse('{"__proto__":{"polluted":"Bearer x"},"constructor":{"prototype":{"polluted":1}}}')
  const shown = redact(hostile)
  t.equal(JSON.stringify(shown), '{"__proto__":{"polluted":"Bearer [hidden]"},"constructor":{"prototype":{"polluted":1}}}')
  t.equal(Object.getPrototypeOf(shown), Object.prototype)
  t.equal('polluted' in {}, false)

  let deep: Record<string, unknown> = { token: 'x' }
  for (let i = 0; i < 10_000; i++) deep = i % 2 === 0 ? { a: deep } : { a: [deep] }
  let found: unknown = redact(deep)
  for (let levels = 0; typeof found === 'object' && found !== null && 'a' in found; levels++) found = Array.isArray(found.a) ? found.a[0] : found.a
  t.same(found, { token: HIDDEN })

  const round: Record<string, unknown> = { token: 'x' }
  round['itself'] = round
  const copied = redact(round)
  t.equal(copied['itself'], copied, 'a circle is one again')
})

t.test('frozen data is looked at once', async t => {
  const frozen = Object.freeze({ token: 'x' })
  t.equal(redact(frozen), redact(frozen))
  t.ok(Object.isFrozen(redact(frozen)))
  const open = { token: 'x', a: 1 }
  t.same(redact(open), { token: HIDDEN, a: 1 })
  open.a = 2
  t.same(redact(open), { token: HIDDEN, a: 2 }, 'what may change is looked at again')
})

t.test('nothing secret leaves a gateway, by whatever way', async t => {
  const gateway = await startGateway(t, {
    peers: { shop: { '127.0.0.1:1': { params: { rack: 7, password: 'hunter2', dsn: 'pg://u:hunter2@h/d', nested: { api_key: 'hunter2' } }, status: 'token=hunter2' } } },
    check: { path: '/up?token=hunter2&x=1', userAgent: 'probe token=hunter2', interval: 50 },
    host: 'shop.example',
    inspect: { actions: { authorize: () => 'a token=hunter2' } }
  })
  const { registry } = gateway.app.upstreams.status()
  t.equal(registry.lastError, null)
  await gateway.send('/_upstreams/services/shop/peers/127.0.0.1:1', {
    method: 'PATCH',
    headers: { 'content-type': 'application/json', 'x-upstreams-action': '1' },
    body: JSON.stringify({ status: 'drain', weight: 2, reason: 'see https://me:hunter2@wiki/', force: true, check: true })
  }).then(({ status, body }) => {
    t.equal(status, 200)
    t.notMatch(body, /hunter2/)
    t.match(JSON.parse(body), { registration: { params: { rack: 7, password: HIDDEN, dsn: 'pg://u:[hidden]@h/d', nested: { api_key: HIDDEN } } }, weight: { override: { reason: /https:\/\/me:\[hidden\]@wiki\// } }, check: { error: /GET \/up\?token=\[hidden\]&x=1/ } })
  })
  for (const path of ['', '?text', '/services/shop', '/services/shop/explain', '/ready', '/metrics']) {
    const { status, body } = await gateway.send(`/_upstreams${path}`)
    t.match([status, body.includes('hunter2')], [200, false], path)
  }
  const detail = JSON.parse((await gateway.send('/_upstreams/services/shop')).body)
  t.match(detail.settings, { check: { path: '/up?token=[hidden]&x=1', userAgent: 'probe token=[hidden]', interval: 50 }, host: 'shop.example' })
  t.match(detail.events.find(({ event }: { event: string }) => event === 'action'), { event: 'action', by: 'a token=[hidden]', reason: 'see https://me:[hidden]@wiki/' })
  t.notMatch(JSON.stringify(gateway.app.upstreams.status()), /hunter2/)
  t.match(gateway.app.upstreams.show('shop').peers[0]?.params, { password: 'hunter2' }, 'code sees all')
})
