import fc from 'fast-check'
import t from 'tap'
import type { Outcome } from '../../lib/logger/outcome.js'
import { holdOff } from '../../lib/picker/hold-off.js'
import { Picker, type Pick } from '../../lib/picker/picker.js'
import { inRotation, isEligible } from '../../lib/store/condition.js'
import * as overrides from '../../lib/store/overrides.js'
import type { Peer, PeerState } from '../../lib/store/peer.js'
import { BALANCERS } from '../../lib/store/settings.js'
import { BAD, LEFT, OK, outlier, REFUSED, seeded, settings, World } from '../fixtures/pure.js'

/** Arbitrary sequences of everything that can happen, for each balancer: nothing is thrown, and what is promised holds. */

const SEED = 20240611
const IDS = ['a', 'b', 'c', 'd', 'e']
const OUTCOMES: Outcome[] = [OK, BAD, REFUSED, LEFT, { status: 503, ms: 0 }, { status: 200, ms: 5000, ttfb: 1 }, { error: 'timeout', ms: 30_000 }, { error: 'reset', ms: 1 }]
const ZONES = [null, 'home', 'away']
const REPORTS = ['cpu_utilization=0.5, rps_fractional=10', 'cpu_utilization=1e-9, rps_fractional=1e308', 'rubbish', 'rps_fractional=0']
const WEIGHTS = [0, 1, 1, 2, 7, 0.1, 1e6, 1e-310, Number.MIN_VALUE]

type Step = { kind: string, id: string, n: number }
const step: fc.Arbitrary<Step> = fc.record({
  kind: fc.constantFrom('send', 'send', 'pick', 'pick', 'done', 'done', 'again', 'tried', 'kept', 'answered', 'report', 'put', 'put', 'weight', 'remove', 'drain', 'cutdown', 'recover',
    'hold', 'wait', 'jump', 'check', 'configure', 'balancer', 'tick'),
  id: fc.constantFrom(...IDS),
  n: fc.nat(1000)
})

class Play {
  readonly world: World
  readonly open: Pick[] = []
  readonly ended: Pick[] = []

  constructor (balancer: typeof BALANCERS[number], zone: string | null, seed: number) {
    this.world = new World({ balancer, loadReports: true, outlier: outlier() }, seeded(seed))
    if (zone !== null) Object.assign(this.world, { picker: new Picker(seeded(seed), () => {}, () => {}, zone) })
    for (const id of IDS.slice(0, 3)) this.world.put(id)
  }

  do ({ kind, id, n }: Step): void {
    const { world } = this
    const known = world.service.find(id)
    if (kind === 'put') world.put(id, { weight: this.#weight(n), priority: n % 3 % 2, zone: ZONES[n % 3] ?? null, maxInflight: n % 4, slowStart: n % 5 * 1000 }, n % 2 === 0)
    else if (kind === 'weight') world.put(id, { weight: this.#weight(n) })
    else if (kind === 'wait') world.wait(n * 20)
    else if (kind === 'jump') world.now += n % 2 === 0 ? 3_600_000 : -3_600_000
    else if (kind === 'tick') world.picker.step(world.service, world.now)
    else if (kind === 'balancer') this.#configure(n)
    else if (kind === 'configure') world.service.configure(settings({ ...world.service.settings, panic: n % 3 / 2, slowStart: { minWeight: n % 2 / 10, aggression: 1 }, limits: { maxInflight: n % 5, queue: 0, queueTimeout: 1 } }), true)
    else if (kind === 'send' || kind === 'pick' || kind === 'tried' || kind === 'kept') this.#pick(kind, known, n)
    else if (['done', 'again', 'answered', 'report'].includes(kind)) this.#end(kind, n)
    else if (known !== undefined) this.#change(kind, known, n)
  }

  #weight (n: number): number {
    return WEIGHTS[n % WEIGHTS.length] ?? 1
  }

  #configure (n: number): void {
    const { service } = this.world
    service.configure(settings({ ...service.settings, balancer: BALANCERS[n % BALANCERS.length] ?? 'random' }), true)
  }

  #pick (kind: string, known: PeerState | undefined, n: number): void {
    const { picker, service, now } = this.world
    const tried = kind === 'tried' && known !== undefined ? new Set([known]) : undefined
    const before = picker.plan(service, now)
    const may = [...service.peers.values()].filter(state => (before.panic ? inRotation(state) : isEligible(state)) && before.hasRoom(state) && tried?.has(state) !== true)
    const pick = picker.pick(service, tried, now, n % 3 === 0 ? null : `key ${n % 7}`, kind === 'kept' ? known : null)
    if ((pick === undefined) !== (may.length === 0)) throw new Error(`${pick?.peer.id} of ${may.map(({ peer }) => peer.id)}`)
    if (pick === undefined) return
    if (!may.includes(pick.state)) throw new Error(`${pick.peer.id} may not be picked`)
    if (kind === 'send') pick.done(OUTCOMES[n % OUTCOMES.length] ?? OK, now)
    else this.open.push(pick)
  }

  #end (kind: string, n: number): void {
    const { now } = this.world
    if (kind === 'again') return this.ended[n % (this.ended.length || 1)]?.done(OK, now)
    const at = n % (this.open.length || 1)
    if (kind === 'answered') return this.open[at]?.answered(n % 2 === 0 ? 200 : 500, now)
    if (kind === 'report') return this.open[at]?.report(REPORTS[n % REPORTS.length] ?? '', now)
    const [pick] = this.open.splice(at, 1)
    if (pick === undefined) return
    pick.done(OUTCOMES[n % OUTCOMES.length] ?? OK, now)
    this.ended.push(pick)
  }

  #change (kind: string, state: PeerState, n: number): void {
    const { service, now } = this.world
    if (kind === 'remove') this.world.remove(state.peer.id)
    if (kind === 'drain') overrides.drain(service, state, now, now + n)
    if (kind === 'cutdown') overrides.cutdown(service, state, n % 3 / 2, now, now + 1000 * n)
    if (kind === 'recover') overrides.recover(service, state)
    if (kind === 'hold') holdOff(service, state, n * 10, now)
    if (kind === 'check') {
      state.check = n % 2 === 0 ? 'failing' : 'passing'
      service.touch()
    }
  }

  /** What is under way is what was picked and has not ended; shares are shares. */
  verify (): void {
    const { picker, service, now } = this.world
    let sum = 0
    for (const [state, { expectedShare, effective }] of picker.shares(service, now)) {
      const inflight = this.open.filter(pick => pick.state === state).length
      if (state.inflight !== inflight) throw new Error(`${state.inflight} under way at ${state.peer.id} in place of ${inflight}`)
      if (!(effective >= 0 && expectedShare >= 0 && expectedShare <= 1 + 1e-9 && Number.isFinite(effective))) throw new Error(`${effective}, ${expectedShare}`)
      sum += expectedShare
    }
    if (sum !== 0 && Math.abs(sum - 1) > 1e-9) throw new Error(`shares add up to ${sum}`)
  }
}

t.test('nothing is thrown, nobody is picked who may not be, somebody is while somebody may', async t => {
  for (const balancer of BALANCERS) {
    for (const zone of [null, 'home']) {
      fc.assert(fc.property(fc.array(step, { maxLength: 80, size: 'max' }), fc.integer(), (steps, seed) => {
        const play = new Play(balancer, zone, seed)
        for (const step of steps) {
          play.do(step)
          play.verify()
        }
        for (const pick of play.open.splice(0)) pick.done(OK, play.world.now)
        play.verify()
      }), { seed: SEED, numRuns: 100 })
      t.pass(`${balancer}, zone ${zone}`)
    }
  }
})

t.test('weights of 0 everywhere, nobody there, all down: nobody, and no exception', async t => {
  const cases: Array<[what: string, fields: Partial<Peer>]> = [['weight 0', { weight: 0 }], ['down', { status: 'down' }], ['any word', { status: '' }]]
  for (const balancer of BALANCERS) {
    for (const [what, fields] of cases) {
      const world = new World({ balancer })
      t.equal(world.pick(), undefined)
      for (const id of IDS) world.put(id, fields)
      t.equal(world.pick(), undefined, `${balancer}, ${what}`)
      t.equal(world.picker.pick(world.service, new Set([world.state('a')]), world.now, 'key', world.state('b')), undefined)
      world.picker.step(world.service, world.now)
      world.put('a')
      t.equal(world.send(), 'a', 'one that is back takes it')
    }
  }
})
