import fc from 'fast-check'
import t from 'tap'
import { budgetOf, RetryBudget } from '../../lib/picker/budget.js'
import { T0, World } from '../fixtures/pure.js'

const RATIO = { ratio: 0.2, perSecond: 0 }

function requests (budget: RetryBudget, n: number, now: number): void {
  for (let i = 0; i < n; i++) budget.request(now)
}

/** How many retries are granted in a row; at most 1000. */
function taken (budget: RetryBudget, settings: Parameters<RetryBudget['take']>[0], now: number): number {
  for (let i = 0; i < 1000; i++) if (!budget.take(settings, now)) return i
  return 1000
}

t.test('how many retries there are', async t => {
  const rows: Array<[ratio: number, perSecond: number, requests: number, retries: number]> = [
    [0.2, 10, 0, 100], [0.2, 10, 100, 120], [0.2, 0, 0, 0], [0.2, 0, 4, 0], [0.2, 0, 5, 1], [0.2, 0, 99, 19], [0.2, 0, 100, 20],
    [0, 10, 1000, 100], [0, 0, 1000, 0], [0, 0.1, 7, 1], [0, 0.09, 7, 0], [0.29, 0, 100, 29], [0.1, 0, 30, 3], [1, 0, 7, 7], [10, 0, 3, 30]
  ]
  for (const [ratio, perSecond, n, retries] of rows) {
    const budget = new RetryBudget()
    requests(budget, n, T0)
    t.equal(taken(budget, { ratio, perSecond }, T0), retries, `${ratio} × ${n} + ${perSecond} × 10`)
  }
})

t.test('requests count while they are surely within the last 10 s, retries while they may be', async t => {
  const rows: Array<[at: number, later: number, forRequests: boolean, forRetries: boolean]> = [
    [0, 9999, true, true], [0, 10_000, false, true], [999, 10_000, false, true], [0, 10_999, false, true], [0, 11_000, false, false],
    [500, 11_000, false, false], [0, 3_600_000, false, false], [0, 11_000 * 11, false, false]
  ]
  for (const [at, later, forRequests, forRetries] of rows) {
    const budget = new RetryBudget()
    requests(budget, 5, T0 + at)
    t.equal(taken(budget, RATIO, T0 + later), Number(forRequests), `a request at ${at}, seen at ${later}`)

    const reserve = { ratio: 0, perSecond: 0.1 }
    const spent = new RetryBudget()
    t.equal(taken(spent, reserve, T0 + at), 1)
    t.equal(taken(spent, reserve, T0 + later), Number(!forRetries), `a retry at ${at}, seen at ${later}`)
  }
})

t.test('the reserve comes back as it was used', async t => {
  const budget = new RetryBudget()
  const settings = { ratio: 0, perSecond: 1 }
  const got = [0, 1, 2, 5, 10, 11, 12, 13, 22, 23].map(second => {
    const most = second === 0 ? 3 : second === 1 ? 4 : 1000
    let n = 0
    while (n < most && budget.take(settings, T0 + second * 1000)) n++
    return n
  })
  t.same(got, [3, 4, 3, 0, 0, 3, 4, 3, 3, 4])
})

t.test('a refund lets another one through, the oldest first', async t => {
  const settings = { ratio: 0, perSecond: 0.2 }
  const budget = new RetryBudget()
  budget.refund(T0)
  t.equal(taken(budget, settings, T0), 2, 'with nothing to give back it gives nothing')
  budget.refund(T0 + 500)
  t.equal(taken(budget, settings, T0 + 5000), 1)
  t.equal(taken(budget, settings, T0 + 5000), 0)
  budget.refund(T0 + 6000)
  t.equal(taken(budget, settings, T0 + 6000), 1)
  t.equal(taken(budget, settings, T0 + 11_000), 0, 'those of the 6th and 7th second are left')
  t.equal(taken(budget, settings, T0 + 16_000), 1)
})

t.test('clocks that jump', async t => {
  const settings = { ratio: 0.2, perSecond: 0.1 }
  for (const back of [1, 999, 5000, 10_000, 60_000, 3_600_000, T0]) {
    const budget = new RetryBudget()
    requests(budget, 5, T0)
    t.equal(taken(budget, settings, T0), 2)
    t.equal(taken(budget, settings, T0 - back), 0, `${back} ms back: what was counted still counts`)
    requests(budget, 5, T0 - back)
    t.equal(taken(budget, settings, T0 - back), 1)
    t.equal(taken(budget, settings, T0 - back + 21_000), 1, 'not for ever')
  }
  const trembling = new RetryBudget()
  t.equal(taken(trembling, settings, T0), 1)
  for (let i = 0; i < 100; i++) t.equal(taken(trembling, settings, T0 + (i % 2) * 1000), 0)
  t.equal(taken(trembling, settings, T0 + 12_000), 1)
})

t.test('at every retry, those of its last 10 s are within the share of the requests of the same 10 s and the reserve', async t => {
  const step = fc.record({
    wait: fc.oneof({ arbitrary: fc.constantFrom(0, 1, 999, 1000, 1001, 9000, 9999, 10_000, 10_001, 11_000), weight: 2 }, { arbitrary: fc.nat(1500), weight: 3 }),
    requests: fc.nat(30),
    retries: fc.nat(20),
    refunds: fc.nat(3)
  })
  const settings = fc.record({ ratio: fc.constantFrom(0, 0.1, 0.2, 0.5, 1, 2), perSecond: fc.constantFrom(0, 0.1, 0.5, 1, 3) })
  let granted = 0
  let refused = 0
  fc.assert(fc.property(settings, fc.nat(999), fc.array(step, { minLength: 5, maxLength: 80 }), (settings, offset, steps) => {
    const budget = new RetryBudget()
    const came: number[] = []
    let made: number[] = []
    let now = T0 + offset
    for (const { wait, requests: n, retries, refunds } of steps) {
      now += wait
      for (let i = 0; i < n; i++) {
        budget.request(now)
        came.push(now)
      }
      let fresh = 0
      for (let i = 0; i < retries; i++) {
        if (!budget.take(settings, now)) {
          refused++
          continue
        }
        granted++
        fresh++
        made.push(now)
        const inView = (times: number[]): number => times.filter(time => time > now - 10_000).length
        if (inView(made) > settings.ratio * inView(came) + settings.perSecond * 10 + 1e-6) return false
      }
      for (let i = 0; i < Math.min(refunds, fresh); i++) {
        budget.refund(now)
        made = made.slice(0, -1)
      }
    }
    return true
  }), { seed: 20240611, numRuns: 500 })
  t.ok(granted > 1000 && refused > 1000, `${granted} granted, ${refused} refused`)
})

t.test('nothing is refused that would fit by whole seconds', async t => {
  // The other side of the bound: 11 whole seconds of retries against the 10 youngest of requests, and no less.
  const slots = fc.array(fc.record({ wait: fc.nat(3), requests: fc.nat(10), retries: fc.nat(5) }), { minLength: 5, maxLength: 60 })
  t.doesNotThrow(() => fc.assert(fc.property(slots, steps => {
    const budget = new RetryBudget()
    const settings = { ratio: 0.5, perSecond: 0.2 }
    const came: number[] = []
    const made: number[] = []
    let second = 0
    for (const { wait, requests: n, retries } of steps) {
      second += wait
      requests(budget, n, T0 + second * 1000)
      for (let i = 0; i < n; i++) came.push(second)
      for (let i = 0; i < retries; i++) {
        const fits = made.filter(at => at >= second - 10).length + 1 <= 0.5 * came.filter(at => at >= second - 9).length + 2
        if (budget.take(settings, T0 + second * 1000 + 7) !== fits) return false
        if (fits) made.push(second)
      }
    }
    return true
  }), { seed: 20240612, numRuns: 500 }))
})

t.test('a service has one budget of its own', async t => {
  const [one, other] = [new World().service, new World().service]
  const budget = budgetOf(one)
  t.equal(budgetOf(one), budget)
  t.not(budgetOf(other), budget)
})
