import t from 'tap'
import type { CheckTask } from '../../lib/health/checks.js'
import { conditionOf, inRotation, isEligible, serviceCondition } from '../../lib/store/condition.js'
import { drain } from '../../lib/store/overrides.js'
import { checks, outlier, seeded, T0, World } from '../fixtures/pure.js'

const TICK = 100
const HOUR = 3_600_000
/** Of outlier detection: what a peer did in the running one it may still be ejected for. */
const INTERVAL = 10_000

type Mood = 'fine' | 'flaky' | 'broken' | 'dead' | 'missing'

/** Peers that fail and recover by chance, some checked and some not, for an hour; `watch` is called at each tick. */
class Hour {
  readonly world: World
  readonly random: () => number
  readonly moods = new Map<string, Mood>()
  /** Since when it has answered 404 and nothing else. */
  readonly missingSince = new Map<string, number>()
  served = 0
  unserved = 0
  #checks: Array<{ task: CheckTask, until: number }> = []

  constructor (seed: number, peers: number) {
    this.random = seeded(seed)
    this.world = new World({ outlier: outlier(), check: checks() }, this.random)
    for (let i = 0; i < peers; i++) this.#join(`p${i}`, true)
  }

  run (watch: () => void): void {
    const { world, random } = this
    for (const end = T0 + HOUR; world.now < end;) {
      if (random() < 0.01) this.#upset()
      for (let n = Math.floor(random() * 4); n > 0; n--) this.#request()
      this.#answerChecks()
      world.wait(TICK)
      watch()
    }
  }

  #join (id: string, boot: boolean): void {
    this.moods.set(id, 'fine')
    const isChecked = this.random() < 0.5
    this.world.put(id, { weight: 1 + Math.floor(this.random() * 3), slowStart: 20_000, checkUrl: isChecked ? '/health' : null }, boot)
  }

  #upset (): void {
    const { world, random } = this
    const ids = [...this.moods.keys()]
    const id = ids[Math.floor(random() * ids.length)] as string
    const dice = random()
    this.missingSince.delete(id)
    if (dice < 0.55) this.moods.set(id, 'fine')
    else if (dice < 0.88) this.moods.set(id, (['flaky', 'broken', 'dead', 'missing'] as const)[Math.floor(random() * 4)] as Mood)
    else if (dice < 0.92) drain(world.service, world.state(id), world.now, world.now + 20_000)
    else if (dice < 0.96) this.#join(`n${world.now - T0}`, false)
    else if (ids.length > 3) {
      world.remove(id)
      this.moods.delete(id)
    }
    if (this.moods.get(id) === 'missing') this.missingSince.set(id, world.now)
  }

  #request (): void {
    const { random } = this
    const got = this.world.send(id => {
      const mood = this.moods.get(id)
      if (random() < 0.02) return { error: 'aborted', ms: 3 }
      if (mood === 'dead') return { error: 'connect', ms: 1 }
      if (mood === 'missing') return { status: 404, ms: 2 }
      return { status: mood === 'broken' || (mood === 'flaky' && random() < 0.6) ? 503 : 200, ms: 5 }
    })
    if (got === '-') this.unserved++
    else this.served++
  }

  #answerChecks (): void {
    const { world } = this
    for (const { task, until } of this.#checks) {
      const mood = this.moods.get(task.peer.id)
      if (until <= world.now) world.conclude(task, mood !== 'dead' && mood !== 'broken')
    }
    this.#checks = this.#checks.filter(({ until }) => until > world.now)
    for (const task of world.due()) this.#checks.push({ task, until: world.now + Math.floor(this.random() * 1000) })
  }
}

t.test('an hour of failing and recovering peers, simulated', async t => {
  for (const seed of [1, 2, 3, 4]) {
    const hour = new Hour(seed, 6)
    const { world, world: { service } } = hour
    let told = 0
    let isPanic = false
    const wrong = new Set<string>()
    const check = (holds: boolean, what: string): void => { if (!holds) wrong.add(what) }
    hour.run(() => {
      const states = [...service.peers.values()]
      const wanted = states.filter(inRotation)
      for (; told < world.verdicts.length; told++) {
        const { action, service: name, peer, reason, since, until } = world.verdicts[told] as typeof world.verdicts[0]
        const what = `${action} ${peer}: ${reason}`
        check(name === 'shop' && reason.length > 5 && since <= world.now, what)
        check(!['eject', 'spare', 'down'].includes(action) || /\d|the probing request failed \((status \d+|connect)\)/.test(reason), `no numbers: ${what}`)
        if (peer === null) check(action === (isPanic ? 'calm' : 'panic'), `told twice: ${what}`)
        isPanic = peer === null ? action === 'panic' : isPanic
        check((until !== null && until > since && until - since <= 360_000) === (action === 'eject'), `until: ${what}`)
        check(action !== 'eject' || !(since - (hour.missingSince.get(String(peer)) ?? Infinity) > INTERVAL), `for 404: ${what}`)
        check(!(action === 'eject' && wanted.length === 1 && wanted[0]?.peer.id === peer), `the only peer: ${what}`)
      }
      for (const state of states) {
        const { state: word, eligible, reason } = conditionOf(state)
        check(eligible === isEligible(state), `${word} and eligible`)
        check(['healthy', 'unknown'].includes(word) === (reason === null), `${word} without a reason`)
        check(state.inflight === 0 && (state.probe === null), 'something is still under way')
      }
      const { panic } = world.picker.plan(service, world.now)
      check(panic === isPanic, `panic is ${panic}, and ${isPanic} was told`)
      const word = serviceCondition(service, panic).state
      check(word !== 'healthy' || states.some(isEligible), 'green with all out')
      check(wanted.length > 0 || word === 'empty', 'red on purpose')
    })
    t.same([...wrong], [], `seed ${seed}`)
    const kinds = new Set(world.verdicts.map(({ action }) => action))
    t.same([...kinds].sort(), ['calm', 'down', 'eject', 'expire', 'panic', 'probe', 'restore', 'spare', 'up'], 'all of it has happened')
    t.ok(hour.served > 50_000 && hour.unserved < hour.served / 100, `${hour.served} served, ${hour.unserved} not`)
  }
})

t.test('never more than maxEjected out, whatever fails', async t => {
  for (const [maxEjected, most] of [[0.5, 5], [0.3, 3], [0, 1]] as const) {
    const random = seeded(9)
    const world = new World({ outlier: outlier({ maxEjected }) }, random)
    for (let i = 0; i < 10; i++) world.put(`p${i}`)
    let highest = 0
    for (let s = 0; s < 3600; s++) {
      for (let i = 0; i < 30; i++) world.send(() => random() < 0.9 ? { status: 500, ms: 1 } : { status: 200, ms: 1 })
      world.wait(1000)
      highest = Math.max(highest, [...world.service.peers.values()].filter(state => state.ejected !== null).length)
    }
    t.equal(highest, most, `${maxEjected} of 10`)
  }
})

t.test('when everything is well again, everybody is back within the longest ejection', async t => {
  const world = new World({ outlier: outlier() }, seeded(5))
  for (let i = 0; i < 4; i++) world.put(`p${i}`, { slowStart: 10_000 })
  for (let s = 0; s < 1800; s++) {
    for (let i = 0; i < 20; i++) world.send(id => id === 'p0' || id === 'p1' ? { error: 'reset', ms: 1 } : { status: 200, ms: 1 })
    world.wait(1000)
  }
  t.ok(world.state('p0').ejections > 3)
  for (let s = 0; s < 375; s++) {
    for (let i = 0; i < 20; i++) world.send()
    world.wait(1000)
  }
  for (let i = 0; i < 4; i++) t.equal(conditionOf(world.state(`p${i}`)).eligible, true)
})
