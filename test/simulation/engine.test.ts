import t from 'tap'
import { seeded, T0 } from '../fixtures/pure.js'
import { Agenda } from '../fixtures/simulation/agenda.js'
import { Latencies } from '../fixtures/simulation/latencies.js'
import { Machine } from '../fixtures/simulation/machine.js'
import { Simulation } from '../fixtures/simulation/simulation.js'

t.test('things happen by time, at the same moment in the order in which they were put down', async t => {
  const random = seeded(5)
  const agenda = new Agenda(0)
  const planned: Array<{ at: number, n: number }> = []
  const happened: Array<{ at: number, n: number }> = []
  const plan = (at: number, n: number): void => {
    planned.push({ at, n })
    agenda.add(at, now => {
      happened.push({ at: now, n })
      // Half of them have a consequence, some at the very moment.
      if (n < 2000 && random() < 0.5) plan(now + Math.floor(random() * 3), n + 10_000)
    })
  }
  for (let n = 0; n < 2000; n++) plan(Math.floor(random() * 500), n)
  agenda.run(250)
  t.ok(happened.length > 800 && happened.every(({ at }) => at <= 250), `${happened.length} until 250`)
  t.equal(agenda.now, 250)
  agenda.run(1000)
  t.same(happened, planned.map((event, order) => ({ ...event, order }))
    .sort((a, b) => a.at - b.at || a.order - b.order).map(({ at, n }) => ({ at, n })))
})

t.test('a machine with four servers has the waiting times of M/M/4', async t => {
  const [servers, work, rate] = [4, 10, 320]
  const sim = new Simulation({ servers, work, rate })
  sim.join('p0')
  sim.run(2000)
  const { mean } = sim.latencies
  // Erlang C: how likely it is to wait, and how long then.
  const load = rate * work / 1000
  const terms = Array.from({ length: servers + 1 }, (_, k) => load ** k / factorial(k))
  const all = (terms[servers] as number) * servers / (servers - load)
  const waits = all / (terms.slice(0, servers).reduce((a, b) => a + b, 0) + all)
  const expected = work + waits * work / (servers - load)
  t.comment(`mean ${mean.toFixed(2)} ms, by Erlang C ${expected.toFixed(2)} ms, over ${sim.requests} requests`)
  t.ok(Math.abs(mean / expected - 1) < 0.02, `${mean} ms for ${expected}`)
  t.ok(Math.abs(sim.requests / (rate * 2000) - 1) < 0.005, `${sim.requests} requests`)
})

t.test('what is wrong with a machine', async t => {
  const machine = new Machine(1, seeded(1))
  t.same(machine.take(T0, 10, 1000), { status: 200, ms: 10 })
  t.same(machine.take(T0, 10, 1000), { status: 200, ms: 20 }, 'behind the first')
  t.same(machine.take(T0, 10, 25), { error: 'timeout', ms: 25 }, 'over only at 30')
  t.same(machine.take(T0, 10, 15), { error: 'timeout', ms: 15 }, 'not begun before 30')
  t.same(machine.take(T0 + 30, 10, 1000), { status: 200, ms: 10 })
  machine.slowness = 10
  t.same(machine.take(T0 + 100, 10, 1000), { status: 200, ms: 100 })
  machine.fault = { kind: 503, share: 1 }
  t.same(machine.take(T0 + 300, 10, 1000), { status: 503, ms: 1 })
  machine.fault = { kind: 'refuses', share: 1 }
  t.same(machine.take(T0 + 300, 10, 1000), { error: 'connect', ms: 1 })
  machine.fault = { kind: 'hangs', share: 1 }
  t.same(machine.check(T0 + 300, 1, 700), { error: 'timeout', ms: 700 })
  t.equal(machine.received, 8)
  t.equal(machine.checked, 1)
  machine.fault = { kind: 503, share: 0.3 }
  machine.slowness = 0
  const bad = Array.from({ length: 2000 }, () => machine.take(T0 + 2000, 1, 1000)).filter(outcome => 'status' in outcome && outcome.status === 503)
  t.ok(Math.abs(bad.length - 600) < 80, `${bad.length} of 2000 for 0.3`)
})

t.test('quantiles are those of the durations', async t => {
  const latencies = new Latencies()
  t.throws(() => latencies.quantile(0.5), /nothing was measured/)
  for (let ms = 3000; ms > 0; ms--) latencies.add(ms)
  t.same([0, 0.5, 0.99, 1].map(q => latencies.quantile(q)), [1, 1500, 2970, 3000])
  latencies.clear()
  latencies.add(7)
  t.equal(latencies.quantile(0.99), 7)
})

t.test('the same seed, the same run; another one, another', async t => {
  const run = (seed: number): unknown[] => {
    const sim = new Simulation({ seed, rate: 200, gateways: 2 })
    for (let i = 0; i < 5; i++) sim.join(`p${i}`, { weight: 1 + i, slowStart: 1000 })
    sim.machine('p1').fault = { kind: 503, share: 0.7 }
    sim.run(100)
    return [sim.requests, sim.statuses, sim.latencies.quantile(0.99), [...sim.machines.values()].map(({ received }) => received),
      sim.gateways.map(({ verdicts }) => verdicts)]
  }
  t.same(run(3), run(3))
  t.notSame(run(3), run(4))
})

function factorial (n: number): number {
  return n <= 1 ? 1 : n * factorial(n - 1)
}
