import t from 'tap'
import { talliedOf, tallyOf } from '../../lib/logger/tally.js'
import { Exchange, type AttemptInfo, type Reason } from '../../lib/picker/exchange.js'
import type { Peer } from '../../lib/store/peer.js'
import type { RetrySettings } from '../../lib/store/settings.js'
import { OK, settings, T0, World } from '../fixtures/pure.js'

const RETRY = settings().retry as RetrySettings

function worldOf (peers: Record<string, Partial<Peer>>): World {
  const world = new World({}, () => 0)
  for (const [id, fields] of Object.entries(peers)) world.put(id, fields)
  return world
}

function retrying (fields: Partial<RetrySettings> = {}): Exchange {
  return new Exchange(worldOf({ a: {}, b: {}, c: {} }).service, 1000, { ...RETRY, ...fields })
}

t.test('an exchange tries other peers, and remembers each attempt', async t => {
  const world = worldOf({ a: {}, b: {}, c: {} })
  const exchange = new Exchange(world.service, 1000)
  t.same(exchange.upstream, { service: 'shop', peer: null, attempts: [] })
  t.equal(exchange.settings, world.service.settings)
  const peers: string[] = []
  for (let pick = exchange.next(world.picker, world.now); pick !== undefined; pick = exchange.next(world.picker, world.now)) {
    peers.push(pick.peer.id)
    exchange.exclude(pick.state)
    pick.done(OK, world.now)
  }
  t.same(peers, ['a', 'b', 'c'], 'nobody twice')
  t.same(exchange.upstream, { service: 'shop', peer: 'c', attempts: peers.map(peer => ({ peer, ms: 0 })) })
})

t.test('a peer that was tried stays so when its registration goes and comes back meanwhile', async t => {
  const world = worldOf({ a: {} })
  const exchange = new Exchange(world.service, 1000)
  const next = (): string | undefined => {
    const pick = exchange.next(world.picker, world.now)
    pick?.done(OK, world.now)
    if (pick !== undefined) exchange.exclude(pick.state)
    return pick?.peer.id
  }
  t.equal(next(), 'a')
  for (let times = 0; times < 3; times++) {
    world.remove('a')
    t.equal(next(), undefined, 'while it is gone')
    world.put('a')
    t.equal(next(), undefined, 'and when it is back')
  }
  world.put('b')
  t.equal(next(), 'b', 'another is no such peer')
  world.remove('b')
  world.put('b', { scheme: 'https' })
  t.equal(next(), 'b', 'nor is one at the same address by another scheme')
  t.equal(new Exchange(world.service, 1000).next(world.picker, world.now) === undefined, false, 'other requests may go there')
})

t.test('what was never sent moves on, whatever its method, as often as `attempts` says', async t => {
  for (const attempts of [0, 1, 2]) {
    const world = worldOf({ a: {}, b: {}, c: {}, d: {} })
    const exchange = new Exchange(world.service, 1000, { ...RETRY, attempts, budget: { ratio: 0, perSecond: 0 } })
    let made = 0
    do {
      const pick = exchange.next(world.picker, world.now)
      if (pick !== undefined) exchange.exclude(pick.state)
      made++
    } while (exchange.mayMoveOn())
    t.equal(made, attempts + 1, 'without any budget')
  }
  t.notOk(retrying({ on: ['reset'] }).mayMoveOn(), 'not when only other reasons are named')
  t.notOk(new Exchange(worldOf({ a: {} }).service, 1000, false).mayMoveOn(), 'not with retries off')
})

t.test('what was sent is repeated only when it is idempotent, in hand and named', async t => {
  const rows: Array<[reason: Reason, method: string, inHand: boolean, repeats: boolean]> = [
    ['reset', 'GET', true, true], ['reset', 'HEAD', true, true], ['reset', 'OPTIONS', true, true], ['reset', 'TRACE', true, true],
    ['reset', 'PUT', true, true], ['reset', 'DELETE', true, true], ['reset', 'POST', true, false], ['reset', 'PATCH', true, false],
    ['reset', 'PROPFIND', true, false], ['reset', 'PUT', false, false], [502, 'GET', true, true], [503, 'GET', true, true],
    [504, 'GET', true, true], [500, 'GET', true, false], [429, 'GET', true, false], [503, 'POST', true, false], ['timeout', 'GET', true, false]
  ]
  for (const [reason, method, inHand, repeats] of rows) {
    t.equal(retrying().mayRepeat(reason, method, inHand, T0), repeats, `${reason} ${method} ${inHand ? '' : 'not in hand'}`)
  }
  t.ok(retrying({ on: ['timeout'] }).mayRepeat('timeout', 'GET', true, T0), 'time-outs when asked for')
  t.ok(retrying({ on: [500] }).mayRepeat(500, 'GET', true, T0), 'other statuses when asked for')
  t.notOk(new Exchange(worldOf({ a: {} }).service, 1000, false).mayRepeat('reset', 'GET', true, T0))
})

t.test('what is kept of a body is what may be sent twice', async t => {
  const { service } = worldOf({ a: {} })
  const byHttp2 = new World({ pool: { connections: 8, keepAlive: 1000, allowH2: true } }, () => 0).service
  const rows: Array<[exchange: Exchange, method: string, kept: number | null]> = [
    [new Exchange(service), 'PUT', RETRY.bodyBytes], [new Exchange(service), 'POST', null], [new Exchange(byHttp2), 'POST', RETRY.bodyBytes],
    [new Exchange(service, 1000, false), 'PUT', null], [new Exchange(byHttp2, 1000, false), 'PUT', null]
  ]
  for (const [exchange, method, kept] of rows) t.equal(exchange.kept(method), kept, method)
})

t.test('repetitions use the budget, and it can be given back', async t => {
  const exchange = retrying({ budget: { ratio: 0, perSecond: 0.2 } })
  const granted = (): boolean => exchange.mayRepeat('reset', 'GET', true, T0)
  t.same([granted(), granted(), granted()], [true, true, false], 'two in 10 s')
  exchange.refund(T0)
  t.same([granted(), granted()], [true, false])
})

t.test('further attempts are counted by what went wrong with the one before', async t => {
  const rows: Array<[info: Partial<AttemptInfo>, reason: string | number]> = [
    [{ error: 'connect' }, 'connect'], [{ error: 'reset' }, 'reset'], [{ error: 'timeout' }, 'timeout'], [{ status: 503 }, 503],
    [{ status: 502, error: 'reset' }, 502], [{ error: 'aborted' }, 'busy'], [{}, 'busy']
  ]
  for (const [info, reason] of rows) {
    const world = worldOf({ a: {}, b: {} })
    const exchange = new Exchange(world.service)
    exchange.next(world.picker, world.now)
    t.equal(talliedOf(world.service), null, 'the first attempt is none')
    Object.assign(exchange.upstream.attempts[0] ?? {}, info)
    for (const state of world.service.peers.values()) exchange.exclude(state)
    t.equal(exchange.next(world.picker, world.now), undefined)
    t.equal(talliedOf(world.service), null, 'nor is one for which nobody is there')
    world.put('c')
    exchange.next(world.picker, world.now)
    t.equal(tallyOf(world.service).retries.get(reason), 1, `${reason}`)
    t.equal([...tallyOf(world.service).retries.values()].reduce((a, b) => a + b), 1, 'and under nothing else')
  }
})

t.test('it is counted when the budget forbids a retry, and only then', async t => {
  const exchange = retrying({ budget: { ratio: 0, perSecond: 0.1 } })
  const exhausted = (): number => talliedOf(exchange.service)?.exhausted ?? 0
  t.equal(exchange.mayRepeat(503, 'POST', true, T0), false)
  t.equal(exchange.mayRepeat(503, 'GET', false, T0), false)
  t.equal(exchange.mayRepeat(404, 'GET', true, T0), false)
  t.equal(exchange.mayRepeat(503, 'GET', true, T0), true)
  t.equal(exhausted(), 0)
  t.equal(exchange.mayRepeat(503, 'GET', true, T0), false)
  t.equal(exchange.mayRepeat(503, 'POST', true, T0), false)
  t.equal(exhausted(), 1)
})
