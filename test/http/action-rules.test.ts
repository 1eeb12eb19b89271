import { once } from 'node:events'
import { request as ask, type IncomingHttpHeaders, type IncomingMessage, type OutgoingHttpHeaders } from 'node:http'
import t from 'tap'
import { startActions, type ActionStage } from '../fixtures/actions.js'

const A = '127.0.0.1:1'
const B = '127.0.0.1:2'
const peers = { shop: { [A]: {}, [B]: {} }, 'a/b': { [A]: {}, [B]: {} } }
const PATH = `/_upstreams/services/shop/peers/${A}`
const GOOD = { 'content-type': 'application/json', 'x-upstreams-action': '1' }
const BODY = '{"status":"down","force":true}'

interface Got { status: number, headers: IncomingHttpHeaders, body: string }

/** One request whose path and headers go out as they are written here. */
async function send ({ gateway }: ActionStage, headers: OutgoingHttpHeaders, { path = PATH, method = 'PATCH', body = BODY } = {}): Promise<Got> {
  const { port } = new URL(gateway.url)
  const sent = ask({ host: '127.0.0.1', port, path, method, headers: { connection: 'close', 'content-length': Buffer.byteLength(body), ...headers } })
  sent.end(body)
  const [answer] = await once(sent, 'response') as [IncomingMessage]
  let text = ''
  for await (const chunk of answer) text += String(chunk)
  return { status: answer.statusCode ?? 0, headers: answer.headers, body: text }
}

/** Nothing has happened to anybody: no override, no event, no line in the log. */
function isUntouched ({ gateway, actions }: ActionStage): boolean {
  const all = gateway.app.upstreams.status().services.flatMap(({ peers }) => peers)
  return all.length === 4 && all.every(({ eligible }) => eligible) && actions().length === 0
}

t.test('without actions there is no such route, whoever asks', async t => {
  const off = await startActions(t, { peers }, { actions: false })
  const { status, body } = await send(off, GOOD)
  t.match([status, JSON.parse(body).message], [404, `Route PATCH:${PATH} not found`])
  t.ok(isUntouched(off))
})

t.test('only from this very origin, with the header, and as JSON', async t => {
  const stage = await startActions(t, { peers })
  const { host } = new URL(stage.gateway.url)
  const { 'x-upstreams-action': _header, ...bare } = GOOD
  const rows: Array<[string, number, OutgoingHttpHeaders]> = [
    ['without the header', 403, bare],
    ['from another site', 403, { ...GOOD, 'sec-fetch-site': 'cross-site' }],
    ['from a sister site', 403, { ...GOOD, 'sec-fetch-site': 'same-site' }],
    ['from nowhere a page is', 403, { ...GOOD, 'sec-fetch-site': 'none' }],
    ['from another origin', 403, { ...GOOD, origin: 'http://evil.example' }],
    ['from another port', 403, { ...GOOD, origin: 'http://127.0.0.1:1' }],
    ['from another name of this machine', 403, { ...GOOD, origin: `http://localhost:${new URL(stage.gateway.url).port}` }],
    ['from an opaque origin', 403, { ...GOOD, origin: 'null' }],
    ['from another scheme', 403, { ...GOOD, origin: `ftp://${host}` }],
    ['from an origin with more to it', 403, { ...GOOD, origin: `http://user@${host}` }],
    ['from an origin with a path', 403, { ...GOOD, origin: `http://${host}/` }],
    ['from two origins', 403, { ...GOOD, origin: `http://${host}, http://evil.example` }],
    ['from the same site but another origin', 403, { ...GOOD, 'sec-fetch-site': 'same-origin', origin: 'http://evil.example' }],
    ['as text', 415, { ...GOOD, 'content-type': 'text/plain' }],
    ['as a form', 415, { ...GOOD, 'content-type': 'application/x-www-form-urlencoded' }],
    ['as another JSON', 415, { ...GOOD, 'content-type': 'application/json-patch+json' }],
    ['as text that looks like JSON', 415, { ...GOOD, 'content-type': 'text/plain; application/json' }],
    ['as nothing said', 415, { 'x-upstreams-action': '1' }]
  ]
  for (const [what, status, headers] of rows) t.equal((await send(stage, headers)).status, status, what)
  t.ok(isUntouched(stage))
  const good: OutgoingHttpHeaders[] = [GOOD, { ...GOOD, origin: `http://${host}`, 'sec-fetch-site': 'same-origin' }, { ...GOOD, 'content-type': 'application/json; charset=utf-8' }, { ...GOOD, origin: `https://${host}` }]
  for (const headers of good) t.equal((await send(stage, headers)).status, 200, JSON.stringify(headers))
})

t.test('no other method takes an action, and no preflight is answered', async t => {
  const stage = await startActions(t, { peers })
  for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS']) t.equal((await send(stage, GOOD, { method })).status, 404, method)
  t.match(JSON.parse((await send(stage, GOOD, { method: 'GET' })).body), { id: A, eligible: true }, 'a GET only looks')
  const overridden = { ...GOOD, 'x-http-method-override': 'PATCH', 'x-method-override': 'PATCH' }
  t.equal((await send(stage, overridden, { method: 'POST' })).status, 404)
  t.equal((await send(stage, { ...GOOD, 'content-type': 'text/plain' }, { method: 'POST', body: BODY })).status, 404, 'what a form can send')
  const preflight = await send(stage, { origin: 'http://evil.example', 'access-control-request-method': 'PATCH', 'access-control-request-headers': 'x-upstreams-action' }, { method: 'OPTIONS', body: '' })
  t.equal(preflight.status, 404)
  t.equal(preflight.headers['access-control-allow-origin'], undefined)
  t.ok(isUntouched(stage))
})

t.test('outsiders find nothing there, before anybody is asked', async t => {
  let asked = 0
  const stage = await startActions(t, { peers }, { actions: { authorize: () => { asked++; return true } } })
  const outside: OutgoingHttpHeaders[] = [
    { ...GOOD, host: 'gateway.example' },
    { ...GOOD, 'x-forwarded-for': '127.0.0.1' },
    { ...GOOD, forwarded: 'for=127.0.0.1' },
    { ...GOOD, via: '1.1 proxy' },
    { 'content-type': 'text/plain', 'x-forwarded-for': '127.0.0.1', origin: 'http://evil.example' }
  ]
  for (const headers of outside) {
    const { status, body } = await send(stage, headers)
    t.match([status, JSON.parse(body)], [404, { message: `Route PATCH:${PATH} not found` }], JSON.stringify(headers))
  }
  const remote = await stage.gateway.app.inject({ method: 'PATCH', url: PATH, headers: GOOD, payload: BODY, remoteAddress: '10.0.0.9' })
  t.match([remote.statusCode, remote.json().message], [404, `Route PATCH:${PATH} not found`])
  t.equal(asked, 0)
  t.ok(isUntouched(stage))
  t.equal((await send(stage, GOOD)).status, 200)
  t.equal(asked, 1)
})

t.test('the hooks of the other routes hold here too, and come first', async t => {
  let asked = 0
  const stage = await startActions(t, { peers }, {
    onRequest: async (request, reply) => { if (request.headers.authorization !== 'let me') return await reply.code(401).send() },
    actions: { authorize: () => { asked++; return true } }
  })
  t.equal((await send(stage, GOOD)).status, 401)
  t.equal((await send(stage, { ...GOOD, origin: 'http://evil.example' })).status, 401)
  t.equal(asked, 0)
  t.equal((await send(stage, { ...GOOD, authorization: 'let me', host: 'gateway.example', origin: 'http://evil.example' })).status, 403)
  t.ok(isUntouched(stage))
  const mine = await send(stage, { ...GOOD, authorization: 'let me', host: 'gateway.example', origin: 'http://gateway.example' })
  t.equal(mine.status, 200)
})

t.test('who is not authorized is told nothing else', async t => {
  const answers: unknown[] = [false, undefined, null, '', 0, Promise.resolve(false), Promise.reject(new Error('secret 4711'))]
  for (const answer of answers) if (answer instanceof Promise) answer.catch(() => {})
  const throwing = [() => { throw new Error('secret 4711') }, () => ({ get name () { throw new Error('secret 4711') } })]
  for (const authorize of [...answers.map(answer => () => answer), ...throwing]) {
    const stage = await startActions(t, { peers }, { actions: { authorize } })
    for (const [path, body] of [[PATH, BODY], [PATH, '{"nonsense":1}'], [PATH.replace('shop', 'nobody'), BODY]] as const) {
      const got = await send(stage, GOOD, { path, body })
      t.same([got.status, JSON.parse(got.body)], [403, { statusCode: 403, error: 'Forbidden', message: 'not authorized' }])
    }
    t.ok(isUntouched(stage))
    t.equal(stage.lines.filter(({ msg }) => /an action was refused/.test(String(msg))).length, 3, 'the log knows')
  }
})

t.test('who it was', async t => {
  const rows: Array<[unknown, string]> = [
    ['alice', 'alice'], [{ name: 'bob', role: 'ops' }, 'bob'], [true, 'an operator'], [{}, 'an operator'], [{ name: 7 }, 'an operator'], [' ', 'an operator'],
    [Promise.resolve({ name: 'carol' }), 'carol'], ['eve\n{"level":60}', 'eve?{"level":60}'], ['x'.repeat(1000), 'x'.repeat(100)]
  ]
  for (const [who, by] of rows) {
    const stage = await startActions(t, { peers }, { actions: { authorize: request => request.method === 'PATCH' && who } })
    t.equal((await send(stage, GOOD)).status, 200)
    t.same(stage.actions().map(({ action }) => action.by), [by])
  }
})

t.test('paths and names that want to be something else', async t => {
  const stage = await startActions(t, { peers })
  const id = encodeURIComponent(A)
  const long = 'x'.repeat(8000)
  const odd = [
    '/_upstreams/services/%2e%2e/peers/x', '/_upstreams/services/shop/peers/%2e%2e', '/_upstreams/services/shop/peers/..%2f..%2fshop', '/_upstreams/services/../peers/x',
    `/_upstreams/services/__proto__/peers/${id}`, `/_upstreams/services/constructor/peers/${id}`, '/_upstreams/services/shop/peers/__proto__',
    `/_upstreams/services/a/b/peers/${id}`, `/_upstreams/services/a%252Fb/peers/${id}`, `/_upstreams/services/shop%00/peers/${id}`, `/_upstreams//services/shop/peers/${id}`, `/_upstreams/services/shop/peers/${id}/`, `/_upstreams/services/shop/peers/${id}%20`,
    `/_upstreams/services//peers/${id}`, '/_upstreams/services/shop/peers/'
  ]
  for (const path of odd) t.equal((await send(stage, GOOD, { path })).status, 404, path.slice(0, 80))
  for (const path of [`/_upstreams/services/${long}/peers/${id}`, `/_upstreams/services/shop/peers/${long}`]) t.equal((await send(stage, GOOD, { path })).status, 414, 'longer than Fastify takes')
  for (const path of ['/_upstreams/services/shop/peers/%', '/_upstreams/services/%ff/peers/x']) t.equal((await send(stage, GOOD, { path })).status, 400, path)
  t.ok(isUntouched(stage))
  const parameters = await send(stage, GOOD, { path: `${PATH}?status=up&weight=0&__proto__=1`, body: '{"weight":4}' })
  t.match([parameters.status, JSON.parse(parameters.body).weight], [200, { effective: 4 }], 'parameters say nothing')
  const slashed = await send(stage, GOOD, { path: `/_upstreams/services/a%2Fb/peers/${id}` })
  t.match([slashed.status, JSON.parse(slashed.body).state], [200, 'maintenance'], 'an escaped slash is part of the name')
  t.match(stage.actions().at(-1)?.action, { service: 'a/b', peer: A })
})

t.test('parsers of the application make nothing else of a body', async t => {
  const stage = await startActions(t, { peers })
  t.equal(stage.gateway.app.hasContentTypeParser('text/plain'), true, 'there are others outside')
  t.equal((await send(stage, { ...GOOD, 'content-type': 'text/plain' })).status, 415)
  t.ok(isUntouched(stage))
})
