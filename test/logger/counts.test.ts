import fc from 'fast-check'
import t from 'tap'
import type { ErrorKind, Outcome } from '../../lib/logger/outcome.js'
import { recordOf } from '../../lib/logger/record.js'
import { Window } from '../../lib/logger/window.js'
import { BAD, LEFT, OK, REFUSED, T0, tally, World } from '../fixtures/pure.js'

const SEED = 20240611
const S0 = T0 / 1000

t.test('exact codes, whatever they are', async t => {
  const window = new Window(60)
  const codes = [100, 101, 200, 204, 299, 302, 404, 418, 499, 500, 502, 599, 600, 999]
  codes.forEach((code, i) => { for (let n = 0; n <= i; n++) window.answer(S0, code, 2, 1) })
  const { codes: counted, count, rtsum, ttfbSum } = window.sum(S0, S0)
  t.same([...counted], codes.map((code, i) => [code, i + 1]), 'codes rising')
  t.equal(count, 105)
  t.equal(rtsum, 210)
  t.equal(ttfbSum, 105)
})

t.test('each second is kept for as long as it was asked for, and not longer', async t => {
  const window = new Window(3)
  for (let s = 0; s < 10; s++) {
    window.answer(S0 + s, 200, 1, 1)
    const kept = Array.from({ length: 12 }, (_, i) => window.sum(S0 + i, S0 + i).count)
    t.same(kept, Array.from({ length: 12 }, (_, i) => i <= s && i >= s - 3 ? 1 : 0), `three full seconds before ${s}`)
  }
})

t.test('an idle hour, then a failure: nothing old is counted', async t => {
  const window = new Window(60)
  for (let i = 0; i < 100; i++) {
    window.answer(S0, 500, 1000, 1000)
    window.error(S0, 'reset')
  }
  // The same slot comes up again after 61 s; an hour is not a multiple of that, so try all.
  for (let s = 3600; s < 3661; s++) t.equal(window.sum(S0 + s - 60, S0 + s).count, 0)
  window.error(S0 + 61 * 60, 'connect')
  const sum = window.sum(S0 + 3600, S0 + 61 * 60)
  t.same([sum.count, sum.rtsum, sum.ttfbSum, [...sum.codes], sum.errors], [0, 0, 0, [], { connect: 1, timeout: 0, reset: 0, aborted: 0 }])
  t.ok(sum.histogram.every(n => n === 0))
})

t.test('sums are those of a list, for any traffic', async t => {
  const event = fc.record({ after: fc.nat({ max: 20 }), code: fc.integer({ min: 100, max: 999 }), ms: fc.nat({ max: 5000 }), kind: fc.constantFrom<ErrorKind | null>(null, null, 'connect', 'timeout', 'reset', 'aborted') })
  fc.assert(fc.property(fc.array(event, { maxLength: 60 }), fc.nat({ max: 29 }), (events, back) => {
    const window = new Window(30)
    const list = events.map((event, i) => ({ ...event, second: S0 + events.slice(0, i + 1).reduce((sum, { after }) => sum + after, 0) }))
    for (const { second, code, ms, kind } of list) {
      if (kind === null) window.answer(second, code, ms, ms / 2)
      else window.error(second, kind)
    }
    const last = list.at(-1)?.second ?? S0
    const sum = window.sum(last - back, last)
    const listed = list.filter(({ second }) => second >= last - back)
    const answers = listed.filter(({ kind }) => kind === null)
    const codes = [...tally(answers.map(({ code }) => code))].sort((a, b) => a[0] - b[0])
    if (JSON.stringify([...sum.codes]) !== JSON.stringify(codes)) throw new Error('codes')
    if (sum.count !== answers.length || sum.rtsum !== answers.reduce((a, { ms }) => a + ms, 0)) throw new Error('count or rtsum')
    if (sum.histogram.reduce((a, b) => a + b, 0) !== answers.length) throw new Error('histogram')
    for (const [kind, n] of Object.entries(sum.errors)) {
      if (n !== listed.filter(event => event.kind === kind).length) throw new Error(`${kind}: ${n}`)
    }
  }), { seed: SEED, numRuns: 500 })
  t.pass()
})

t.test('a bucket that is full stays full', async t => {
  const window = new Window(1)
  for (let i = 0; i < 70_000; i++) window.answer(S0, 200, 1, 1)
  const sum = window.sum(S0, S0)
  t.equal(sum.count, 70_000, 'while the count goes on')
  t.equal(Math.max(...sum.histogram), 65_535)
})

t.test('an attempt is counted under its peer, a request under its service', async t => {
  const world = new World()
  const { service, logger } = world
  const state = world.put('a')
  t.equal(recordOf(state), null, 'nothing is kept before the first')
  for (const outcome of [OK, OK, BAD, REFUSED, LEFT, { status: 999, ms: 1 }, { status: 101, ms: 1, ttfb: 0.5 }] as Outcome[]) logger.attempt(service, state, outcome, T0)
  logger.request(service, 200, 9, T0)
  logger.request(service, 999, 9, T0)
  t.same(recordOf(state)?.codes.classes, { 0: 1, 1: 1, 2: 2, 3: 0, 4: 0, 5: 1 }, 'odd codes under 0')
  t.same(recordOf(state)?.errors, { connect: 1, timeout: 0, reset: 0, aborted: 1 })
  t.same(recordOf(service)?.codes.classes, { 0: 1, 1: 0, 2: 1, 3: 0, 4: 0, 5: 0 })
  t.equal(recordOf(state)?.window.sum(S0, S0).ttfbSum, 5 + 5 + 5 + 3 + 1 + 0.5)
})

t.test('a client that left counts as 499, and against nobody', async t => {
  const world = new World()
  const state = world.put('a')
  for (let i = 0; i < 50; i++) world.send(LEFT)
  const sum = recordOf(state)?.window.sum(S0, S0)
  t.same([...sum?.codes ?? []], [[499, 50]])
  t.equal(sum?.errors.aborted, 50)
  t.same(world.verdicts, [])
  t.equal(state.inflight, 0)
})
