import t from 'tap'
import { drain } from '../../lib/store/overrides.js'
import type { OutlierSettings } from '../../lib/store/settings.js'
import { BAD, LEFT, outlier, REFUSED, T0, tally, World } from '../fixtures/pure.js'

/** One peer for each mean, p0 first, each with `n` answers that took so long until their first byte, and an interval's end. */
function worldOf (means: readonly number[], fields: Partial<OutlierSettings> = {}, n = 20): World {
  const world = new World({ panic: 0, outlier: outlier({ latencyFactor: 3, ...fields }) })
  for (const [i] of means.entries()) world.put(`p${i}`)
  world.wait(0)
  for (const [i, ttfb] of means.entries()) answer(world, `p${i}`, ttfb, n)
  return world
}

/** An even number of answers whose mean is `ttfb`; the last byte comes much later, which is not the peer's fault. */
function answer (world: World, id: string, ttfb: number, n: number): void {
  world.tell(id, { status: 200, ms: 60_000, ttfb: ttfb / 2 }, n / 2)
  world.tell(id, { status: 404, ms: 60_000, ttfb: ttfb * 1.5 }, n / 2)
}

function ejected (world: World): string[] {
  return [...world.service.peers.values()].filter(state => state.ejected !== null).map(({ peer }) => peer.id)
}

t.test('who is ejected at the end of an interval', async t => {
  const cases: Array<[what: string, means: number[], fields: Partial<OutlierSettings>, who: string[]]> = [
    ['one that takes ten times as long', [100, 90, 1000], {}, ['p2']],
    ['not when the rule is off', [100, 90, 1000], { latencyFactor: 0 }, []],
    ['not at the factor, but above it', [100, 100, 300], {}, []],
    ['above the factor', [100, 100, 300.5], {}, ['p2']],
    ['less than 10 ms above the median is noise', [1, 1, 10.5], {}, []],
    ['10 ms above it is not', [1, 1, 11], {}, ['p2']],
    ['of two peers nobody is the odd one', [10, 1000], {}, []],
    ['the median of four is the middle of the two in the middle', [100, 100, 200, 455], {}, ['p3']],
    ['which is 150 here', [100, 100, 200, 445], {}, []],
    ['two of five, as far as the share allows', [10, 10, 10, 500, 900], { maxEjected: 0.4 }, ['p3', 'p4']],
    ['all are slow: nobody is the odd one', [1000, 1100, 1200], {}, []],
    ['most are slow: they are the rule, however quick the others', [10, 1000, 1000, 1000], {}, []],
    ['answers in no time', [0, 0, 20], {}, ['p2']]
  ]
  for (const [what, means, fields, who] of cases) {
    const world = worldOf(means, fields)
    t.same(ejected(world), [], 'not before the interval ends')
    world.wait(10_000)
    t.same(ejected(world), who, what)
    t.same(world.verdicts.map(({ action, cause }) => [action, cause]), who.map(() => ['eject', 'latency']))
  }
})

t.test('the reason has the numbers', async t => {
  const reasonOf = (means: number[], n?: number): string | undefined => worldOf(means, {}, n).wait(10_000)[0]?.reason
  t.equal(reasonOf([87, 80, 95, 82, 812], 240), 'mean time to first byte 812 ms over 240 requests in 10 s, 9.3 × the median of 5 peers (87 ms)')
  t.equal(reasonOf([1.25, 1.25, 12.5]), 'mean time to first byte 13 ms over 20 requests in 10 s, 10.0 × the median of 3 peers (1.3 ms)')
  t.equal(reasonOf([0, 0, 20]), 'mean time to first byte 20 ms over 20 requests in 10 s, over 1000 × the median of 3 peers (0.0 ms)')
})

t.test('only who has had enough answers is compared', async t => {
  const world = worldOf([100, 100, 1000])
  world.put('p3')
  answer(world, 'p3', 5000, 18)
  world.wait(10_000)
  t.same(ejected(world), ['p2'], 'eighteen are too few, for better or worse')
  const few = worldOf([100, 1000])
  few.put('p2')
  answer(few, 'p2', 100, 18)
  few.wait(10_000)
  t.same(ejected(few), [], 'two peers with enough are too few')
})

t.test('what failed counts in no mean', async t => {
  const world = worldOf([100, 100, 1000], { consecutive5xx: 0, consecutiveErrors: 0, failureRate: 0 })
  // Quick errors of the slow one do not make it look fast, and slow failures of another not slow.
  world.tell('p2', { status: 503, ms: 1 }, 1000)
  world.tell('p2', REFUSED, 1000)
  world.tell('p2', LEFT, 1000)
  world.tell('p0', { error: 'timeout', ms: 30_000 }, 1000)
  world.tell('p0', { status: 500, ms: 30_000 }, 1000)
  world.wait(10_000)
  t.same(world.verdicts.map(({ peer, reason }) => [peer, reason]),
    [['p2', 'mean time to first byte 1000 ms over 20 requests in 10 s, 10.0 × the median of 3 peers (100 ms)']])
})

t.test('without a time to first byte that until the end counts, and what is no time counts nothing', async t => {
  const world = worldOf([100, 100])
  world.put('p2')
  world.tell('p2', { status: 200, ms: 1000 }, 20)
  for (const ttfb of [NaN, Infinity, -1]) world.tell('p2', { status: 200, ms: 1000, ttfb }, 20)
  t.match(world.wait(10_000)[0]?.reason, 'mean time to first byte 1000 ms over 20 requests')
})

t.test('who is ejected, or takes no new requests, is neither compared nor compared with', async t => {
  const world = worldOf([100, 100, 1000, 900], { interval: 1e6, maxEjected: 1 })
  world.tell('p3', BAD, 5)
  drain(world.service, world.state('p1'), world.now, world.now + 1e7)
  world.wait(1e6)
  t.same(ejected(world), ['p3'], 'two are left, which are too few')
  const other = worldOf([100, 100, 100, 1000], { interval: 1000 })
  other.put('p3', { status: 'drain' })
  other.wait(1000)
  t.same(ejected(other), [])
})

t.test('the guards are those of every ejection, and say so once', async t => {
  const world = worldOf([10, 10, 10, 500, 900], { maxEjected: 0.2 })
  world.wait(10_000)
  t.same(world.verdicts.map(({ action, peer, cause }) => [action, peer, cause]), [['eject', 'p3', 'latency'], ['spare', 'p4', 'latency']])
  t.match(world.state('p4').spared?.reason, /^mean time to first byte 900 ms .*; kept because 1 of 5 peers are ejected already$/)
  for (let i = 0; i < 2; i++) {
    for (const id of ['p0', 'p1', 'p2']) answer(world, id, 10, 20)
    answer(world, 'p4', 900, 20)
    world.wait(10_000)
  }
  t.equal(world.verdicts.length, 2)
  for (const id of ['p0', 'p1', 'p2', 'p4']) answer(world, id, 10, 20)
  world.wait(9_000)
  world.wait(1000)
  t.equal(world.state('p4').spared, null, 'as quick as the others: no longer')
})

t.test('it comes back by one request, and being slow again it is out for longer', async t => {
  const world = worldOf([10, 10, 10, 500], { interval: 1000, baseEjection: 5000 })
  world.wait(1000)
  const lengths: number[] = []
  for (let round = 0; round < 3; round++) {
    const { since, until } = world.state('p3').ejected ?? { since: NaN, until: NaN }
    lengths.push(until - since)
    world.now = until
    world.wait(0)
    t.ok((tally(world.order(8)).get('p3') ?? 0) >= 1)
    t.equal(world.state('p3').ejected, null, 'an answer is an answer, also a slow one')
    for (const id of ['p0', 'p1', 'p2']) answer(world, id, 10, 20)
    answer(world, 'p3', 500, 20)
    world.wait(1000)
  }
  t.same(lengths, [5000, 10_000, 15_000])
})

t.test('a rate of failures comes first', async t => {
  const world = worldOf([10, 10, 10, 500], { consecutive5xx: 0 })
  world.tell('p3', BAD, 20)
  t.match(world.wait(10_000), [{ cause: 'failure_rate', reason: '20 of 40 requests failed in 10 s', since: T0 + 10_000 }])
})
