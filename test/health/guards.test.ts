import t from 'tap'
import type { OutlierSettings } from '../../lib/store/settings.js'
import { drain } from '../../lib/store/overrides.js'
import { conditionOf } from '../../lib/store/condition.js'
import { BAD, OK, outlier, REFUSED, World } from '../fixtures/pure.js'

function worldOf (peers: number, fields: Partial<OutlierSettings> = {}): World {
  const world = new World({ panic: 0, outlier: outlier(fields) }, () => 0.5)
  for (let i = 0; i < peers; i++) world.put(`p${i}`)
  world.wait(0)
  return world
}

function ejected (world: World): string[] {
  return [...world.service.peers.values()].filter(state => state.ejected !== null).map(({ peer }) => peer.id)
}

t.test('never the only peer; it is spared once, and the reason says why', async t => {
  const world = worldOf(1)
  world.tell('p0', BAD, 50)
  world.tell('p0', REFUSED, 50)
  world.wait(10_000)
  t.same(world.verdicts.map(({ action, cause, reason }) => [action, cause, reason]),
    [['spare', 'consecutive_5xx', '5 requests in a row answered with 5xx; kept because it is the only peer']])
  t.equal(conditionOf(world.state('p0')).state, 'degraded')
  t.match(conditionOf(world.state('p0')).reason, /100 of 100 requests failed in 10 s; kept because it is the only peer/)
  t.equal(world.send(), 'p0')
})

t.test('never the only one that the registry and the operator leave in', async t => {
  const world = worldOf(3, { maxEjected: 1 })
  world.put('p1', { status: 'down' })
  drain(world.service, world.state('p2'), world.now, world.now + 60_000)
  world.tell('p0', BAD, 5)
  t.same(ejected(world), [])
})

t.test('at most maxEjected of them, but always one', async t => {
  const cases: Array<[peers: number, maxEjected: number, most: number]> = [
    [2, 0.5, 1], [3, 0.5, 1], [4, 0.5, 2], [5, 0.5, 2], [10, 0.5, 5], [10, 0, 1], [2, 0, 1], [10, 0.1, 1], [10, 0.29, 2],
    [100, 0.29, 29], [100, 0.57, 57], [10, 1, 10]
  ]
  for (const [peers, maxEjected, most] of cases) {
    const world = worldOf(peers, { maxEjected })
    for (let i = 0; i < peers; i++) world.tell(`p${i}`, BAD, 5)
    t.equal(ejected(world).length, most, `${maxEjected} of ${peers}`)
    const spared = world.verdicts.filter(({ action }) => action === 'spare')
    t.equal(spared.length, peers - most)
    if (most < peers) t.match(spared[0]?.reason, `kept because ${most} of ${peers} peers are ejected already`)
  }
})

t.test('the guard is asked again at the next failure', async t => {
  const world = worldOf(2)
  world.tell('p0', BAD, 5)
  world.tell('p1', BAD, 5)
  t.same(ejected(world), ['p0'])
  world.put('p2')
  world.put('p3')
  world.tell('p1', BAD)
  t.same(ejected(world), ['p0', 'p1'])
  t.equal(world.state('p1').spared, null)
})

t.test('who was spared and does well again is no longer degraded after the next interval', async t => {
  const world = worldOf(1)
  world.tell('p0', BAD, 5)
  world.wait(10_000)
  t.not(world.state('p0').spared, null, 'its last requests failed')
  world.tell('p0', OK)
  world.wait(10_000)
  t.equal(world.state('p0').spared, null)
  t.equal(conditionOf(world.state('p0')).reason, null)
})

t.test('who takes no new requests is not ejected for the end of old ones', async t => {
  const world = worldOf(4)
  world.put('p0', { status: 'drain' })
  world.tell('p0', BAD, 5)
  t.same(ejected(world), [])
  t.same(world.verdicts, [])
})

t.test('a removed peer is judged no more', async t => {
  const world = worldOf(4)
  const gone = world.state('p0')
  world.remove('p0')
  for (let i = 0; i < 9; i++) t.equal(world.health.observe(world.service, gone, BAD, world.now), undefined)
  t.same(ejected(world), [])
})

t.test('a peer that the others have left alone is taken back', async t => {
  const world = worldOf(3)
  world.tell('p0', BAD, 5)
  world.remove('p1')
  t.same(world.wait(100), [])
  world.put('p2', { status: 'down' })
  const [verdict] = world.wait(100)
  t.match(verdict, { action: 'restore', peer: 'p0', cause: 'only_peer', reason: 'it is the only peer left' })
  t.equal(world.send(), 'p0')
})

t.test('outlier detection turned off takes everybody back and forgets', async t => {
  const world = worldOf(4)
  for (const id of ['p0', 'p1', 'p2']) world.tell(id, BAD, 5)
  t.not(world.state('p2').spared, null)
  const { settings } = world.service
  world.service.configure({ ...settings, outlier: false }, true)
  t.same(world.wait(100).map(({ action, peer, cause, reason }) => [action, peer, cause, reason]), [
    ['restore', 'p0', 'outlier_off', 'outlier detection was turned off'],
    ['restore', 'p1', 'outlier_off', 'outlier detection was turned off']
  ])
  t.equal(world.state('p2').spared, null)
  world.tell('p3', BAD, 100)
  t.same(ejected(world), [])
  world.wait(3_600_000)
  world.service.configure(settings, true)
  world.tell('p0', OK, 20)
  t.same(world.wait(100), [], 'and what came in between is not judged when it is turned on')
  t.same(world.wait(10_000), [])
})

t.test('the interval may change while it runs', async t => {
  const world = worldOf(4, { interval: 3_600_000 })
  for (let i = 0; i < 20; i++) world.tell('p0', i % 2 === 0 ? BAD : OK)
  world.wait(5000)
  world.service.configure({ ...world.service.settings, outlier: outlier({ interval: 5000 }) }, true)
  t.match(world.wait(0)[0]?.reason, /^10 of 20 requests failed/)
})
