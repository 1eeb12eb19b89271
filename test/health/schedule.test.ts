import t from 'tap'
import type { CheckTask } from '../../lib/health/checks.js'
import type { CheckSettings } from '../../lib/store/settings.js'
import { checks, seeded, settings, T0, tally, World } from '../fixtures/pure.js'

function worldOf (peers: number, fields: Partial<CheckSettings> = {}, random?: () => number): World {
  const world = new World({ check: checks({ path: '/health', ...fields }) }, random)
  for (let i = 0; i < peers; i++) world.put(`p${i}`)
  return world
}

/**
 * Runs for `ms` in ticks of 10 ms, each check taking `takes` ms. Every start, in order; `each` is called
 * at the end of each tick.
 */
function run (world: World, ms: number, takes: number, each?: (running: number) => void): Array<{ id: string, at: number }> {
  const starts: Array<{ id: string, at: number }> = []
  let running: Array<{ task: CheckTask, until: number }> = []
  for (const end = world.now + ms; world.now < end; world.now += 10) {
    for (const { task, until } of running) if (until <= world.now) world.conclude(task, true)
    running = running.filter(({ until }) => until > world.now)
    for (const task of world.due()) {
      starts.push({ id: task.peer.id, at: world.now })
      running.push({ task, until: world.now + takes })
    }
    each?.(running.length)
  }
  return starts
}

function gaps (starts: ReadonlyArray<{ id: string, at: number }>, id: string): number[] {
  const own = starts.filter(start => start.id === id).map(({ at }) => at)
  return own.slice(1).map((at, i) => at - (own[i] as number))
}

t.test('the first check is due at once, and says what to ask', async t => {
  const world = worldOf(1)
  t.match(world.due(), [{ service: world.service, state: world.state('p0'), peer: { id: 'p0' }, path: '/health', settings: { timeout: 1000 } }])
})

t.test('then every interval ± jitter; the first one is a random part of an interval', async t => {
  const world = worldOf(20, { interval: 1000, jitter: 0.2 }, seeded(20240611))
  const starts = run(world, 60_000, 10)
  const firsts: number[] = []
  const others: number[] = []
  for (let i = 0; i < 20; i++) {
    const [first, ...rest] = gaps(starts, `p${i}`)
    firsts.push(first as number)
    others.push(...rest)
  }
  t.ok(firsts.every(ms => ms <= 1010) && Math.max(...firsts) - Math.min(...firsts) > 500, 'which spreads them')
  t.ok(others.every(ms => ms >= 800 && ms <= 1220), `${Math.min(...others)} … ${Math.max(...others)}`)
  t.ok(Math.min(...others) < 850 && Math.max(...others) > 1150, 'all over the range')
  const mean = others.reduce((a, b) => a + b, 0) / others.length
  t.ok(Math.abs(mean - 1005) < 20, `on average an interval, ${mean}`)
})

t.test('spread: of a hundred peers never many in one moment', async t => {
  const world = worldOf(100, { interval: 5000, jitter: 0.2 }, seeded(7))
  run(world, 5000, 10)
  const each = tally(run(world, 20_000, 10).map(({ at }) => Math.floor(at / 100)))
  t.ok(Math.max(...each.values()) <= 12, `2 are the mean, ${Math.max(...each.values())} the most in 100 ms`)
})

t.test('never two checks of one peer at a time, however long one takes', async t => {
  const world = worldOf(1, { interval: 100, jitter: 0 })
  t.equal(world.due().length, 1)
  world.now += 3_600_000
  t.same(world.due(), [])
  const slow = worldOf(3, { interval: 100, jitter: 0 })
  const starts = run(slow, 10_000, 990)
  for (const id of ['p0', 'p1', 'p2']) t.ok(gaps(starts, id).every(ms => ms >= 990))
})

t.test('at most concurrency at once, and all the time when there is enough to do', async t => {
  const world = worldOf(50, { interval: 100, concurrency: 7 })
  const seen = new Set<number>()
  run(world, 5000, 200, n => seen.add(n))
  t.equal(Math.max(...seen), 7)
  t.equal(Math.min(...seen), 7)
})

t.test('when checks are slow and many, every peer still gets its turn, newcomers first', async t => {
  const world = worldOf(200, { interval: 1000, concurrency: 4 }, seeded(1))
  const joins = T0 + 50_000
  const starts = run(world, 100_000, 500, () => { if (world.now === joins) world.put('new', {}, false) })
  const counts = tally(starts.map(({ id }) => id).filter(id => id !== 'new'))
  t.equal(counts.size, 200)
  t.ok(Math.max(...counts.values()) - Math.min(...counts.values()) <= 2, 'as often as the others')
  const first = starts.find(({ id }) => id === 'new')
  t.ok(first !== undefined && first.at - joins <= 520, 'as soon as there is room')
})

t.test('it says when checks are waiting and there is room for a batch of them', async t => {
  const world = worldOf(6, { concurrency: 4 })
  const tasks = world.due()
  t.notOk(world.health.isBehind(world.service, world.now), 'no room')
  for (const task of tasks.splice(0, 2)) world.conclude(task, true)
  t.ok(world.health.isBehind(world.service, world.now), 'half of them are done, and two more wait')
  t.equal(world.due().length, 2)
  for (const task of tasks.splice(0)) world.conclude(task, true)
  t.notOk(world.health.isBehind(world.service, world.now), 'nobody waits')
  world.service.configure({ ...world.service.settings, check: false }, true)
  t.notOk(world.health.isBehind(world.service, world.now))
})

t.test('another interval counts at once', async t => {
  const world = worldOf(1, { interval: 3_600_000, jitter: 0 })
  run(world, 1000, 10)
  world.service.configure({ ...world.service.settings, check: checks({ path: '/health', interval: 100, jitter: 0 }) }, true)
  t.equal(run(world, 1000, 10).length, 10)
})

t.test('checks turned off are not due; turned on again they are at once', async t => {
  const world = worldOf(2)
  const { settings } = world.service
  for (const task of world.due()) world.conclude(task, true)
  world.service.configure({ ...settings, check: false }, true)
  world.now = T0 + 60_000
  t.same(world.due(), [])
  world.service.configure(settings, true)
  t.equal(world.due().length, 2)
  world.service.configure({ ...settings, check: checks({ path: '/health', concurrency: 1 }) }, true)
  t.same(world.due(), [], 'nor when fewer may run than are under way')
})

t.test('who is hurried is due at once, before all others, and only once', async t => {
  const world = worldOf(3, { interval: 1000, jitter: 0, concurrency: 1 })
  run(world, 2000, 0)
  t.same(world.due(), [], 'nobody is due')
  t.equal(world.health.hurry(world.service, world.state('p1')), true)
  const [task, ...others] = world.due()
  t.same([task?.peer.id, others], ['p1', []])
  t.equal(world.health.hurry(world.service, world.state('p1')), true, 'the one under way will do')
  t.equal(world.health.hurry(world.service, world.state('p2')), true)
  t.same(world.due(), [], 'there is no room')
  if (task === undefined) throw new Error('no task')
  world.conclude(task, true)
  t.same(world.due().map(({ peer }) => peer.id), ['p2'])
})

t.test('who has nothing to check cannot be hurried; other settings count at once', async t => {
  const world = new World({ check: checks() })
  world.put('p')
  t.equal(world.health.hurry(world.service, world.state('p')), false)
  world.service.configure(settings({ check: checks({ path: '/up' }) }), true)
  t.equal(world.health.hurry(world.service, world.state('p')), true)
  t.match(world.due(), [{ path: '/up' }])
  world.service.configure(settings({ check: false }), true)
  t.equal(world.health.hurry(world.service, world.state('p')), false)
})
