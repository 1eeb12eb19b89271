import fc from 'fast-check'
import t from 'tap'
import { readReport } from '../../lib/picker/load-report.js'
import type { LoadReport } from '../../lib/store/peer.js'
import { BALANCERS } from '../../lib/store/settings.js'
import { Crowd, steady } from '../fixtures/crowd.js'
import { make } from '../../lib/picker/balancers/make.js'
import { seeded, settings, T0, tally, World } from '../fixtures/pure.js'

const SEED = 20240611
const HOUR = 3_600_000

function read (text: string): LoadReport | null {
  return readReport(text, null, T0)
}

/** A world whose peers report; `say` tells that each of these answered with a report of its own, now. */
function worldOf (weights: Record<string, number>, fields: ConstructorParameters<typeof World>[0] = {}) {
  const world = new World({ loadReports: true, ...fields }, seeded(SEED))
  for (const [id, weight] of Object.entries(weights)) world.put(id, { weight })
  const say = (reports: Record<string, string>): void => {
    for (const [id, text] of Object.entries(reports)) {
      const others = new Set([...world.service.peers.values()].filter(({ peer }) => peer.id !== id))
      const pick = world.pick(others)
      pick?.report(text, world.now)
      pick?.done({ status: 200, ms: 1 }, world.now)
    }
  }
  /** The same reports every second for so long. */
  const keepSaying = (reports: Record<string, string>, seconds: number): void => {
    for (let i = 0; i < seconds; i++) {
      say(reports)
      world.wait(1000)
    }
  }
  const effective = (): number[] => [...world.picker.shares(world.service, world.now).values()].map(({ effective }) => effective)
  return { world, say, keepSaying, effective }
}

const report = (rps: number, cpu: number, eps = 0): string => `cpu_utilization=${cpu}, rps_fractional=${rps}, eps=${eps}`

t.test('the text form, with or without its name', async t => {
  for (const text of [
    'TEXT cpu_utilization=0.3, rps_fractional=120, eps=1.5, application_utilization=0.5, named_metrics.queue=0.2, mem_utilization=0.9',
    'cpu_utilization=0.3,rps_fractional=120,eps=1.5,application_utilization=0.5,named_metrics.queue=0.2',
    '  text   cpu_utilization = 0.3 ,  rps_fractional :120,eps= 1.5 , application_utilization=.5, named_metrics.queue=2e-1,, ',
    'cpu_utilization=0.3, rps_fractional=1.2E+2, eps=1.5, application_utilization=0.5, named_metrics.queue=0.2, utilization.disk=1'
  ]) {
    const { cpu, rps, eps, application, named, at, since } = read(text) ?? {}
    t.same({ cpu, rps, eps, application, at, since }, { cpu: 0.3, rps: 120, eps: 1.5, application: 0.5, at: T0, since: T0 }, text)
    t.same([...named ?? []], [['queue', 0.2]])
  }
})

t.test('what cannot be read says nothing', async t => {
  for (const text of ['', ' ', 'TEXT', 'TEXT ', 'garbage', '{"cpu_utilization":0.3}', 'JSON {"cpu_utilization":0.3}', 'cpu_utilization', 'cpu_utilization=', '=0.3', 'cpu_utilization=NaN',
    'cpu_utilization=-0.3', 'cpu_utilization=Infinity', 'cpu_utilization=1e400', 'cpu_utilization=0x10', 'cpu_utilization=1_000', 'cpu_utilization=0.3.4', 'cpu_utilization=1e', 'cpu_utilization=.',
    'cpu utilization=0.3', 'cpu_utilization="0.3"', `${'x'.repeat(5000)}=1`, ' '.repeat(100_000), Array.from({ length: 10_000 }, (_, i) => `named_metrics.m${i}=1`).join()]) {
    t.equal(read(text), null, text.slice(0, 60))
  }
})

t.test('one bad part does not spoil the others', async t => {
  const said = read('cpu_utilization=NaN, rps_fractional=1e400, eps=-1, application_utilization=0.25, cpu_utilization=0.5, garbage, __proto__=1, constructor=2, named_metrics.__proto__=0.75, named_metrics.=0.5')
  t.same([said?.cpu, said?.rps, said?.eps, said?.application], [0.5, null, null, 0.25])
  t.same([...said?.named ?? []], [['__proto__', 0.75], ['', 0.5]])
  t.equal(({} as Record<string, unknown>)['queue'], undefined)
  t.equal(read('cpu_utilization=0.1, cpu_utilization=0.2')?.cpu, 0.2, 'the last one of a name')
})

t.test('named metrics are bounded in number, whatever they are called', async t => {
  const said = read(Array.from({ length: 100 }, (_, i) => `named_metrics.m${i}=${i}`).join())
  t.equal(said?.named.size, 16)
})

t.test('the weight: requests a second by utilization, less for errors', async t => {
  const cases: Array<[text: string, weight: number]> = [
    ['cpu_utilization=0.5, rps_fractional=100', 200],
    ['cpu_utilization=0.5, application_utilization=0.25, rps_fractional=100', 400],
    ['cpu_utilization=0.5, application_utilization=0, rps_fractional=100', 200],
    ['cpu_utilization=0.5, rps_fractional=100, eps=50', 100],
    ['cpu_utilization=0.5, rps_fractional=100, eps=100', 100 / 1.5],
    ['named_metrics.a=0.2, named_metrics.b=0.8, rps_fractional=100', 125],
    ['cpu_utilization=0.5, named_metrics.b=0.8, rps_fractional=100', 200],
    ['cpu_utilization=2, rps_fractional=100', 50],
    ['cpu_utilization=0, rps_fractional=100', 0],
    ['cpu_utilization=0.5, rps_fractional=0', 0],
    ['cpu_utilization=0.5', 0],
    ['rps_fractional=100', 0],
    ['eps=5', 0],
    ['cpu_utilization=1e-300, rps_fractional=1e300', 0],
    ['cpu_utilization=1e300, rps_fractional=1e-300', 0]
  ]
  for (const [text, weight] of cases) t.equal(read(text)?.weight, weight, text)
})

t.test('after ten seconds of reports they count, the sum of the weights stays', async t => {
  const { keepSaying, effective, world } = worldOf({ a: 3, b: 1, c: 2 })
  const said = { a: report(100, 0.5), b: report(100, 0.25), c: report(100, 1) }
  keepSaying(said, 9)
  t.same(effective(), [3, 1, 2], 'the registry\'s before')
  keepSaying(said, 2)
  const [a = NaN, b = NaN, c = NaN] = effective()
  t.same([a, b, c].map(weight => Math.round(weight * 1e6) / 1e6), [6 * 200 / 700, 6 * 400 / 700, 6 * 100 / 700].map(weight => Math.round(weight * 1e6) / 1e6))
  const counts = tally(world.order(700))
  t.same(['a', 'b', 'c'].map(id => Math.round((counts.get(id) ?? 0) / 10)), [20, 40, 10])
})

t.test('three minutes after the last one they do not count; then ten seconds again', async t => {
  const { keepSaying, effective, world } = worldOf({ a: 1, b: 1, c: 1 })
  const said = { a: report(100, 0.5), b: report(100, 0.25), c: report(100, 1) }
  keepSaying(said, 12)
  const told = effective()
  t.not(told[0], 1)
  world.wait(179_000 - 1)
  t.same(effective(), told, 'almost three minutes')
  world.wait(1000)
  t.same(effective(), [1, 1, 1])
  keepSaying(said, 9)
  t.same(effective(), [1, 1, 1], 'from the beginning')
  keepSaying(said, 2)
  t.same(effective(), told)
})

t.test('fewer than two that report: the registry\'s weights', async t => {
  const one = worldOf({ a: 3, b: 1 })
  one.keepSaying({ a: report(100, 0.1) }, 15)
  t.same(one.effective(), [3, 1])
  const some = worldOf({ a: 1, b: 1, c: 5 })
  some.keepSaying({ a: report(100, 0.5), b: report(300, 0.5) }, 15)
  t.same(some.effective(), [0.5, 1.5, 5], 'who does not report keeps the registry\'s')
  const levels = worldOf({ a: 1, b: 1 })
  levels.world.put('x', { priority: 1 })
  levels.world.put('y', { priority: 1 })
  levels.keepSaying({ a: report(1000, 0.5), x: report(10, 0.5), y: report(30, 0.5) }, 15)
  t.same(levels.effective(), [1, 1, 0.5, 1.5], 'each priority for itself: in the first one only one reports')
  const out = worldOf({ a: 1, b: 1, c: 1 })
  out.keepSaying({ a: report(1000, 0.5), b: report(10, 0.5) }, 15)
  out.world.put('b', { status: 'down' })
  t.same(out.effective(), [1, 0, 1], 'who is out is none of the two')
})

t.test('a report without a weight leaves the last one in its place, until that is too old', async t => {
  const { keepSaying, say, effective, world } = worldOf({ a: 1, b: 1 })
  keepSaying({ a: report(100, 0.5), b: report(300, 0.5) }, 12)
  say({ a: report(100, 0), b: report(0, 0.5) })
  world.wait(1000)
  t.same(effective(), [0.5, 1.5])
  for (let i = 0; i < 180; i++) {
    say({ a: report(100, 0), b: report(0, 0.5) })
    world.wait(1000)
  }
  t.same(effective(), [1, 1])
})

t.test('whatever peers say of themselves, weights are numbers', async t => {
  for (const [a, b] of [['1e308', '1e308'], ['1e308', '1'], ['1e305', '1e-300'], ['1e-320', '1e-320'], ['1e-320', '1e300']] as const) {
    const { keepSaying, effective, world } = worldOf({ a: 1e6, b: 1e6, c: 1 })
    keepSaying({ a: `cpu_utilization=1, rps_fractional=${a}`, b: `cpu_utilization=1, rps_fractional=${b}` }, 12)
    const weights = effective()
    for (const weight of weights) t.ok(weight > 0 && Number.isFinite(weight), `${a}, ${b}: ${weights}`)
    t.ok(Math.abs((weights[0] ?? NaN) + (weights[1] ?? NaN) - 2e6) < 1, `${a}, ${b}: the sum is ${weights[0]} + ${weights[1]}`)
    for (const balancer of BALANCERS) {
      world.service.configure(settings({ balancer, loadReports: true }), true)
      t.not(world.send(), '-', balancer)
    }
  }
})

t.test('weights change at most once a second, however often peers report', async t => {
  const { say, world } = worldOf({ a: 1, b: 1 })
  say({ a: report(100, 0.5), b: report(300, 0.5) })
  world.picker.plan(world.service, world.now)
  let [changes, built] = [0, world.picker.plan(world.service, world.now).builtAt]
  for (let i = 0; i < 200; i++) {
    say({ a: report(100 + i, 0.5), b: report(300, 0.5 + i / 100) })
    world.wait(100)
    const { builtAt } = world.picker.plan(world.service, world.now)
    if (builtAt !== built) changes++
    built = builtAt
  }
  t.equal(changes, 20, 'in 20 s')
})

t.test('not asked for: nobody is weighed by it', async t => {
  const { keepSaying, effective, world } = worldOf({ a: 1, b: 1 }, { loadReports: false })
  keepSaying({ a: report(100, 0.5), b: report(300, 0.5) }, 15)
  t.same(effective(), [1, 1])
  world.service.configure(settings({ loadReports: true }), true)
  t.same(effective(), [0.5, 1.5], 'settings are live')
  world.service.configure(settings(), true)
  t.same(effective(), [1, 1])
})

t.test('a ramp and a cutdown are of the reported weight', async t => {
  const { keepSaying, effective, world } = worldOf({ a: 1, b: 1 })
  keepSaying({ a: report(100, 0.5), b: report(300, 0.5) }, 12)
  world.state('b').cutdown = { share: 0.5, since: world.now, until: world.now + 1e6 }
  world.service.touch()
  t.same(effective(), [0.5, 0.75])
})

t.test('clocks that jump', async t => {
  const said = { a: report(100, 0.5), b: report(300, 0.5) }
  const { keepSaying, effective, world } = worldOf({ a: 1, b: 1 })
  keepSaying(said, 12)
  world.now -= HOUR
  keepSaying(said, 12)
  t.same(effective(), [0.5, 1.5], 'an hour back: they count again after their ten seconds, not after the hour')
  world.now += HOUR
  world.wait(1000)
  t.same(effective(), [1, 1], 'an hour forward: they are too old')
  keepSaying(said, 12)
  t.same(effective(), [0.5, 1.5])
})

t.test('any text at all: nothing is thrown, nothing is no number', async t => {
  const part = fc.tuple(fc.constantFrom('cpu_utilization', 'rps_fractional', 'eps', 'application_utilization', 'named_metrics.x', '__proto__', ''),
    fc.oneof(fc.double().map(String), fc.string(), fc.constantFrom('1e308', '1e-320', '0', '-0')))
  const text = fc.oneof(fc.string(), fc.array(part).map(parts => parts.map(pair => pair.join('=')).join()))
  fc.assert(fc.property(fc.array(text, { maxLength: 8 }), texts => {
    let before: LoadReport | null = null
    for (const [i, text] of texts.entries()) {
      const said = readReport(text, before, T0 + i * 100_000)
      if (said !== null && !(said.weight >= 0 && said.weight < Infinity)) throw new Error(`${said.weight}`)
      before = said ?? before
    }
  }), { seed: SEED, numRuns: 500 })
  t.pass()
})

t.test('every balancer goes by the reported weights, but for hash, where keys would move with every report', async t => {
  for (const balancer of BALANCERS) {
    const { keepSaying, world } = worldOf({ a: 1, b: 1, c: 1 }, { balancer })
    keepSaying({ a: report(100, 0.5), b: report(300, 0.5), c: report(200, 0.5) }, 12)
    const shares = [...world.picker.shares(world.service, world.now).values()].map(({ effective }) => effective)
    const random = seeded(SEED)
    const crowd = new Crowd(make(balancer, random), shares)
    // Without keys it goes by weight, as far as its bound allows.
    const parts = balancer === 'hash' ? [2000, 2000, 2000] : [1000, 3000, 2000]
    const got = steady(crowd, 60, 6000, random)
    t.ok(got.every((n, i) => Math.abs(n - (parts[i] ?? NaN)) < 300), `${balancer}: ${got}`)
  }
})
