import fc from 'fast-check'
import t from 'tap'
import { CodeCounts } from '../../lib/logger/codes.js'
import { BOUNDS, Durations } from '../../lib/logger/durations.js'
import { recordOf } from '../../lib/logger/record.js'
import { talliedOf, tallyOf } from '../../lib/logger/tally.js'
import { BAD, LEFT, OK, REFUSED, T0, World } from '../fixtures/pure.js'

const SEED = 20251125

t.test('a duration is in the first bucket whose bound it does not exceed', async t => {
  const rows: Array<[ms: number, bucket: number]> = [
    [0, 0], [5, 0], [5.001, 1], [10, 1], [24, 2], [25, 2], [99.9, 5], [100, 5], [101, 6], [10_000, 13], [10_001, 14], [86_400_000, 14],
    [NaN, 0], [-3, 0], [Infinity, 0]
  ]
  for (const [ms, bucket] of rows) {
    const durations = new Durations()
    durations.add(ms)
    t.equal(durations.counts.indexOf(1), bucket, `${ms} ms`)
    t.equal(durations.sum, ms >= 0 && ms < Infinity ? ms : 0)
  }
})

t.test('durations: cumulative counts are what a naive count says', async t => {
  fc.assert(fc.property(fc.array(fc.double({ min: 0, max: 20_000, noNaN: true })), all => {
    const durations = new Durations()
    for (const ms of all) durations.add(ms)
    let below = 0
    BOUNDS.forEach((bound, i) => {
      below += durations.counts[i] ?? NaN
      t.equal(below, all.filter(ms => ms <= bound).length)
    })
    t.equal(below + (durations.counts.at(-1) ?? NaN), all.length)
  }), { seed: SEED, numRuns: 100 })
})

t.test('the buckets are those that OpenTelemetry advises', async t => {
  t.same(BOUNDS.map(ms => ms / 1000), [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10])
})

t.test('codes: exact ones, rising; beyond 32 of them by class', async t => {
  const counts = new CodeCounts()
  t.same(counts.told(), [])
  for (const code of [503, 200, 404, 200, 999]) counts.add(code)
  t.same(counts.told(), [['200', 2], ['404', 1], ['503', 1], ['999', 1]])
  for (let code = 100; code < 1000; code++) counts.add(code)
  const told = counts.told()
  t.equal(told.length, 32 + 6)
  t.same(told.slice(-6).map(([code]) => code), ['1xx', '2xx', '3xx', '4xx', '5xx', 'other'])
  t.same(told.find(([code]) => code === '200'), ['200', 3])
  t.equal(told.reduce((sum, [, count]) => sum + count, 0), 905, 'nothing is lost')
})

t.test('codes: at most 38 numbers, which add up, whatever is answered', async t => {
  fc.assert(fc.property(fc.array(fc.integer({ min: 100, max: 999 }), { maxLength: 300 }), codes => {
    const counts = new CodeCounts()
    for (const code of codes) counts.add(code)
    const told = counts.told()
    t.ok(told.length <= 38)
    t.equal(new Set(told.map(([code]) => code)).size, told.length, 'each once')
    t.equal(told.reduce((sum, [, count]) => sum + count, 0), codes.length)
  }), { seed: SEED, numRuns: 100 })
})

t.test('a service is tallied once something happened', async t => {
  const world = new World()
  world.put('a')
  t.equal(talliedOf(world.service), null)
  const pick = world.picker.pick(world.service, undefined, T0)
  t.equal(talliedOf(world.service), null, 'a pick is nothing that ended')
  pick?.done(OK, T0)
  const tally = talliedOf(world.service)
  t.not(tally, null)
  t.equal(tallyOf(world.service), tally)
})

t.test('first bytes are those of attempts that were answered, requests those of clients', async t => {
  const world = new World()
  const { service, logger } = world
  const state = world.put('a')
  for (const outcome of [OK, BAD, REFUSED, LEFT, { status: 200, ms: 900, ttfb: 30 }, { error: 'reset', ms: 700, ttfb: 60 }] as const) {
    logger.attempt(service, state, outcome, T0)
  }
  logger.request(service, 200, 1500, T0)
  logger.request(service, 101, 3_600_000, T0)
  const tally = tallyOf(service)
  t.equal(tally.firstBytes.sum, 5 + 5 + 30 + 60)
  t.same([...tally.firstBytes.counts].slice(0, 6), [2, 0, 0, 1, 1, 0])
  t.equal(tally.requests.sum, 1500)
  t.equal(tally.requests.counts[10], 1)
  t.equal(tally.requests.counts.reduce((a, b) => a + b), 1, 'without the WebSocket that was open for an hour')
  t.same(recordOf(service)?.codes.told(), [['101', 1], ['200', 1]], 'which is a request all the same')
})

t.test('what an operator has refused is counted', async t => {
  const world = new World()
  world.service.shed = 0.25
  const refused = Array.from({ length: 20 }, () => world.picker.refuses(world.service)).filter(Boolean).length
  t.equal(refused, 5)
  t.equal(tallyOf(world.service).refusals.shed, 5)
})
