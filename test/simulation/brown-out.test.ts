import t, { type Test } from 'tap'
import { serviceDefaults } from '../../lib/options.js'
import { conditionOf } from '../../lib/store/condition.js'
import { BALANCERS, type BalancerName } from '../../lib/store/settings.js'
import { checks } from '../fixtures/pure.js'

import type { Fault } from '../fixtures/simulation/machine.js'
import { Simulation } from '../fixtures/simulation/simulation.js'
import { storyOf, watchPanic, type Story } from '../fixtures/simulation/watch.js'

const PEERS = 100
/** When the peers begin and cease to fail, and how long we look after that, seconds. */
const [FROM, TO, AFTER] = [30, 210, 190]
/** Ejections last 30 s × their number ± 20 %, so those of one peer in three minutes begin at 0, 24, 72 and 144 s at the earliest. */
const EJECTIONS = 4
/** The last of them is no longer than 4 × 30 s + 20 %, and then it is one request's turn. */
const BACK = 4 * 30 * 1.2 + 1
/** With checks two in a row must pass, each within 5 s + 20 %. */
const BACK_BY_CHECKS = 2 * 5 * 1.2 + 1

interface Case {
  readonly bad?: number
  readonly fault: Fault
  readonly isChecked?: boolean
  readonly balancer?: BalancerName
  readonly to?: number
  readonly after?: number
  /** Requests a second. */
  readonly rate?: number
}

interface Course {
  readonly sim: Simulation
  readonly story: Story
  /** How often panic began or ended. */
  readonly panics: number
  /** Ids of those that were ejected or down, sorted. */
  readonly out: string[]
  /** Part of the requests during the brown-out that failed. */
  readonly failed: number
}

/** Of a hundred peers, `bad` have a fault for three minutes, or until `to`. */
function brownOut ({ bad = 40, fault, isChecked = false, balancer = 'round-robin', to = TO, after = AFTER, rate = 1000 }: Case): Course {
  const timeouts = { ...serviceDefaults.timeouts, headers: 1000 }
  const sim = new Simulation({ rate, settings: { balancer, timeouts, check: isChecked ? checks({ path: '/health' }) : false } })
  for (let i = 0; i < PEERS; i++) sim.join(name(i), { slowStart: 10_000 })
  const machines = Array.from({ length: bad }, (_, i) => sim.machine(name(i)))
  sim.at(FROM, () => { for (const machine of machines) machine.fault = fault })
  sim.at(to, () => { for (const machine of machines) machine.fault = null })
  const panics = watchPanic(sim)
  sim.run(to + after)
  const story = storyOf(sim.gateway)
  const out = [...story.perPeer].filter(([, counts]) => counts.has('eject') || counts.has('down')).map(([id]) => id).sort()
  return { sim, story, panics: panics.changes, out, failed: sim.failed / (rate * (to - FROM)) }
}

function name (i: number): string {
  return `p${String(i).padStart(2, '0')}`
}

/** The most that any peer had of `actions`. */
function mostPerPeer (story: Story, ...actions: string[]): number {
  return Math.max(...[...story.perPeer.values()].map(counts => actions.reduce((sum, action) => sum + (counts.get(action) ?? 0), 0)))
}

function allAreBack (sim: Simulation): boolean {
  return [...sim.gateway.service.peers.values()].every(state => conditionOf(state).state === 'healthy')
}

/** What holds for all brown-outs of 40 % in which nothing passes; `most` is the bound of what clients see. */
function judge (t: Test, what: string, { sim, story, panics, out, failed }: Course, ejections: number, within: number, most: number): void {
  const back = story.lastVerdict - TO
  t.same(out, Array.from({ length: 40 }, (_, i) => name(i)), `${what}: out are those that fail, and nobody else`)
  t.equal(story.mostEjected, 40, `${what}: all of them at once, which is fewer than half`)
  t.ok(mostPerPeer(story, 'eject') <= ejections, `${what}: no peer is ejected more than ${mostPerPeer(story, 'eject')} times`)
  t.ok(back > 0 && back <= within, `${what}: the last is back after ${back.toFixed(1)} s`)
  t.ok(allAreBack(sim), `${what}: all are healthy`)
  t.equal(panics, 0, `${what}: no panic`)
  t.ok(failed > 0 && failed <= most, `${what}: ${(100 * failed).toFixed(3)} % of the requests during that time fail`)
}

const KINDS: Array<[kind: Fault['kind'], most: number]> = [
  // Until five in a row have failed at each of 40 peers there are two more attempts.
  [503, 0.001],
  ['refuses', 0.001],
  // A time-out is not repeated: those of the first second, and one for each probe.
  ['hangs', 0.006]
]

t.test('a brown-out of 40 % of the peers, of each kind, with and without checks', async t => {
  for (const [kind, most] of KINDS) {
    const fault = { kind, share: 1 }
    judge(t, `${kind}`, brownOut({ fault }), EJECTIONS, BACK, most)
    judge(t, `${kind}, checked`, brownOut({ fault, isChecked: true }), 1, BACK_BY_CHECKS, most)
  }
})

t.test('a brown-out of 40 % of the peers, by each balancer', async t => {
  for (const balancer of BALANCERS) {
    if (balancer === 'round-robin') continue
    judge(t, balancer, brownOut({ fault: { kind: 503, share: 1 }, balancer, rate: 500 }), EJECTIONS, BACK, 0.002)
  }
})

t.test('an hour in which 40 % of the peers fail three times out of five: they are left alone for longer and longer', async t => {
  for (const isChecked of [false, true]) {
    const { sim, story, out, panics, failed } = brownOut({ fault: { kind: 503, share: 0.6 }, isChecked, to: FROM + 3600, after: 400, rate: 300 })
    const what = isChecked ? 'checked' : 'not checked'
    // 30, 60 … 300 s and then 300 s each come to 17 in an hour. Chance shortens some, and forgives some that looked well.
    const ejections = mostPerPeer(story, 'eject')
    t.ok(ejections > 5 && ejections <= 27, `${what}: at most ${ejections} ejections of a peer`)
    const verdicts = mostPerPeer(story, 'eject', 'probe', 'restore', 'spare')
    t.ok(verdicts <= 3 * 27, `${what}: at most ${verdicts} verdicts on what became of its requests`)
    t.ok(story.mostEjected <= 50, `${what}: at most ${story.mostEjected} at once`)
    t.same(out, Array.from({ length: 40 }, (_, i) => name(i)), `${what}: nobody else`)
    t.equal(panics, 0, `${what}: no panic`)
    t.ok(failed < 0.001, `${what}: ${(100 * failed).toFixed(4)} % of the requests fail`)
    t.ok(allAreBack(sim), `${what}: all are healthy`)
  }
})

t.test('60 % of the peers fail: half is ejected, no more; with checks panic begins once and ends once', async t => {
  const fault = { kind: 503, share: 1 }
  const half = brownOut({ bad: 60, fault })
  t.equal(half.story.mostEjected, 50, 'ejected at once')
  t.equal(half.panics, 0, 'half of them healthy is no panic')
  // Ten bad ones among fifty: a fifth of all attempts fails, and the budget of retries pays for most of them.
  t.ok(half.failed > 0 && half.failed < 0.06, `${(100 * half.failed).toFixed(2)} % of the requests fail`)
  const checked = brownOut({ bad: 60, fault, isChecked: true })
  t.equal(checked.panics, 2, 'once in, once out')
  t.ok(allAreBack(half.sim) && allAreBack(checked.sim))
})
