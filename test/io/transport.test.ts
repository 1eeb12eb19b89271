import { once } from 'node:events'
import { request as httpRequest } from 'node:http'
import type { FastifyRequest } from 'fastify'
import t from 'tap'
import type { UpstreamEtcdOptions } from '../../lib/index.js'
import type { Upstream } from '../../lib/picker/exchange.js'
import { startGateway, type Answer, type SendOptions } from '../fixtures/gateway.js'
import { refusedPort } from '../fixtures/peer.js'
import { startScript, type Script, type Step } from '../fixtures/script.js'
import { until } from '../fixtures/wait.js'

type Method = NonNullable<SendOptions['method']>
type T = Parameters<typeof startGateway>[0]

const METHODS: Method[] = ['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE', 'POST', 'PATCH']
const routes = [{ prefix: '/', service: 'shop', methods: METHODS }]
/** Enough for any table. */
const plenty = { ratio: 10, perSecond: 1000 }

const small = Buffer.from('a small body')
const large = Buffer.alloc(100 * 1024, 'a hundred KiB ')
const bodies = {
  none: undefined,
  small,
  /** In three parts, some ms apart. */
  streamed: small,
  large
} as const
type Kind = keyof typeof bodies

async function * parts (body: Buffer): AsyncGenerator<Buffer> {
  const length = Math.ceil(body.length / 3)
  for (let at = 0; at < body.length; at += length) {
    yield body.subarray(at, at + length)
    await new Promise(resolve => setTimeout(resolve, 3))
  }
}

interface Scene extends Script {
  readonly app: Awaited<ReturnType<typeof startGateway>>['app']
  readonly url: string
  /** Sends one request that meets with `steps`, and tells what came of it. */
  ask: (method: Method, kind: Kind, ...steps: Step[]) => Promise<Outcome>
}

interface Outcome {
  readonly answer: Answer
  readonly attempts: ReturnType<Script['seen']>
  readonly upstream: Upstream
}

async function begin (t: T, count: number, options: Omit<UpstreamEtcdOptions, 'etcd'> = {}, prepare = (_app: Scene['app']) => {}): Promise<Scene> {
  const script = await startScript(t, count)
  const requests = new Map<string, FastifyRequest>()
  const gateway = await startGateway(t, { peers: script.registry, routes, outlier: false, retry: { budget: plenty }, ...options }, app => {
    app.addHook('onRequest', async request => { requests.set(String(request.headers['x-id']), request) })
    prepare(app)
  })
  let count_ = 0
  return {
    ...script,
    app: gateway.app,
    url: gateway.url,
    ask: async (method, kind, ...steps) => {
      const id = `q${count_++}`
      script.plan(id, ...steps)
      const body = bodies[kind]
      const answer = await gateway.send('/x', {
        method,
        headers: { 'x-id': id },
        ...(body !== undefined && { body: kind === 'small' ? body : parts(body) })
      })
      return { answer, attempts: script.seen(id), upstream: requests.get(id)?.upstream as Upstream }
    }
  }
}

t.test('what is repeated: status or fault × method × body', async t => {
  const { ask } = await begin(t, 3)
  const table: Array<[Method, Kind, Step, attempts: number, status: number]> = [
    ['GET', 'none', 503, 2, 200], ['GET', 'none', 502, 2, 200], ['GET', 'none', 504, 2, 200], ['GET', 'none', 'reset', 2, 200],
    ['GET', 'none', 500, 1, 500], ['GET', 'none', 404, 1, 404], ['GET', 'none', 429, 1, 429], ['GET', 'none', 501, 1, 501],
    ['GET', 'small', 503, 2, 200], ['GET', 'small', 'reset', 2, 200], ['GET', 'streamed', 'reset', 2, 200],
    ['HEAD', 'none', 503, 2, 200], ['HEAD', 'none', 'reset', 2, 200], ['HEAD', 'none', 404, 1, 404],
    ['OPTIONS', 'none', 503, 2, 200], ['OPTIONS', 'none', 'reset', 2, 200],
    ['DELETE', 'none', 503, 2, 200], ['DELETE', 'small', 'reset', 2, 200], ['DELETE', 'streamed', 502, 2, 200],
    ['PUT', 'none', 503, 2, 200], ['PUT', 'small', 503, 2, 200], ['PUT', 'small', 'reset', 2, 200],
    ['PUT', 'streamed', 503, 2, 200], ['PUT', 'streamed', 'reset', 2, 200], ['PUT', 'streamed', 400, 1, 400],
    ['PUT', 'large', 503, 1, 503], ['PUT', 'large', 'reset', 1, 502],
    ['POST', 'none', 503, 1, 503], ['POST', 'small', 503, 1, 503], ['POST', 'streamed', 503, 1, 503], ['POST', 'large', 503, 1, 503],
    ['POST', 'none', 'reset', 1, 502], ['POST', 'small', 'reset', 1, 502], ['POST', 'streamed', 'reset', 1, 502],
    ['PATCH', 'small', 503, 1, 503], ['PATCH', 'streamed', 'reset', 1, 502]
  ]
  for (const [method, kind, step, count, status] of table) {
    const name = `${method} ${kind} ${String(step)}`
    const { answer, attempts, upstream } = await ask(method, kind, step)
    t.equal(answer.status, status, `${name}: the client gets ${status}`)
    t.equal(attempts.length, count, `${name}: ${count} attempts`)
    t.equal(new Set(attempts.map(({ peer }) => peer)).size, count, `${name}: never the same peer twice`)
    const sent = bodies[kind] ?? Buffer.alloc(0)
    t.ok(attempts.every(({ method: seen, body }) => seen === method && body.equals(sent)), `${name}: each was whole`)
    t.match(upstream, {
      service: 'shop',
      peer: attempts.at(-1)?.peer,
      attempts: attempts.map(({ peer }, i) => ({ peer, ms: Number, ...(i > 0 ? { status: 200 } : typeof step === 'number' ? { status: step } : { error: step }) }))
    }, name)
    t.equal(upstream.attempts.length, count)
    t.notMatch(answer.status === 200 || typeof step === 'number' ? '' : JSON.stringify(answer), /127\.0\.0\.1/, `${name}: an error of ours names nobody`)
  }
})

t.test('a peer that refuses: any method moves on, all of its bytes with it', async t => {
  const gone = await Promise.all([refusedPort(), refusedPort()])
  const script = await startScript(t, 1)
  const registry = { shop: { ...Object.fromEntries(gone.map(port => [`127.0.0.1:${port}`, {}])), [script.peers[0]?.id ?? '']: { priority: 1 } } }
  const scene = await startGateway(t, { peers: registry, routes, outlier: false, retry: { budget: { ratio: 0, perSecond: 0 } } })
  for (const method of METHODS) {
    for (const kind of ['none', 'small', 'streamed', 'large'] as const) {
      const body = bodies[kind]
      if (method === 'HEAD' && body !== undefined) continue
      const id = `${method} ${kind}`
      const { status } = await scene.send('/x', { method, headers: { 'x-id': id }, ...(body !== undefined && { body: kind === 'small' ? body : parts(body) }) })
      t.equal(status, 200, id)
      t.same(script.seen(id).map(({ body }) => body.length), [body?.length ?? 0])
      t.ok(script.seen(id)[0]?.body.equals(body ?? Buffer.alloc(0)), 'byte for byte')
    }
  }
})

t.test('a request of which nothing was sent yet: its peer goes, it moves on', async t => {
  // Headers go with the first byte of the body, as undici does it; before that the peer knows nothing.
  const { url, peers, seen, app } = await begin(t, 2)
  const [first, second] = peers
  const client = httpRequest(url, { method: 'POST', headers: { 'x-id': 'late' } })
  const answered = once(client, 'response')
  client.flushHeaders()
  await until(() => first?.connections === 1, { what: 'the connection to the first peer' })
  await until(() => app.upstreams.status().services[0]?.peers.some(({ inflight }) => inflight === 1), { what: 'the attempt' })
  t.equal(first?.hits, 0)
  await first?.kill()
  await until(() => app.upstreams.status().services[0]?.peers.find(({ id }) => id === first?.id)?.inflight === 0, { what: 'the end of the attempt' })
  client.end('and here it comes')
  const [response] = await answered
  response.resume()
  t.equal(response.statusCode, 200)
  t.same(seen('late').map(({ peer, body }) => [peer, String(body)]), [[second?.id, 'and here it comes']])
})

t.test('never the same peer twice, however many attempts are allowed', async t => {
  const { ask, peers, seen } = await begin(t, 3, { retry: { attempts: 10, budget: plenty } })
  const { answer, attempts } = await ask('GET', 'none', 503, 503, 503, 503)
  t.equal(answer.status, 503)
  t.same(attempts.map(({ peer }) => peer), peers.map(({ id }) => id))
  for (const { peer } of seen('q0')) t.ok(peers.some(({ id }) => id === peer))
  t.equal((await ask('GET', 'none', 'reset', 502, 503)).attempts.length, 3)
  await peers[0]?.kill()
  const mixed = await ask('GET', 'none', 503, 503)
  t.match(mixed.upstream.attempts, [{ peer: peers[0]?.id, error: 'connect' }, { peer: peers[1]?.id, status: 503 }, { peer: peers[2]?.id, status: 503 }])
})

t.test('attempts, conditions, and no retry at all', async t => {
  const options = (retry: UpstreamEtcdOptions['retry']) => retry === undefined ? {} : { retry }
  const table: Array<[UpstreamEtcdOptions['retry'], Step[], number, number]> = [
    [false, [503], 1, 503], [false, ['reset'], 1, 502], [{ attempts: 0 }, [503], 1, 503], [{ attempts: 1 }, [503, 503, 200], 2, 503],
    [{ attempts: 2 }, [503, 'reset', 200], 3, 200], [{ on: [500] }, [500], 2, 200], [{ on: [500] }, [503], 1, 503], [{ on: [429] }, [429], 2, 200],
    [{ on: ['connect'] }, ['reset'], 1, 502], [{ bodyBytes: 0 }, [503], 2, 200]
  ]
  for (const [retry, steps, count, status] of table) {
    const { ask } = await begin(t, 3, options(retry))
    const { answer, attempts } = await ask('GET', 'none', ...steps)
    t.same([attempts.length, answer.status], [count, status], JSON.stringify([retry, steps]))
  }
  const { ask } = await begin(t, 2, { retry: { bodyBytes: small.length - 1 } })
  t.equal((await ask('PUT', 'streamed', 503)).attempts.length, 1, 'a body that is not kept is not repeated')
  t.equal((await begin(t, 2, { retry: { bodyBytes: small.length } }).then(({ ask }) => ask('PUT', 'streamed', 503))).attempts.length, 2)

  const refused = `127.0.0.1:${await refusedPort()}`
  const live = await startScript(t, 1)
  const peers = { shop: { [refused]: {}, [live.peers[0]?.id ?? '']: { priority: 1 } } }
  for (const retry of [false, { on: ['reset'] }, { attempts: 0 }] as const) {
    const { send } = await startGateway(t, { peers, routes, outlier: false, retry })
    const { status, body } = await send('/x', { headers: { 'x-id': 'x' } })
    t.match([status, body], [502, /FST_UPSTREAM_CONNECT/], `${JSON.stringify(retry)}: a refusal stands`)
    t.notMatch(body, /127\.0\.0\.1/)
  }
})

t.test('reply.forward may say how one request is repeated', async t => {
  const { url, plan, seen, app } = await begin(t, 3, {}, app => {
    app.get('/never', (_request, reply) => reply.forward('shop', { retry: false }))
    app.get('/once', (_request, reply) => reply.forward('shop', { retry: { attempts: 1 } }))
    app.get('/on500', (_request, reply) => reply.forward('shop', { retry: { on: [500] } }))
    app.get('/bad', (_request, reply) => reply.forward('shop', { retry: { attempts: -1 } }))
  })
  const table: Array<[string, Step[], number, number]> = [
    ['never', [503], 1, 503], ['once', [503, 503], 2, 503], ['on500', [500], 2, 200], ['on500', [503], 1, 503], ['plain', [503, 503], 3, 200]
  ]
  for (const [i, [path, steps, count, status]] of table.entries()) {
    plan(`f${i}`, ...steps)
    const answer = await fetch(`${url}/${path}`, { headers: { 'x-id': `f${i}` } })
    await answer.arrayBuffer()
    t.same([answer.status, seen(`f${i}`).length], [status, count], `${path} ${steps.join()}`)
  }
  t.match((await app.inject('/bad')).json(), { code: 'FST_UPSTREAM_BAD_OPTION' })
})

t.test('Retry-After: the peer is degraded until then, and nobody asks it; the client does not wait', async t => {
  const { ask, app, peers } = await begin(t, 2)
  const [first, second] = peers
  const told = () => app.upstreams.status().services[0]?.peers.find(({ id }) => id === first?.id)
  const busy: Step = (request, response) => {
    request.resume()
    response.writeHead(503, { 'retry-after': '1' }).end('busy')
  }
  const asked = Date.now()
  const { answer, attempts } = await ask('GET', 'none', busy)
  t.match([answer.status, attempts.map(({ peer }) => peer)], [200, [first?.id, second?.id]])
  t.match(told(), { state: 'degraded', reason: /503 with Retry-After: 1 s/ })
  const until_ = Date.parse(String(told()?.until))
  t.ok(until_ >= asked + 990 && until_ <= Date.now() + 1010, `until ${told()?.until}`)
  for (let i = 0; i < 10; i++) t.same((await ask('GET', 'none')).attempts.map(({ peer }) => peer), [second?.id])
  t.equal(first?.hits, 1)
  // Of what nobody else takes it gets its part: rather a busy peer than none.
  t.same((await ask('GET', 'none', 503)).attempts.map(({ peer }) => peer), [second?.id, first?.id])
  await until(() => told()?.state !== 'degraded', { what: 'the end of it', timeout: 2000 })
  t.ok(Date.now() >= until_ - 10, 'not before its time')
  t.same((await ask('GET', 'none')).attempts.map(({ peer }) => peer), [first?.id])
})

t.test('only a 503 is followed by a pause, of up to 25 ms', async t => {
  const { registry, plan, seen } = await startScript(t, 2)
  // Chance at its worst, from the moment that the gateway takes it over.
  const { random } = Math
  t.teardown(() => { Math.random = random })
  Math.random = () => 0.9999
  const { send } = await startGateway(t, { peers: registry, routes, outlier: false, retry: { budget: plenty } })
  Math.random = random
  const quickest = async (step: Step): Promise<number> => {
    let least = Infinity
    for (let i = 0; i < 8; i++) {
      const id = `${String(step)} ${i}`
      plan(id, step)
      const started = performance.now()
      await send('/x', { headers: { 'x-id': id } })
      least = Math.min(least, performance.now() - started)
      t.equal(seen(id).length, 2)
    }
    return least
  }
  const plain = await quickest(502)
  const paused = await quickest(503)
  t.ok(plain < 20 && paused >= 24 && paused < 45, `${plain.toFixed(1)} ms after 502, ${paused.toFixed(1)} ms after 503`)
  t.ok(await quickest('reset') < 20)
})
