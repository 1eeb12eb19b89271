import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { Readable } from 'node:stream'
import t from 'tap'
import { errors, fetch as undiciFetch, type Dispatcher } from 'undici'
import { startDispatcher } from '../fixtures/dispatcher.js'
import { startPeer } from '../fixtures/peer.js'
import { until } from '../fixtures/wait.js'

type Controller = Dispatcher.DispatchController

/** A body that stops coming after its first byte. */
function stalled (): Readable {
  const body = new Readable({ read () {} })
  body.push('a')
  return body
}

/** A peer whose requests and responses the test has in hand. */
async function startHeld (t: Parameters<typeof startPeer>[0]) {
  const held: Array<{ request: IncomingMessage, response: ServerResponse, left: Promise<unknown> }> = []
  const peer = await startPeer(t, {
    handler: (request, response) => {
      request.on('error', () => {})
      held.push({ request, response, left: once(response, 'close') })
    }
  })
  return { peer, held }
}

t.test('who leaves while nothing has come reaches the peer at once, and counts as 499 and against nobody', async t => {
  const { peer, held } = await startHeld(t)
  const made = startDispatcher(t, [peer])
  const { dispatcher, origin } = made
  const mine = new Error('mine')
  const clients: Record<string, (signal: AbortSignal) => Promise<unknown>> = {
    request: signal => dispatcher.request({ origin, path: '/', method: 'GET', signal }),
    'undici.fetch': signal => undiciFetch(origin, { dispatcher, signal }),
    'global fetch': signal => fetch(origin, { dispatcher, signal } as unknown as RequestInit),
    'an upload': signal => dispatcher.request({ origin, path: '/', method: 'POST', signal, body: stalled() })
  }
  for (const [name, client] of Object.entries(clients)) {
    const leave = new AbortController()
    const before = held.length
    const told = client(leave.signal).catch(error => error)
    await until(() => held.length > before, { what: 'the request' })
    leave.abort(mine)
    t.equal(await told, mine, `${name} is told its own reason`)
    await held.at(-1)?.left
    t.equal(made.inflight, 0)
  }
  t.same(made.requests(), { 499: 4 })
  t.same(made.attempts(), { aborted: 4 })
})

t.test('who leaves in the middle of the answer', async t => {
  const { peer, held } = await startHeld(t)
  const made = startDispatcher(t, [peer])
  const leave = new AbortController()
  const answers = [
    made.dispatcher.request({ origin: made.origin, path: '/', method: 'GET' }).then(({ body }) => body.on('error', () => {}).destroy()),
    made.dispatcher.request({ origin: made.origin, path: '/', method: 'GET', signal: leave.signal }).then(({ body }) => body.text()),
    fetch(made.origin, { dispatcher: made.dispatcher } as unknown as RequestInit).then(({ body }) => body?.cancel())
  ]
  await until(() => held.length === 3, { what: 'the requests' })
  for (const { response } of held) response.writeHead(200, { 'content-length': '100' }).write('half')
  await answers[0]
  await answers[2]
  leave.abort()
  await t.rejects(Promise.resolve(answers[1]), { name: 'AbortError' })
  for (const { left } of held) await left
  t.same(made.requests(), { 499: 3 })
  t.same(made.attempts(), { aborted: 3 })
})

t.test('who has left before is counted, and no peer hears of it', async t => {
  const { peer } = await startHeld(t)
  const made = startDispatcher(t, [peer])
  const signal = AbortSignal.abort(new Error('before'))
  let ended = false
  const body = (async function * () { try { yield 'a' } finally { ended = true } })()
  await t.rejects(made.dispatcher.request({ origin: made.origin, path: '/', method: 'POST', signal, body: body as never }), { message: 'before' })
  t.same(made.requests(), { 499: 1 })
  t.equal(peer.hits, 0)
  t.equal((await body.next()).done, true, 'the body was ended')
  t.equal(ended, false, 'and never begun')
})

t.test('a body that nobody reads on is ended', async t => {
  const { peer, held } = await startHeld(t)
  const made = startDispatcher(t, [peer])
  let ended = false
  const body = (async function * () { try { for (;;) yield Buffer.alloc(65536) } finally { ended = true } })()
  const answer = made.dispatcher.request({ origin: made.origin, path: '/', method: 'POST', body: body as never })
  await until(() => held.length === 1, { what: 'the request' })
  held[0]?.response.writeHead(413).end('enough')
  const { statusCode, body: text } = await answer
  t.equal(statusCode, 413)
  t.equal(await text.text(), 'enough')
  await until(() => ended, { what: 'the end of the body' })
  t.same(made.requests(), { 413: 1 })
})

/** What a handler is told, in order; `act` may do something about it. */
function record (act: (word: string, controller: Controller) => void = () => {}): Dispatcher.DispatchHandler & { told: unknown[], controller: Controller | null, error: Error | null } {
  const handler = {
    told: [] as unknown[],
    controller: null as Controller | null,
    error: null as Error | null,
    onRequestStart (controller: Controller) {
      handler.controller = controller
      act('start', controller)
    },
    onResponseStart (controller: Controller, status: number) {
      handler.told.push(status)
      act('head', controller)
    },
    onResponseData (controller: Controller, chunk: Buffer) {
      handler.told.push(String(chunk))
      act('data', controller)
    },
    onResponseEnd (controller: Controller) {
      handler.told.push('end')
      act('end', controller)
    },
    onResponseError (_controller: Controller, error: Error) {
      handler.error = error
      handler.told.push('error')
    }
  }
  return handler
}

t.test('a handler that wants a pause is told nothing until it wants to go on', async t => {
  const { peer, held } = await startHeld(t)
  const made = startDispatcher(t, [peer])
  const send = (handler: Dispatcher.DispatchHandler): boolean => made.dispatcher.dispatch({ origin: made.origin, path: '/', method: 'GET' }, handler)
  const stops = record((word, controller) => { if (word === 'head' || word === 'data') controller.pause() })
  t.equal(send(stops), true)
  await until(() => held.length === 1, { what: 'the request' })
  held[0]?.response.writeHead(200).write('one')
  await until(() => stops.told.length === 1, { what: 'the head' })
  t.equal(stops.controller?.paused, true)
  held[0]?.response.end('two')
  // Another request goes all the way meanwhile.
  const other = record()
  send(other)
  await until(() => held.length === 2, { what: 'the other request' })
  held[1]?.response.end('other')
  await until(() => other.told.at(-1) === 'end', { what: 'the other answer' })
  t.same(stops.told, [200])
  stops.controller?.resume()
  await until(() => stops.told.length === 2, { what: 'the first part' })
  t.equal(stops.told[1], 'one')
  while (stops.told.at(-1) !== 'end') {
    const { length } = stops.told
    stops.controller?.resume()
    await until(() => stops.told.length > length, { what: 'more' })
    t.equal(stops.told.length, length + 1, 'one at a time')
  }
  t.equal(stops.told.slice(1, -1).join(''), 'onetwo')
  stops.controller?.resume()
  stops.controller?.abort(new Error('too late'))
  t.equal(stops.told.at(-1), 'end')
  t.same(made.requests(), { 200: 2 })
})

t.test('an answer that was held for a better one keeps its parts in order, and can be paused and left', async t => {
  const { peer, held } = await startHeld(t)
  // Nobody else can be tried, so the 503 stands after all.
  const made = startDispatcher(t, [peer])
  const answer = (): void => { held.at(-1)?.response.writeHead(503, { 'content-length': '6' }).end('unable') }
  const stops = record((word, controller) => { if (word === 'head') controller.pause() })
  made.dispatcher.dispatch({ origin: made.origin, path: '/', method: 'GET' }, stops)
  await until(() => held.length === 1, { what: 'the request' })
  answer()
  await until(() => stops.told.length === 1, { what: 'the head' })
  await until(() => made.inflight === 0, { what: 'the end at the peer' })
  t.same(stops.told, [503])
  stops.controller?.resume()
  t.same(stops.told, [503, 'unable', 'end'])

  const leaves = record((word, controller) => { if (word === 'head') controller.pause() })
  made.dispatcher.dispatch({ origin: made.origin, path: '/', method: 'GET' }, leaves)
  await until(() => held.length === 2, { what: 'the request' })
  answer()
  await until(() => leaves.told.length === 1 && made.inflight === 0, { what: 'the end at the peer' })
  leaves.controller?.abort(new Error('mine'))
  t.same(leaves.told, [503, 'error'])
  t.match(leaves.controller, { aborted: true, reason: { message: 'mine' } })
  leaves.controller?.resume()
  t.same(leaves.told, [503, 'error'])
  t.same(made.requests(), { 499: 1, 503: 1 })
  t.same(made.attempts(), { 503: 2 })
})

t.test('what a handler throws ends its request, and is no fault of the peer\'s', async t => {
  const peer = await startPeer(t)
  const made = startDispatcher(t, [peer])
  const words = ['start', 'head', 'data', 'end']
  for (const word of words) {
    const throws = record(now => { if (now === word) throw new Error(word) })
    made.dispatcher.dispatch({ origin: made.origin, path: '/', method: 'GET' }, throws)
    await until(() => throws.error !== null, { what: 'the error' })
    t.equal(throws.error?.message, word)
    t.equal(throws.told.filter(told => told === 'error').length, 1)
  }
  // At the end the answer was complete.
  t.same(made.requests(), { 200: 1, 499: 3 })
  t.equal(made.inflight, 0)
})

t.test('a handler of the old API, with everything it may do', async t => {
  const peer = await startPeer(t, { handler: (_request, response) => { response.setHeader('x-a', ['1', '2']); response.write('one'); response.end('two') } })
  const made = startDispatcher(t, [peer])
  const told: unknown[] = []
  let abort: (error?: Error) => void = () => {}
  let resume: () => void = () => {}
  const handler: Dispatcher.DispatchHandler = {
    onConnect: stop => { abort = stop },
    onResponseStarted: () => { told.push('started') },
    onHeaders: (status, headers, go, text) => {
      resume = go
      const names = headers.map(String)
      told.push(status, text, names.filter((_, i) => names[i % 2 === 0 ? i : i - 1] === 'x-a'))
      return false
    },
    onData: chunk => { told.push(String(chunk)); return true },
    onComplete: trailers => { told.push(trailers) },
    onError: error => { told.push(error) }
  }
  const options = { origin: made.origin, path: '/', method: 'GET' as const }
  made.dispatcher.dispatch(options, handler)
  await until(() => told.length === 4, { what: 'the head' })
  t.same(told, ['started', 200, 'OK', ['x-a', '1', 'x-a', '2']])
  resume()
  await until(() => Array.isArray(told.at(-1)) && told.length > 4, { what: 'the end' })
  t.equal(told.slice(4, -1).join(''), 'onetwo')
  t.same(told.at(-1), [])
  told.length = 0
  made.dispatcher.dispatch(options, { ...handler, onData: () => false })
  await until(() => told.length === 4, { what: 'the head' })
  abort()
  t.type(told.at(-1), errors.RequestAbortedError)
  t.same(made.requests(), { 200: 1, 499: 1 })
})
