import t from 'tap'
import type { Outcome } from '../../lib/logger/outcome.js'
import type { OutlierSettings } from '../../lib/store/settings.js'
import { BAD, LEFT, OK, outlier, REFUSED, seeded, T0, World } from '../fixtures/pure.js'

/** Four peers, a to d, and an outlier detection that the decay of 10 s does not disturb. */
function worldOf (fields: Partial<OutlierSettings> = {}, random?: () => number): World {
  const world = new World({ panic: 0, outlier: outlier({ maxEjected: 1, ...fields }) }, random)
  for (const id of ['a', 'b', 'c', 'd']) world.put(id)
  world.wait(0)
  return world
}

const answers = (...codes: number[]): Outcome[] => codes.map(status => ({ status, ms: 1 }))
const fails = (...kinds: Array<'connect' | 'timeout' | 'reset' | 'aborted'>): Outcome[] => kinds.map(error => ({ error, ms: 1 }))

t.test('what ejects at once, and what never does', async t => {
  const cases: Array<[what: string, outcomes: Outcome[], reason: string | null]> = [
    ['four 5xx', answers(500, 500, 500, 500), null],
    ['five 5xx', answers(500, 502, 503, 504, 599), '5 requests in a row answered with 5xx'],
    ['a success in between', answers(500, 500, 500, 500, 200, 500, 500, 500, 500), null],
    ['a 404 in between is an answer', answers(500, 500, 500, 500, 404, 500), null],
    ['a hundred 4xx', answers(...Array.from({ length: 100 }, () => 404)), null],
    ['all of 100 … 499', answers(100, 204, 299, 302, 400, 418, 429, 499), null],
    ['four errors', fails('connect', 'reset', 'timeout', 'connect'), null],
    ['five errors', fails('connect', 'reset', 'timeout', 'connect', 'connect'), '5 attempts in a row failed to connect, were reset or timed out'],
    ['clients that left', fails(...Array.from({ length: 100 }, () => 'aborted' as const)), null],
    ['clients that left do not interrupt', [...answers(500, 500, 500), LEFT, ...answers(500, 500)], '5 requests in a row answered with 5xx']
  ]
  for (const [what, outcomes, reason] of cases) {
    const world = worldOf()
    for (const outcome of outcomes) world.tell('a', outcome)
    t.equal(world.state('a').ejected?.reason ?? null, reason, what)
    const cause = reason?.endsWith('5xx') ? 'consecutive_5xx' : 'consecutive_errors'
    t.same(world.verdicts, reason === null ? [] : [{ action: 'eject', service: 'shop', peer: 'a', scheme: 'http', cause, reason, since: T0, until: T0 + 30_000 }])
    t.same(new Set(world.order(8)), new Set(reason === null ? ['a', 'b', 'c', 'd'] : ['b', 'c', 'd']))
  }
})

t.test('thresholds are what the settings say; 0 turns a rule off', async t => {
  const world = worldOf({ consecutive5xx: 2, consecutiveErrors: 0, failureRate: 0 })
  world.tell('a', REFUSED, 50)
  world.wait(10_000)
  t.equal(world.state('a').ejected, null)
  world.tell('b', BAD, 2)
  t.match(world.state('b').ejected?.reason, /^2 requests in a row/)
  const lax = worldOf({ consecutive5xx: 0, consecutiveErrors: 2, failureRate: 0 })
  lax.tell('a', BAD, 50)
  t.equal(lax.state('a').ejected, null)
  lax.tell('b', REFUSED, 2)
  t.match(lax.state('b').ejected?.reason, /^2 attempts in a row/)
})

t.test('the failure rate, at each interval, of enough requests', async t => {
  const cases: Array<[good: number, bad: number, ejected: boolean]> = [
    [10, 10, true], [11, 9, false], [9, 10, false], [12, 8, false], [0, 3, false], [100, 100, true], [101, 99, false]
  ]
  for (const [good, bad, ejected] of cases) {
    const world = worldOf()
    for (let i = 0; i < Math.max(good, bad); i++) {
      if (i < bad) world.tell('a', i % 2 === 0 ? BAD : REFUSED)
      if (i < good) world.tell('a', OK)
    }
    t.equal(world.state('a').ejected, null, 'not before the interval ends')
    world.wait(9999)
    t.equal(world.state('a').ejected, null)
    const verdicts = world.wait(1)
    const reason = `${bad} of ${good + bad} requests failed in 10 s`
    t.same(verdicts.map(verdict => [verdict.cause, verdict.reason]), ejected ? [['failure_rate', reason]] : [], `${bad} of ${good + bad}`)
    world.wait(10_000)
    t.equal(world.state('a').ejected !== null, ejected, 'what was counted counts once')
  }
})

t.test('4xx and clients that left are no failures of any rate', async t => {
  const world = worldOf({ minRequests: 1 })
  world.tell('a', { status: 404, ms: 1 }, 100)
  world.tell('a', LEFT, 100)
  world.wait(10_000)
  t.same(world.verdicts, [])
  world.tell('b', LEFT, 30)
  world.tell('b', BAD)
  t.match(world.wait(10_000)[0]?.reason, /^1 of 1 requests failed/, 'nor are they requests')
})

/** Ejects a, and lets it fail its probe `times` times; the lengths of the ejections in ms. */
function lengths (world: World, times: number): number[] {
  const lengths: number[] = []
  world.tell('a', BAD, 5)
  for (let i = 0; i < times; i++) {
    const { since, until } = world.state('a').ejected ?? { since: NaN, until: NaN }
    lengths.push(until - since)
    world.now = until
    world.wait(0)
    for (let n = 0; n < 4; n++) world.send(id => id === 'a' ? BAD : OK)
  }
  return lengths
}

t.test('an ejection lasts base × times ejected, up to the bound', async t => {
  t.same(lengths(worldOf({ interval: 1e9 }), 12), [30, 60, 90, 120, 150, 180, 210, 240, 270, 300, 300, 300].map(s => s * 1000))
  t.same(lengths(worldOf({ interval: 1e9, baseEjection: 100, maxEjection: 250 }), 4), [100, 200, 250, 250])
})

t.test('give or take a fifth', async t => {
  t.equal(lengths(worldOf({}, () => 0), 1)[0], 24_000)
  t.ok(Math.abs((lengths(worldOf({}, () => 0.999999), 1)[0] ?? 0) - 36_000) < 1)
  const random = seeded(20240611)
  const all = Array.from({ length: 500 }, () => lengths(worldOf({}, random), 1)[0] as number)
  t.ok(all.every(ms => ms >= 24_000 && ms <= 36_000))
  t.ok(Math.min(...all) < 24_500 && Math.max(...all) > 35_500, 'all over the range')
})

t.test('the count decays by one for each healthy interval', async t => {
  const world = worldOf({ baseEjection: 1000, maxEjection: 1e6 })
  const eject = (): number => {
    world.tell('a', BAD, 5)
    const { until } = world.state('a').ejected ?? { until: NaN }
    const length = until - world.now
    world.now = until
    world.wait(0)
    world.order(4)
    return length
  }
  t.same([eject(), eject(), eject()], [1000, 2000, 3000])
  for (let i = 0; i < 2; i++) world.wait(10_000)
  t.equal(eject(), 2000, '3 − 2 + 1')
  for (let i = 0; i < 20; i++) world.wait(10_000)
  t.equal(eject(), 1000, 'never below none')
  t.equal(world.state('a').ejections, 5, 'while the count of all is kept')
})

t.test('an unhealthy interval forgives nothing', async t => {
  const world = worldOf({ baseEjection: 1000, maxEjection: 1e6, interval: 100 })
  world.tell('a', BAD, 5)
  for (let i = 0; i < 10; i++) world.wait(100)
  for (let i = 0; i < 4; i++) world.send(id => id === 'a' ? BAD : OK)
  const { since, until } = world.state('a').ejected ?? { since: 0, until: 0 }
  t.equal(until - since, 2000, 'it was out in ten of them, and still the second ejection is twice as long')
})
