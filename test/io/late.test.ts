import { once } from 'node:events'
import { request as httpRequest, type ClientRequest, type IncomingMessage } from 'node:http'
import t from 'tap'
import type { UpstreamEtcdOptions } from '../../lib/index.js'
import { startGateway, type TestGateway } from '../fixtures/gateway.js'
import { startPeer, type PeerOptions } from '../fixtures/peer.js'
import { startPeerProcesses } from '../fixtures/peer-process.js'
import { startScript, type Step } from '../fixtures/script.js'
import { until } from '../fixtures/wait.js'

type T = Parameters<typeof startGateway>[0]

const routes = [{ prefix: '/', service: 'shop' }]

/** One peer, and a gateway in front of it. */
async function begin (t: T, handler: NonNullable<PeerOptions['handler']>, options: Omit<UpstreamEtcdOptions, 'etcd'> = {}) {
  const peer = await startPeer(t, { handler })
  const gateway = await startGateway(t, { peers: { shop: { [peer.id]: {} } }, routes, outlier: false, ...options })
  return { ...gateway, peer, told: () => gateway.app.upstreams.status().services[0]?.peers[0] }
}

/** A client that sends headers and as much of a body as it is told to. */
function upload ({ url }: Pick<TestGateway, 'url'>, method = 'POST', headers: Record<string, string> = {}): { client: ClientRequest, answered: Promise<IncomingMessage> } {
  const client = httpRequest(url, { method, headers, agent: false })
  client.on('error', () => {})
  client.flushHeaders()
  return { client, answered: once(client, 'response').then(([response]) => response) }
}

async function text (response: IncomingMessage): Promise<string> {
  let body = ''
  for await (const chunk of response) body += String(chunk)
  return body
}

/** What is measured in a process that was kept from running for longer says nothing about time-outs, ms. */
const STALL = 20

/**
 * Five runs, and how long each took, ms. Runs in which this process, and so the gateway in it, stood still are made
 * again: two time-outs that come due while it does so are one.
 */
async function times<T> (run: () => Promise<T>): Promise<{ results: T[], took: number[] }> {
  const results: T[] = []
  const took: number[] = []
  for (let tries = 0; results.length < 5 && tries < 100; tries++) {
    const started = performance.now()
    let last = started
    let stall = 0
    const beat = (): void => {
      const now = performance.now()
      stall = Math.max(stall, now - last)
      last = now
    }
    const beats = setInterval(beat, 2)
    const result = await run()
    beat()
    clearInterval(beats)
    if (stall > STALL) continue
    results.push(result)
    took.push(last - started)
  }
  return { results, took }
}

/** Peers that meet the first attempts with `steps`, under some timeouts; and one request to them. */
async function scripted (t: T, options: Omit<UpstreamEtcdOptions, 'etcd'>, count = 3) {
  const script = await startScript(t, count)
  const gateway = await startGateway(t, { peers: script.registry, routes, outlier: false, retry: { budget: { perSecond: 100 } }, ...options })
  let asked = 0
  return {
    ...script,
    ...gateway,
    ask: async (...steps: Step[]) => {
      const id = `q${asked++}`
      script.plan(id, ...steps)
      return { ...await gateway.send('/', { headers: { 'x-id': id } }), attempts: script.seen(id) }
    }
  }
}

t.test('time-outs come when they are due', async t => {
  const on: Array<'timeout' | number> = ['timeout', 503]
  const table: Array<[string, Omit<UpstreamEtcdOptions, 'etcd'>, Step[], ms: number, status: number, attempts: number]> = [
    ['headers', { timeouts: { headers: 120 } }, ['hang'], 120, 504, 1],
    ['headers, twice', { timeouts: { headers: 80 }, retry: { on, attempts: 1, budget: { perSecond: 100 } } }, ['hang', 'hang'], 160, 504, 2],
    ['headers, then an answer', { timeouts: { headers: 80 }, retry: { on, budget: { perSecond: 100 } } }, ['hang', 200], 80, 200, 2],
    ['total alone', { timeouts: { total: 110 } }, ['hang'], 110, 504, 1],
    ['total over all attempts', { timeouts: { headers: 70, total: 100 }, retry: { on, budget: { perSecond: 100 } } }, ['hang', 'hang', 200], 100, 504, 2],
    ['total, after answers that were held', { timeouts: { total: 130 }, retry: { on, budget: { perSecond: 100 } } }, [503, 'hang'], 130, 503, 2]
  ]
  for (const [name, options, steps, ms, status, count] of table) {
    const { ask } = await scripted(t, options)
    await ask(200)
    const { results, took } = await times(async () => await ask(...steps))
    t.equal(results.length, 5, 'this machine is fit to measure time-outs')
    for (const { status: got, attempts } of results) t.same([got, attempts.length], [status, count], name)
    t.ok(took.every(it => it >= ms - 2 && it < ms + 60), `${name}: ${ms} ms, and it took ${took.join(', ')}`)
  }
})

t.test('what came while the gateway was busy is read before it says that nothing came', async t => {
  const [peer] = await startPeerProcesses(t, 1)
  await peer?.tell({ delay: 60 })
  const gateway = await startGateway(t, { peers: { shop: { [peer?.id ?? '']: {} } }, routes, timeouts: { headers: 150, total: 150 } })
  t.equal((await gateway.send('/', { headers: { 'x-id': 'first' } })).status, 200)
  const answer = gateway.send('/', { headers: { 'x-id': 'second' } })
  await until(() => peer?.read().has('second'), { what: 'the request at the peer' })
  // After the input of this turn of the loop; the next one begins with timers.
  setImmediate(() => {
    const busy = performance.now() + 300
    while (performance.now() < busy);
  })
  t.equal((await answer).status, 200)
})

t.test('clients that stop in the middle of an upload are told so, and no peer is blamed', async t => {
  const { peer, app, url } = await begin(t, (request, response) => {
    request.resume().on('end', () => response.end('all of it'))
  }, { timeouts: { headers: 150 }, outlier: {} })
  const told = () => app.upstreams.status().services[0]?.peers[0]
  const silent = Array.from({ length: 12 }, (_, i) => {
    const one = upload({ url }, i % 2 === 0 ? 'POST' : 'PUT')
    if (i % 3 > 0) one.client.write('the beginning')
    return one
  })
  for (const { answered } of silent) t.match(await answered.then(async response => [response.statusCode, await text(response)]), [408, /did not come in time/])
  t.match(told(), { state: 'healthy', inflight: 0, errors: { connect: 0, timeout: 0, reset: 0, aborted: 12 } })
  t.ok(peer.hits <= 8, 'only of those that began did it hear')

  // One that goes on, however slowly, may take longer than that.
  const { client, answered } = upload({ url })
  for (let i = 0; i < 6; i++) {
    client.write('x')
    await new Promise(resolve => setTimeout(resolve, 60))
  }
  client.end()
  t.equal((await answered).statusCode, 200)
})

t.test('an upload that its peer does not read is the peer\'s silence', async t => {
  const { url, told } = await begin(t, request => { request.pause() }, { timeouts: { headers: 150 } })
  const { client, answered } = upload({ url })
  const more = (): void => { while (client.write(Buffer.alloc(65_536))); }
  client.on('drain', more)
  more()
  t.match(await answered.then(async response => [response.statusCode, await text(response)]), [504, /FST_UPSTREAM_TIMEOUT/])
  t.match(told(), { inflight: 0, errors: { timeout: 1, aborted: 0 } })
  client.destroy()
})

t.test('a body that stops resets the client within timeouts.body', async t => {
  const { url } = await begin(t, (_request, response) => {
    response.writeHead(200, { 'content-length': 100 }).write('part')
  }, { timeouts: { body: 150, headers: 60 } })
  const { took } = await times(async () => {
    const response: IncomingMessage = await upload({ url }, 'GET').answered
    t.equal(response.statusCode, 200)
    await t.rejects(text(response), { code: 'ECONNRESET' })
  })
  t.equal(took.length, 5, 'this machine is fit to measure time-outs')
  t.ok(took.every(it => it >= 148 && it < 210), `150 ms, and it took ${took.join(', ')}`)
})

t.test('a client that reads slowly is no silence of the peer', async t => {
  const size = 24 * 1024 * 1024
  const { url, told } = await begin(t, (_request, response) => { response.end(Buffer.alloc(size, 'x')) }, { timeouts: { body: 200, headers: 200 } })
  const { answered, client } = upload({ url }, 'GET')
  client.end()
  const response = await answered
  let got = 0
  let idle = 0
  for await (const chunk of response) {
    got += chunk.length
    // Longer than the peer may be silent, several times; everything between is full by then.
    if (got > idle * size / 3 && ++idle < 3) await new Promise(resolve => setTimeout(resolve, 450))
  }
  t.equal(got, size)
  await until(() => told()?.inflight === 0, { what: 'the end of the attempt' })
  t.match(told()?.errors, { timeout: 0, reset: 0, aborted: 0 })
})

t.test('an answer that is held has its own time: it stands when nothing better comes', async t => {
  // Its second half comes after the bound of headers, which is over for it.
  const slow: Step = (request, response) => {
    request.resume()
    response.writeHead(503, { 'content-type': 'text/plain', 'content-length': 10, 'x-mine': 'kept' }).write('first')
    setTimeout(() => response.end('-half'), 350)
  }
  const { ask, app } = await scripted(t, { timeouts: { headers: 150, body: 2000 } })
  const { status, headers, body, attempts } = await ask(slow, 'hang')
  t.match([status, headers['x-mine'], body, attempts.length], [503, 'kept', 'first-half', 2])
  const errors = app.upstreams.status().services[0]?.peers.map(({ errors }) => errors.timeout)
  t.same(errors?.sort(), [0, 0, 1], 'only who said nothing is blamed')
})

t.test('a held answer that stops coming cannot stand', async t => {
  const stalled: Step = (_request, response) => { response.writeHead(503, { 'content-length': 10 }).write('first') }
  const { ask, app } = await scripted(t, { timeouts: { headers: 200, body: 60 } })
  t.match(await ask(stalled, 'hang'), { status: 504, body: /FST_UPSTREAM_TIMEOUT/ })
  t.match(await ask(stalled, 200), { status: 200 })
  await until(() => app.upstreams.status().services[0]?.inflight === 0, { what: 'the end of all attempts' })
})

t.test('what is held: it stands when others fail, however large, and not when they do better', async t => {
  const { ask, peers, app } = await scripted(t, { retry: { attempts: 2, budget: { perSecond: 100 } } })
  const large = Buffer.alloc(1_000_000, 'l').toString()
  const held: Step = (request, response) => {
    request.resume()
    response.writeHead(503, { 'content-type': 'text/plain', 'x-mine': 'kept' }).end(large)
  }
  t.match(await ask(503, 'reset', 'reset'), { status: 503, body: `503 by ${peers[0]?.id}`, headers: { 'x-peer': peers[0]?.id, 'content-type': 'text/plain' } })
  const whole = await ask(held, 'reset', 'reset')
  t.same([whole.status, whole.headers['x-mine'], whole.body === large], [503, 'kept', true], 'a megabyte of it')
  t.match(await ask(held, 200), { status: 200, body: `200 by ${peers[1]?.id}` })
  t.match(await ask(503, 'reset', 502), { status: 502, body: `502 by ${peers[2]?.id}` })
  t.match(await ask(503, 404), { status: 404 })
  // Nobody is blamed for what becomes of another's answer.
  const faults = () => app.upstreams.status().services[0]?.peers.map(({ errors }) => errors.reset).sort()
  const before = faults()
  for (let i = 0; i < 5; i++) t.match(await ask(held, 200), { status: 200 })
  t.same(faults(), before)
  const odd: Step = request => { request.socket.end('HTTP/1.1 700 Odd\r\ncontent-length: 0\r\n\r\n') }
  t.match(await ask(held, odd, odd), { status: 503, body: large })
  // One that broke meanwhile cannot stand.
  const broken: Step = (request, response) => {
    response.writeHead(503, { 'content-length': 1000 })
    response.write('half', () => setTimeout(() => request.socket.resetAndDestroy(), 10))
  }
  const afterwards: Step = request => { setTimeout(() => request.socket.resetAndDestroy(), 60) }
  t.match(await ask(broken, afterwards, afterwards), { status: 502, body: /FST_UPSTREAM_RESET/ })
})
