import fc from 'fast-check'
import t from 'tap'
import type { Outcome } from '../../../lib/logger/outcome.js'
import { P2cEwma } from '../../../lib/picker/balancers/p2c-ewma.js'
import type { PeerState } from '../../../lib/store/peer.js'
import { arrivals, chiBound, chiSquare, Crowd, steady, type Serve } from '../../fixtures/crowd.js'
import { REFUSED, seeded, tally, World } from '../../fixtures/pure.js'

const SEED = 20240611
const HOUR = 3_600_000

function crowdOf (weights: readonly number[], random: () => number = seeded(SEED)): Crowd {
  return new Crowd(new P2cEwma(random), weights)
}

const even = (n: number): number[] => Array.from({ length: n }, () => 1)

/** One request at `place` that is answered after `ms` when this has passed. */
function answer (crowd: Crowd, place: number, ms: number, outcome: Outcome = { status: 200, ms }): void {
  crowd.openAt(crowd.at(place))
  crowd.close(crowd.at(place), outcome)
}

/** Each peer answers after its own time, in ms, give or take a tenth. */
function serving (crowd: Crowd, times: readonly number[], random: () => number): Serve {
  return state => ({ status: 200, ms: (times[crowd.states.indexOf(state)] ?? NaN) * (0.9 + random() / 5) })
}

t.test('of two idle peers the faster one', async t => {
  const crowd = crowdOf([1, 1])
  answer(crowd, 0, 100)
  answer(crowd, 1, 10)
  t.same(new Set(crowd.order(5).slice(0, 1)), new Set(['1']))
  for (let i = 0; i < 50; i++) t.equal(crowd.balancer.pick(crowd.now, null), crowd.at(1))
})

t.test('of two as fast the one with less to do for its weight', async t => {
  const crowd = crowdOf([1, 3])
  for (const place of [0, 1]) answer(crowd, place, 10)
  const open = Array.from({ length: 40 }, () => crowd.open())
  t.same(tally(open.map(state => state?.peer.id)), new Map([['1', 30], ['0', 10]]))
})

t.test('a slower answer counts at once, a faster one by and by: latency × e^(-t / 10 s)', async t => {
  const crowd = crowdOf([1])
  const state = crowd.at(0)
  answer(crowd, 0, 40)
  t.equal(state.latency, 40, 'the first one')
  answer(crowd, 0, 100)
  t.equal(state.latency, 100, 'a peak')
  answer(crowd, 0, 10)
  t.equal(state.latency, 100, 'in the same moment it stays')
  let expected = 100
  for (const ms of [1, 500, 1000, 5000, 10_000, 20_000]) {
    crowd.now += ms
    answer(crowd, 0, 10)
    const kept = Math.exp(-ms / 10_000)
    // When less than the answer is left, that is a peak again.
    expected = expected * kept < 10 ? 10 : expected * kept + 10 * (1 - kept)
    t.ok(Math.abs(state.latency / expected - 1) < 0.12, `${ms} ms later: ${state.latency}, by the formula ${expected}`)
    expected = state.latency
  }
  crowd.now += HOUR
  answer(crowd, 0, 10)
  t.equal(state.latency, 10, 'an hour later nothing of it is left')
})

t.test('time to first byte counts, not how long the answer is', async t => {
  const crowd = crowdOf([1])
  answer(crowd, 0, 0, { status: 200, ms: 60_000, ttfb: 12 })
  t.equal(crowd.at(0).latency, 12)
  answer(crowd, 0, 0, { status: 404, ms: 20 })
  t.equal(crowd.at(0).latency, 20, 'without one it is the time of the whole; 4xx is an answer')
})

t.test('one in ten is ten times slower: it gets little, and the others their shares', async t => {
  const random = seeded(SEED)
  const crowd = crowdOf(even(10), random)
  const got = arrivals(crowd, 2, 20_000, serving(crowd, [200, ...Array.from({ length: 9 }, () => 20)], random))
  t.ok((got[0] ?? NaN) < 400, `the slow one got ${got[0]} of 20,000`)
  t.ok(Math.min(...got.slice(1)) > 1500 && Math.max(...got) < 3000, `${got}`)
})

t.test('one that becomes slow is left, one that becomes fast again is found within a minute', async t => {
  const random = seeded(SEED)
  const crowd = crowdOf(even(4), random)
  const served = (times: number[], requests: number): number => arrivals(crowd, 5, requests, serving(crowd, times, random))[0] ?? NaN
  served([20, 20, 20, 20], 2000)
  const slow = served([400, 20, 20, 20], 4000)
  t.ok(slow < 100, `${slow} of 4000 while it is slow`)
  served([20, 20, 20, 20], 12_000)
  const again = served([20, 20, 20, 20], 4000)
  t.ok(again > 700, `${again} of 4000 a minute later`)
})

t.test('a newcomer is neither starved nor stampeded', async t => {
  const random = seeded(SEED)
  for (const time of [20, 200]) {
    const crowd = crowdOf(even(10), random)
    crowd.rebuild([0, 1, 2, 3, 4, 5, 6, 7, 8])
    const serve = serving(crowd, [...Array.from({ length: 9 }, () => 20), time], random)
    arrivals(crowd, 1, 5000, serve)
    crowd.rebuild()
    let most = 0
    const got = arrivals(crowd, 1, 1000, state => {
      if (state === crowd.at(9)) most = Math.max(most, state.inflight)
      return serve(state)
    })[9] ?? NaN
    t.ok(time === 20 ? got > 50 && got < 200 : got > 3 && got < 100, `answering after ${time} ms it got ${got} of 1000`)
    t.ok(most <= 10, `${most} at once, where the others have two or three each`)
  }
})

t.test('failures do not attract, however fast they are', async t => {
  const failures: Record<string, Outcome> = { refused: REFUSED, 'fast 500': { status: 500, ms: 1 }, 'fast 503': { status: 503, ms: 1 }, reset: { error: 'reset', ms: 1 } }
  for (const [what, failure] of Object.entries(failures)) {
    for (const weights of [even(10), [1, 1], [5, 1, 1, 1, 1, 1]]) {
      for (const gap of [20, 5, 1]) {
        const random = seeded(SEED)
        const crowd = crowdOf(weights, random)
        const times = weights.map(() => 50)
        const serve = serving(crowd, times, random)
        const requests = 6000
        const got = arrivals(crowd, gap, requests, state => state === crowd.at(0) ? failure : serve(state))[0] ?? NaN
        const share = (weights[0] ?? NaN) / weights.reduce((a, b) => a + b, 0)
        t.ok(got < 0.5 * share * requests, `${what}, ${weights.length} peers, every ${gap} ms: ${(got / requests * 100).toFixed(1)} %, its share would be ${(share * 100).toFixed(1)} %`)
      }
    }
  }
})

t.test('one that fails half of its requests gets no more than its share', async t => {
  for (const gap of [20, 5, 1]) {
    const random = seeded(SEED)
    const crowd = crowdOf(even(5), random)
    const serve = serving(crowd, even(5).map(() => 50), random)
    const got = arrivals(crowd, gap, 10_000, state => state === crowd.at(0) && random() < 0.5 ? { status: 500, ms: 1 } : serve(state))[0] ?? NaN
    t.ok(got < 2000, `every ${gap} ms: ${got} of 10,000`)
  }
})

t.test('with everybody failing they share it', async t => {
  const random = seeded(SEED)
  const crowd = crowdOf(even(5), random)
  const got = arrivals(crowd, 5, 10_000, () => REFUSED)
  t.ok(Math.min(...got) > 1500, `${got}`)
})

t.test('a client that leaves never makes a peer look faster', async t => {
  const ms = fc.integer({ min: 0, max: 100_000 })
  fc.assert(fc.property(fc.array(fc.tuple(ms, fc.integer({ min: -1000, max: 30_000 }), fc.boolean())), steps => {
    const crowd = crowdOf([1])
    const state = crowd.at(0)
    answer(crowd, 0, 50)
    for (const [ms, wait, left] of steps) {
      crowd.now += wait
      const before = state.latency * Math.exp(-Math.max(0, wait) / 10_000) * 0.8
      answer(crowd, 0, 0, left ? { error: 'aborted', ms } : { status: 200, ms })
      if (left && wait < 1000 && state.latency < before) throw new Error(`${state.latency} after ${before}`)
    }
  }), { seed: SEED, numRuns: 200 })
  const crowd = crowdOf([1, 1])
  answer(crowd, 0, 0, { error: 'aborted', ms: 0 })
  t.equal(crowd.at(0).latencyAt, 0, 'nothing is known of it yet')
})

t.test('clients that leave a newcomer that hangs say that it is slow', async t => {
  const crowd = crowdOf([1, 1])
  answer(crowd, 0, 20)
  answer(crowd, 1, 0, { error: 'aborted', ms: 5 })
  t.equal(crowd.at(1).latencyAt, 0, 'they left before it had its time')
  answer(crowd, 1, 0, { error: 'aborted', ms: 3000 })
  for (let i = 0; i < 20; i++) t.equal(crowd.balancer.pick(crowd.now, null), crowd.at(0))
})

t.test('a client that leaves a long answer says nothing of how long the headers took', async t => {
  const crowd = crowdOf([1])
  answer(crowd, 0, 20)
  answer(crowd, 0, 0, { error: 'aborted', ms: 600_000, ttfb: 15 })
  t.equal(crowd.at(0).latency, 20)
  answer(crowd, 0, 0, { error: 'reset', ms: 600_000, ttfb: 15 })
  t.ok(crowd.at(0).latency < 200, `${crowd.at(0).latency}: a broken answer is a failure, and not one of ten minutes`)
})

t.test('clocks that jump', async t => {
  const random = seeded(SEED)
  const crowd = crowdOf(even(4), random)
  const slow = serving(crowd, [400, 20, 20, 20], random)
  const fast = serving(crowd, [20, 20, 20, 20], random)
  arrivals(crowd, 5, 4000, slow)
  crowd.now -= HOUR
  const after = arrivals(crowd, 5, 2000, slow)[0] ?? NaN
  t.ok(after < 60, `an hour back: ${after} of 2000 while it is slow`)
  arrivals(crowd, 5, 12_000, fast)
  const again = arrivals(crowd, 5, 4000, fast)[0] ?? NaN
  t.ok(again > 700, `found again within a minute, not after the hour: ${again} of 4000`)
  crowd.now += HOUR
  const later = arrivals(crowd, 5, 4000, slow)[0] ?? NaN
  t.ok(later < 100, `an hour forward: ${later} of 4000`)
  for (const { latency } of crowd.states) t.ok(Number.isFinite(latency))
})

t.test('one peer, two peers, all but one out, nobody', async t => {
  t.equal(crowdOf([1]).send(), '0')
  const two = crowdOf([1, 1])
  t.same(new Set(two.order(50)), new Set(['0', '1']))
  const many = crowdOf(even(500))
  for (const place of [0, 250, 499]) t.equal(many.send(null, state => state === many.at(place)), String(place))
  const pair: PeerState[] = [many.at(3), many.at(499)]
  answer(many, 3, 100)
  answer(many, 499, 10)
  for (let i = 0; i < 20; i++) t.equal(many.balancer.pick(many.now, null, state => pair.includes(state)), many.at(499), 'the better one of two that are left')
  t.equal(many.send(null, () => false), '-')
  many.rebuild([])
  t.equal(many.send(), '-')
  t.equal(many.send(null, () => true), '-')
})

t.test('equal peers get equal shares', async t => {
  const random = seeded(SEED)
  const crowd = crowdOf(even(10), random)
  const got = arrivals(crowd, 2, 20_000, serving(crowd, even(10).map(() => 20), random))
  got.forEach((n, i) => t.ok(Math.abs(n - 2000) < 200, `${i}: ${n} of 2000`))
  const idle = even(10).map(() => 0)
  const fresh = crowdOf(even(10), random)
  for (let i = 0; i < 10_000; i++) (idle[Number(fresh.balancer.pick(fresh.now, null)?.peer.id)] as number)++
  const chi = chiSquare(idle, even(10))
  t.ok(chi < chiBound(10), `by chance while nothing is known: ${chi}`)
})

t.test('shares by weight while enough is under way', async t => {
  for (const tiny of [1, 1e-310]) {
    const random = seeded(SEED)
    const got = steady(crowdOf([tiny, 2 * tiny, 3 * tiny, 4 * tiny], random), 200, 20_000, random)
    got.forEach((n, i) => t.ok(Math.abs(n - 2000 * (i + 1)) < 250, `${n} of ${2000 * (i + 1)}, weights by ${tiny}`))
  }
})

t.test('what is known outlives rebuilds', async t => {
  const crowd = crowdOf([1, 1])
  answer(crowd, 0, 100)
  answer(crowd, 1, 10)
  crowd.rebuild([0])
  crowd.rebuild()
  crowd.balancer = new P2cEwma(() => 0.3)
  crowd.rebuild()
  for (let i = 0; i < 10; i++) t.equal(crowd.balancer.pick(crowd.now, null), crowd.at(1))
})

t.test('a stream that its client leaves after ten minutes does not make its peer slow', async t => {
  for (const [kind, most] of [['aborted', 20], ['reset', 60]] as const) {
    const world = new World({ balancer: 'p2c-ewma' }, seeded(SEED))
    const state = world.put('a')
    world.pick()?.done({ status: 200, ms: 20 }, world.now)
    const pick = world.pick()
    world.now += 600_000
    pick?.done({ error: kind, ms: 600_000, ttfb: 10 }, world.now)
    t.ok(state.latency <= most, `${kind}: ${state.latency} ms`)
    const hanging = world.pick()
    hanging?.done({ error: kind, ms: 5000 }, world.now)
    t.ok(state.latency >= 5000, `${kind} without an answer: ${state.latency} ms`)
    const backwards = world.pick()
    backwards?.done({ error: kind, ms: 10, ttfb: 0 }, world.now - 1000)
    t.ok(Number.isFinite(state.latency))
  }
})
