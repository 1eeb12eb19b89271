import t from 'tap'
import { Logger } from '../../lib/logger/logger.js'
import type { Outcome } from '../../lib/logger/outcome.js'
import { history, latencies, recent, report, series } from '../../lib/logger/report.js'
import { BAD, LEFT, OK, REFUSED, seeded, T0, World } from '../fixtures/pure.js'

const S0 = T0 / 1000

function worldOf (...ids: string[]): World {
  const world = new World()
  for (const id of ids) world.put(id)
  return world
}

t.test('a report: each peer, exact codes, times in seconds', async t => {
  const world = worldOf('b', 'a', 'c')
  world.logger.attempt(world.service, world.state('a'), { status: 418, ms: 250 }, T0)
  world.logger.attempt(world.service, world.state('a'), { status: 299, ms: 750 }, T0 + 999)
  world.logger.attempt(world.service, world.state('b'), { status: 200, ms: 1000 }, T0)
  world.logger.attempt(world.service, world.state('b'), { status: 200, ms: 1000 }, T0 + 500)
  const got = report(world.service, world.service.peers.values(), 60, T0 + 1000)
  t.match(got, { name: 'shop', ts_start: S0 - 59, ts_end: S0 })
  t.same(got.statistics.map(({ peer, rtsum, stat }) => ({ peer, rtsum, stat })), [
    { peer: 'a', rtsum: 1, stat: [{ code: 299, count: 1 }, { code: 418, count: 1 }] },
    { peer: 'b', rtsum: 2, stat: [{ code: 200, count: 2 }] },
    { peer: 'c', rtsum: 0, stat: [] }
  ])
  const [a, b, c] = got.statistics
  t.ok(Math.abs((b?.p50 ?? 0) - 1) <= 0.125 && Math.abs((a?.p99 ?? 0) - 0.75) <= 0.1)
  t.same([c?.p50, c?.p90, c?.p99], [null, null, null])
})

t.test('the window ends with the last full second and is as long as asked for', async t => {
  const world = worldOf('a')
  for (let s = 0; s < 20; s++) world.logger.attempt(world.service, world.state('a'), OK, T0 + s * 1000 + 999)
  const count = (seconds: number, now: number): number => {
    const { statistics, ts_start: start, ts_end: end } = report(world.service, world.service.peers.values(), seconds, now)
    t.equal(end - start + 1, seconds)
    return statistics[0]?.stat[0]?.count ?? 0
  }
  t.equal(count(60, T0 + 19_999), 19, 'not the running one')
  t.equal(count(60, T0 + 20_000), 20)
  t.equal(count(5, T0 + 20_000), 5)
  t.equal(count(1, T0 + 20_999), 1)
  t.equal(count(1, T0 + 21_000), 0)
  t.equal(count(60, T0 + 79_999), 1, 'the oldest of 60')
  t.equal(count(60, T0 + 80_000), 0)
})

t.test('tps counts client requests, not attempts, over full seconds', async t => {
  const { service, logger } = worldOf('a')
  t.equal(logger.tps(60, T0), 0)
  for (let s = 0; s < 10; s++) for (let i = 0; i < 6; i++) logger.request(service, 200, 5, T0 + s * 1000)
  t.equal(logger.tps(10, T0 + 10_000), 6)
  t.equal(logger.tps(60, T0 + 10_000), 1)
  t.equal(logger.tps(1, T0 + 10_000), 6)
  t.equal(logger.tps(1, T0 + 9_999), 6, 'the second that runs is not asked')
  t.equal(logger.tps(1, T0 + 11_000), 0)
  t.equal(logger.tps(60, T0 + 3_600_000), 0, 'after an idle hour')
  logger.request(service, 200, 5, T0 + 3_600_000)
  t.equal(logger.tps(60, T0 + 3_601_000), 1 / 60)
  const world = worldOf('a')
  for (let i = 0; i < 30; i++) world.send()
  t.equal(world.logger.tps(60, T0 + 1000), 0)
})

t.test('recents: rate, errors and latency, the running second included', async t => {
  const world = worldOf('a')
  const state = world.state('a')
  t.same(recent(state, 60, T0), { requests: 0, rps: 0, errorRate: null, latencyMs: { p50: null, p90: null, p99: null } })
  for (const outcome of [OK, OK, OK, BAD, REFUSED, LEFT, LEFT, { status: 404, ms: 5 }]) world.logger.attempt(world.service, state, outcome, T0)
  const got = recent(state, 60, T0 + 500)
  t.equal(got.requests, 8)
  t.equal(got.rps, 8, 'over at least a second')
  t.equal(got.errorRate, 2 / 6, 'clients that left count in neither part')
  t.equal(recent(state, 60, T0 + 4000).rps, 2, 'over the time since the first')
  t.equal(recent(state, 2, T0 + 1000).rps, 8, 'or the seconds asked for')
  t.equal(recent(state, 5, T0 + 4999).rps, 8 / 4.999)
  t.equal(recent(state, 60, T0 - 3_600_000).rps, 0, 'and by a clock that was set back nothing has been yet')
  t.equal(recent(state, 60, T0 + 60_000).requests, 0)
  world.logger.attempt(world.service, state, LEFT, T0 + 120_000)
  t.match(recent(state, 60, T0 + 120_000), { requests: 1, errorRate: null })
})

t.test('history: one entry for each full second, empty ones too', async t => {
  const { service, logger } = worldOf('a')
  t.same(history(service, 2, T0), [
    { at: S0 - 2, requests: 0, errors: 0, meanMs: null },
    { at: S0 - 1, requests: 0, errors: 0, meanMs: null }
  ])
  logger.request(service, 200, 10, T0)
  logger.request(service, 404, 20, T0)
  logger.request(service, 503, 60, T0)
  logger.request(service, 200, 1, T0 + 2000)
  t.same(history(service, 3, T0 + 3000), [
    { at: S0, requests: 3, errors: 1, meanMs: 30 },
    { at: S0 + 1, requests: 0, errors: 0, meanMs: null },
    { at: S0 + 2, requests: 1, errors: 0, meanMs: 1 }
  ])
})

t.test('totals equal what the peers saw, to the unit', async t => {
  const random = seeded(20240611)
  const world = worldOf('a', 'b', 'c')
  const seen = new Map<string, Map<number, number>>()
  for (let i = 0; i < 5000; i++) {
    world.now += 10
    const status = [200, 201, 302, 404, 499][Math.floor(random() * 5)] as number
    const id = world.send({ status, ms: random() * 100 })
    const codes = seen.get(id) ?? new Map<number, number>()
    seen.set(id, codes.set(status, (codes.get(status) ?? 0) + 1))
  }
  const { statistics } = report(world.service, world.service.peers.values(), 60, world.now + 1000)
  for (const { peer, stat } of statistics) {
    t.same(stat, [...seen.get(peer) ?? []].sort((a, b) => a[0] - b[0]).map(([code, count]) => ({ code, count })), peer)
  }
})

t.test('a logger keeps as many seconds as it is told', async t => {
  const logger = new Logger(5)
  t.equal(logger.seconds, 5)
  const { service } = worldOf('a')
  for (let s = 0; s < 10; s++) logger.request(service, 200, 1, T0 + s * 1000)
  t.equal(logger.tps(5, T0 + 10_000), 1)
})

t.test('a series has the seconds in which anything happened, clients that left apart from failures', async t => {
  const { service, logger } = worldOf('a')
  t.same(series(service, S0, S0 + 9), [], 'nobody has asked yet')
  logger.request(service, 200, 5, T0)
  logger.request(service, 503, 7, T0 + 10)
  logger.request(service, 499, 1, T0 + 20)
  const world = worldOf('a')
  const state = world.state('a')
  const tell = (outcome: Outcome, at: number): void => world.logger.attempt(world.service, state, outcome, at)
  t.same(series(state, S0, S0 + 9), [])
  tell(OK, T0 + 2000)
  tell(BAD, T0 + 2500)
  tell(REFUSED, T0 + 2500)
  tell(LEFT, T0 + 2999)
  tell(REFUSED, T0 + 1000)
  for (let code = 201; code < 209; code++) tell({ status: code, ms: 1 }, T0 + 4000)
  for (let code = 505; code < 507; code++) tell({ status: code, ms: 1 }, T0 + 4000)
  t.same(series(state, S0, S0 + 9), [
    { second: S0 + 1, answers: 0, requests: 1, errors: 1, rtsum: 0 },
    { second: S0 + 2, answers: 3, requests: 4, errors: 2, rtsum: OK.ms + BAD.ms + LEFT.ms },
    { second: S0 + 4, answers: 10, requests: 10, errors: 2, rtsum: 10 }
  ], 'oldest first, codes without a cell included')
  t.same(series(state, S0 + 2, S0 + 2).length, 1)
  t.same(series(service, S0, S0).map(({ answers, requests, errors }) => [answers, requests, errors]), [[3, 3, 1]])
})

t.test('a series agrees with the sums, whatever happens and whenever it is asked', async t => {
  const random = seeded(5)
  const world = worldOf('a')
  const state = world.state('a')
  let now = T0
  for (let i = 0; i < 2000; i++) {
    now += random() < 0.02 ? 70_000 * random() : 400 * random()
    const outcome = random() < 0.2 ? { error: (['connect', 'timeout', 'reset', 'aborted'] as const)[Math.floor(random() * 4)] ?? 'reset', ms: 3 } : { status: 200 + Math.floor(random() * 350), ms: 100 * random() }
    world.logger.attempt(world.service, state, outcome, now)
    if (i % 50 !== 0) continue
    const last = Math.floor(now / 1000)
    const sum = series(state, last - 59, last).reduce((total, { requests }) => total + requests, 0)
    t.equal(sum, recent(state, 60, now).requests)
  }
})

t.test('history fills the gaps, and latencies are buckets with their bounds', async t => {
  const world = worldOf('a')
  t.same(history(world.service, 2, T0 + 5000), [{ at: S0 + 3, requests: 0, errors: 0, meanMs: null }, { at: S0 + 4, requests: 0, errors: 0, meanMs: null }])
  world.logger.request(world.service, 200, 10, T0)
  world.logger.request(world.service, 502, 20, T0)
  t.same(history(world.service, 3, T0 + 2000), [
    { at: S0 - 1, requests: 0, errors: 0, meanMs: null },
    { at: S0, requests: 2, errors: 1, meanMs: 15 },
    { at: S0 + 1, requests: 0, errors: 0, meanMs: null }
  ])
  world.logger.attempt(world.service, world.state('a'), REFUSED, T0 + 3000)
  const state = world.state('a')
  t.same(latencies(state, 60, T0 + 3000), [], 'failures have no latency')
  t.same(latencies(new World().service, 60, T0), [], 'nor has who was never asked')
  for (const ms of [5, 5, 0.1, 1e9]) world.logger.attempt(world.service, state, { status: 200, ms }, T0 + 3000)
  const got = latencies(state, 60, T0 + 3999)
  t.same(got.map(([, , count]) => count), [1, 2, 1])
  for (const [from, to] of got) t.ok(from < to && Number.isFinite(to), `${from} to ${to}`)
  const [low, middle] = got
  t.ok(low?.[0] === 0 && (middle?.[0] ?? 9) <= 5 && (middle?.[1] ?? 0) > 5)
  t.same(latencies(state, 60, T0 + 70_000), [])
})
