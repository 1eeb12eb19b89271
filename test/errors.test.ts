import Fastify from 'fastify'
import t from 'tap'
import { BadOptionError, errors, NoPeerError, NotReadyError, OptionsError, ShedError, TimeoutError } from '../lib/errors.js'

const cause = new Error('connect ECONNREFUSED 10.1.1.3:8080')

t.test('the table: code, status, message', async (t) => {
  const rows = [
    [new errors.BAD_OPTION('panic', 'a number from 0 to 1', 2), 'BAD_OPTION', 500, 'option "panic" must be a number from 0 to 1, got 2'],
    [new errors.UNKNOWN_SERVICE('orders'), 'UNKNOWN_SERVICE', 404, 'service "orders" is unknown'],
    [new errors.NO_PEER('orders'), 'NO_PEER', 503, 'service "orders" has no peer that can take the request'],
    [new errors.NOT_READY('orders'), 'NOT_READY', 503, 'service "orders" is not known yet: the registry has not been read'],
    [new errors.SHED('orders'), 'SHED', 503, 'service "orders" is shedding load'],
    [new errors.QUEUE_FULL('orders'), 'QUEUE_FULL', 503, 'service "orders" is at its limit'],
    [new errors.CONNECT('orders'), 'CONNECT', 502, 'no connection to a peer of service "orders"'],
    [new errors.RESET('orders'), 'RESET', 502, 'connection to a peer of service "orders" was reset'],
    [new errors.TIMEOUT('orders'), 'TIMEOUT', 504, 'service "orders" did not answer in time'],
    [new errors.SYNC('no answer in 3000 ms'), 'SYNC', 500, 'not ready: no answer in 3000 ms']
  ] as const
  for (const [error, name, statusCode, message] of rows) {
    t.ok(error instanceof Error)
    t.strictSame({ code: error.code, statusCode: error.statusCode, message: error.message }, { code: `FST_UPSTREAM_${name}`, statusCode, message })
    t.notOk('cause' in error, `${name}: nothing lies underneath unless said`)
  }
  t.strictSame(rows.map((row) => row[1]), Object.keys(errors), 'every error is in the list')
})

t.test('a cause is carried and not told', async (t) => {
  for (const error of [new errors.CONNECT('orders', { cause }), new errors.NO_PEER('orders', { cause }), new errors.SYNC('late', { cause })]) {
    t.equal(error.cause, cause)
    t.notMatch(error.message, /10\.1\.1\.3/)
  }
})

t.test('each is an instance of its own class and of no other', async (t) => {
  const error = new NoPeerError('orders')
  t.ok(error instanceof NoPeerError)
  t.notOk(error instanceof ShedError)
  t.notOk(error instanceof TimeoutError)
  t.ok(new BadOptionError('panic', 'less', 2) instanceof OptionsError)
})

t.test('a 503 says when to come back, other errors do not', async (t) => {
  for (const Class of [errors.NO_PEER, errors.NOT_READY, errors.SHED, errors.QUEUE_FULL]) {
    t.equal(new Class('orders').retryAfter, 1)
    const error = new Class('orders', { retryAfter: 30, cause })
    t.equal(error.retryAfter, 30)
    t.strictSame(error.headers, { 'retry-after': '30' })
  }
  for (const Class of [errors.CONNECT, errors.RESET, errors.TIMEOUT, errors.UNKNOWN_SERVICE]) t.notOk('retryAfter' in new Class('orders'))
})

t.test('a service name from outside cannot flood or break a line', async (t) => {
  t.equal(new ShedError(`a\n${'b'.repeat(9000)}`).message, `service "a\\n${'b'.repeat(77)}…" is shedding load`)
})

t.test('what a client sees', async (t) => {
  const app = Fastify()
  t.teardown(() => app.close())
  app.get('/', async () => { throw new NotReadyError('a "b" %s', { cause, retryAfter: 7 }) })
  const response = await app.inject('/')
  t.equal(response.statusCode, 503)
  t.equal(response.headers['retry-after'], '7')
  t.strictSame(response.json(), {
    statusCode: 503,
    code: 'FST_UPSTREAM_NOT_READY',
    error: 'Service Unavailable',
    message: 'service "a \\"b\\" %s" is not known yet: the registry has not been read'
  })
})
