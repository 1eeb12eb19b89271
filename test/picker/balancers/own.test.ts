import fc from 'fast-check'
import t from 'tap'
import { nameOf } from '../../../lib/picker/balancers/make.js'
import type { Balancer, Candidate } from '../../../lib/picker/balancer.js'
import { PeerState } from '../../../lib/store/peer.js'
import { OK, peer, seeded, settings, tally, World } from '../../fixtures/pure.js'

interface First extends Balancer {
  candidates: readonly Candidate[]
  /** How often it was told. */
  told: number
}

/** A balancer as a user might write it: always the first candidate that may take it. */
function firstOf (changes: Partial<Balancer> = {}): First {
  const balancer: First = {
    candidates: [],
    told: 0,
    rebuild (candidates) {
      balancer.candidates = candidates
      balancer.told++
    },
    pick: (_now, _key, mayTake = () => true) => balancer.candidates.find(({ state }) => mayTake(state))?.state,
    ...changes
  }
  return balancer
}

function worldOf (balancer: object, ids: readonly string[] = ['a', 'b', 'c']): World {
  const world = new World({ balancer }, () => 0)
  for (const id of ids) world.put(id)
  return world
}

const fail = (what: unknown = new Error('broken')) => (): never => { throw what }

t.test('it chooses, with the time and the key, and hears of every request', async t => {
  const heard: unknown[] = []
  const balancer = firstOf({
    opened: ({ peer, inflight }) => { heard.push([peer.id, inflight]) },
    closed: ({ peer, inflight }, outcome, now) => { heard.push([peer.id, inflight, outcome, now]) }
  })
  const { pick } = balancer
  balancer.pick = (now, key, mayTake) => {
    heard.push([now, key])
    return pick(now, key, mayTake)
  }
  const world = worldOf(balancer)
  const chosen = world.picker.pick(world.service, undefined, world.now, 'key')
  t.equal(chosen?.peer.id, 'a')
  chosen?.done(OK, world.now + 5)
  t.same(heard, [[world.now, 'key'], ['a', 1], ['a', 0, OK, world.now + 5]])
  t.same(world.order(5), ['a', 'a', 'a', 'a', 'a'])
  t.equal(balancer.told, 1, 'told once while nothing changes')
  world.put('a', { status: 'down' })
  t.equal(world.send(), 'b')
  t.equal(balancer.told, 2)
  t.same(balancer.candidates.map(({ state, weight }) => [state.peer.id, weight]), [['b', 1], ['c', 1]])
  t.equal(world.picker.trouble(world.service), null)
  t.equal(world.pick(new Set([world.state('b')]))?.peer.id, 'c', 'mayTake keeps it from who was tried')
})

t.test('undefined is an answer: nobody', async t => {
  const world = worldOf(firstOf({ pick: () => undefined }))
  t.equal(world.pick(), undefined)
  t.equal(world.picker.trouble(world.service), null)
})

t.test('whatever it does wrong, round robin chooses and somebody is told why', async t => {
  const stranger = new PeerState(peer('stranger'), 0, null)
  const cases: Array<[what: string, changes: Partial<Balancer> | Record<string, unknown>, why: string]> = [
    ['rebuild throws', { rebuild: fail() }, 'broken'],
    ['pick throws', { pick: fail() }, 'broken'],
    ['opened throws', { opened: fail() }, 'broken'],
    ['closed throws', { closed: fail() }, 'broken'],
    ['it throws a text', { pick: fail('just words') }, 'just words'],
    ['it throws nothing', { pick: fail(null) }, 'null'],
    ['it throws what cannot be told', { pick: fail(Object.create(null)) }, 'it threw what cannot be told'],
    ['it throws what fails to be told', { pick: fail({ toString: fail() }) }, 'it threw what cannot be told'],
    ['it throws an error whose message is none', { pick: fail(Object.assign(new Error('x'), { message: 7 })) }, '7'],
    ['it throws an error whose message fails', { pick: fail(Object.defineProperty(new Error('x'), 'message', { get: fail() })) }, 'it threw what cannot be told'],
    ['a stranger', { pick: () => stranger }, 'it chose a peer that may not be chosen'],
    ['null', { pick: () => null }, 'it chose a peer that may not be chosen'],
    ['a promise', { pick: async () => undefined }, 'it chose a peer that may not be chosen'],
    ['a promise that fails', { pick: async () => { throw new Error('later') } }, 'it chose a peer that may not be chosen'],
    ['the id in place of the peer', { pick: () => 'a' }, 'it chose a peer that may not be chosen'],
    ['what is not even callable', { pick: 7 }, 'is not a function']
  ]
  for (const [what, changes, why] of cases) {
    const world = worldOf(firstOf(changes as Partial<Balancer>))
    const ids = world.order(6)
    const isChoosing = what.startsWith('opened') || what.startsWith('closed')
    t.same(tally(ids), new Map(isChoosing ? [['a', 6]] : [['a', 2], ['b', 2], ['c', 2]]), what)
    t.match(world.picker.trouble(world.service), why, what)
    t.same([...world.service.peers.values()].map(({ inflight }) => inflight), [0, 0, 0])
  }
})

t.test('who was tried or is full may not be chosen', async t => {
  const balancer = firstOf()
  balancer.pick = () => balancer.candidates[0]?.state
  const world = worldOf(balancer)
  t.not(world.pick(new Set([world.state('a')]))?.peer.id, 'a')
  t.equal(world.picker.trouble(world.service), 'it chose a peer that may not be chosen')
  const bounded = worldOf(balancer)
  bounded.put('a', { maxInflight: 1 })
  t.equal(bounded.pick()?.peer.id, 'a')
  t.not(bounded.pick()?.peer.id, 'a')
})

t.test('promises of opened and closed that fail end nothing', async t => {
  const world = worldOf(firstOf({ opened: async () => { throw new Error('later') }, closed: async () => { throw new Error('later') } } as Partial<Balancer>))
  world.order(3)
  await new Promise(resolve => setImmediate(resolve))
  t.equal(world.picker.trouble(world.service), 'later')
})

t.test('it chooses again as soon as it does well', async t => {
  let broken = true
  const balancer = firstOf()
  const { pick } = balancer
  balancer.pick = (...asked) => broken ? fail()() : pick(...asked)
  const world = worldOf(balancer)
  world.order(4)
  t.equal(world.picker.trouble(world.service), 'broken')
  broken = false
  t.same(world.order(3), ['a', 'a', 'a'])
  t.equal(world.picker.trouble(world.service), null, 'and nobody says otherwise')
})

t.test('after a failed rebuild it is told again', async t => {
  let broken = true
  const balancer = firstOf()
  const { rebuild } = balancer
  balancer.rebuild = candidates => broken ? fail()() : rebuild(candidates)
  const world = worldOf(balancer)
  world.order(2)
  broken = false
  t.equal(world.send(), 'a')
  t.equal(balancer.told, 1)
})

t.test('what it does to its list is its own affair', async t => {
  const balancer = firstOf()
  balancer.rebuild = candidates => { balancer.candidates = (candidates as Candidate[]).splice(0).reverse() }
  const world = worldOf(balancer)
  t.equal(world.send(), 'c')
  t.same([...world.picker.shares(world.service, world.now).values()].map(({ expectedShare }) => expectedShare), [1 / 3, 1 / 3, 1 / 3])
  const other = worldOf(balancer, ['x', 'y'])
  t.equal(other.send(), 'y')
  t.equal(world.send(), 'c', 'told all of them again')
})

t.test('one object for two services and two priorities: it is told whose turn it is', async t => {
  const balancer = firstOf()
  const one = worldOf(balancer, ['a', 'b'])
  const two = worldOf(balancer, ['x', 'y'])
  for (let i = 0; i < 3; i++) {
    t.equal(one.send(), 'a')
    t.equal(two.send(), 'x')
  }
  const told = balancer.told
  one.order(5)
  t.equal(balancer.told, told + 1, 'once, not for each request')
  const levels = worldOf(balancer, ['a'])
  levels.put('b', { priority: 1 })
  t.equal(levels.send(), 'a')
  t.equal(levels.pick(new Set([levels.state('a')]))?.peer.id, 'b')
  t.equal(levels.send(), 'a')
  t.equal(one.send(), 'a')
  t.equal(levels.picker.trouble(levels.service), null)
  levels.put('b', { priority: 1, weight: 2 })
  t.equal(levels.send(), 'a')
})

t.test('trouble of any priority is told, and goes with the balancer', async t => {
  const balancer = firstOf({ pick: fail() })
  const world = worldOf(balancer, ['a'])
  t.equal(world.picker.trouble(world.service), null, 'nothing was asked yet')
  world.put('b', { priority: 1 })
  world.pick(new Set([world.state('a')]))
  t.equal(world.picker.trouble(world.service), 'broken')
  world.service.configure(settings({ balancer: 'random' }), true)
  world.send()
  t.equal(world.picker.trouble(world.service), null)
})

t.test('what it is called', async t => {
  t.equal(nameOf('hash'), 'hash')
  t.equal(nameOf({ name: 'mine' }), 'mine')
  for (const balancer of [{}, { name: '' }, { name: 7 }]) t.equal(nameOf(balancer), 'own')
})

t.test('a balancer that does anything at all: always somebody who may be chosen, nothing is thrown', async t => {
  const step = fc.record({ kind: fc.constantFrom('send', 'send', 'open', 'close', 'put', 'remove', 'tried'), n: fc.nat(5) })
  fc.assert(fc.property(fc.array(step, { maxLength: 60, size: 'max' }), fc.integer(), (steps, seed) => {
    const random = seeded(seed)
    const strangers: unknown[] = [null, undefined, 7, {}, new PeerState(peer('x'), 0, null)]
    const chaos = <T>(answer: T): T => random() < 0.3 ? fail()() : random() < 0.3 ? strangers[Math.floor(random() * strangers.length)] as T : answer
    const balancer = firstOf({ opened: () => chaos(undefined), closed: () => chaos(undefined) })
    const { pick, rebuild } = balancer
    balancer.pick = (...asked) => chaos(pick(...asked))
    balancer.rebuild = candidates => chaos(rebuild(candidates))
    const world = worldOf(balancer)
    const open = [world.pick()]
    for (const { kind, n } of steps) {
      const id = 'abcdef'[n] ?? 'a'
      const known = world.service.find(id)
      if (kind === 'send') world.send()
      if (kind === 'open') open.push(world.pick())
      if (kind === 'close') open.pop()?.done(OK, world.now)
      if (kind === 'put') world.put(id, { priority: n % 2, maxInflight: n })
      if (kind === 'remove' && known !== undefined) world.remove(id)
      if (kind === 'tried' && known !== undefined && world.pick(new Set([known]))?.state === known) throw new Error('it was tried')
    }
  }), { seed: 20240611, numRuns: 300 })
  t.pass()
})
