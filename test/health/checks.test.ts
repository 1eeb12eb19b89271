import t from 'tap'
import type { CheckSettings } from '../../lib/store/settings.js'
import { targetOf } from '../../lib/health/checks.js'
import { conditionOf } from '../../lib/store/condition.js'
import { BAD, checks, peer, World } from '../fixtures/pure.js'

function worldOf (fields: Partial<CheckSettings> = {}): World {
  return new World({ panic: 0, check: checks({ path: '/health', ...fields }) })
}

/** Lets an interval pass and answers every check that is due. */
function round (world: World, ok: boolean): void {
  world.now += 6000
  for (const task of world.due()) world.conclude(task, ok)
}

t.test('what to ask of whom', async t => {
  const own = peer('a', { checkUrl: '/own' })
  const none = peer('a')
  t.equal(targetOf(own, checks()), '/own')
  t.equal(targetOf(own, checks({ path: '/x' })), '/own', 'its own word comes first')
  t.equal(targetOf(none, checks({ path: '/x' })), '/x')
  t.equal(targetOf(none, checks()), undefined, 'nothing to check')
  t.equal(targetOf(own, checks({ type: 'tcp' })), null, 'by connecting')
  t.equal(targetOf(own, false), undefined)
})

t.test('fall failures in a row take a peer out, rise successes put it back', async t => {
  const world = worldOf({ rise: 2, fall: 3 })
  world.put('a')
  world.put('b')
  const history: string[] = []
  for (const answer of 'oxxoxxxxoxooxo') {
    round(world, answer === 'o')
    history.push(conditionOf(world.state('a')).state)
  }
  const [h, d, D] = ['healthy', 'degraded', 'down']
  t.same(history, [h, d, d, h, d, d, D, D, D, D, D, h, d, h])
  t.same(world.verdicts.filter(({ peer }) => peer === 'a').map(({ action, cause, reason }) => [action, cause, reason]), [
    ['down', 'checks', '3 checks failed in a row: GET /health answered 500'],
    ['up', 'checks', '2 checks passed in a row']
  ])
})

t.test('peers there at boot are eligible before their first check, and silently pass it', async t => {
  const world = worldOf()
  world.put('a')
  t.match(conditionOf(world.state('a')), { state: 'unknown', eligible: true })
  round(world, true)
  t.match(conditionOf(world.state('a')), { state: 'healthy', eligible: true })
  t.same(world.verdicts, [])
})

t.test('one whose checks fail from the start is down after fall', async t => {
  const world = worldOf({ fall: 2 })
  world.put('a')
  round(world, false)
  t.match(conditionOf(world.state('a')), { state: 'degraded', eligible: true })
  round(world, false)
  t.match(conditionOf(world.state('a')), { state: 'down', eligible: false, reason: '2 checks failed in a row: GET /health answered 500', since: world.now })
})

t.test('a newcomer waits for its first success; one is enough', async t => {
  const world = worldOf({ rise: 5 })
  world.put('a')
  round(world, true)
  world.put('new', {}, false)
  t.match(conditionOf(world.state('new')), { state: 'probing', eligible: false, reason: 'not checked yet', since: world.now })
  t.same(new Set(world.order(10)), new Set(['a']))
  for (const task of world.due().slice(0, 1)) world.conclude(task, true)
  t.match(conditionOf(world.state('new')), { state: 'healthy', eligible: true })
  t.same(world.verdicts.map(({ action, reason }) => [action, reason]), [['up', 'the first check passed']])
})

t.test('a newcomer that fails first still needs one success, unless it was called down', async t => {
  const world = worldOf({ rise: 2, fall: 3 })
  world.put('new', {}, false)
  round(world, false)
  round(world, false)
  t.equal(conditionOf(world.state('new')).state, 'probing')
  round(world, true)
  t.equal(conditionOf(world.state('new')).state, 'healthy')
  world.put('bad', {}, false)
  for (let i = 0; i < 3; i++) round(world, false)
  round(world, true)
  t.equal(conditionOf(world.state('bad')).state, 'down')
  round(world, true)
  t.equal(conditionOf(world.state('bad')).state, 'healthy')
})

t.test('with nothing to check a newcomer is eligible at once', async t => {
  for (const settings of [checks(), false] as const) {
    const world = new World({ check: settings })
    world.put('a', {}, false)
    t.match(conditionOf(world.state('a')), { state: 'unknown', eligible: true })
    t.same(world.due(), [])
    t.equal(world.state('a').lastCheck, null)
  }
})

t.test('a check URL that comes and goes; what was judged stays judged meanwhile', async t => {
  const world = new World({ panic: 0, check: checks({ fall: 1 }) })
  world.put('a')
  world.put('a', { checkUrl: '/x' })
  t.match(conditionOf(world.state('a')), { state: 'unknown', eligible: true }, 'it was serving before')
  round(world, false)
  world.put('a', { checkUrl: '/y' })
  t.equal(conditionOf(world.state('a')).state, 'down')
  world.put('a', { checkUrl: null })
  t.match(conditionOf(world.state('a')), { state: 'unknown', eligible: true })
  t.equal(world.state('a').lastCheck, null)
  t.equal(world.send(), 'a')
})

t.test('an answer for a peer that was removed, or is no longer checked, is about nobody', async t => {
  const world = worldOf({ fall: 1 })
  world.put('a')
  const [task] = world.due()
  world.remove('a')
  world.put('a')
  if (task !== undefined) t.equal(world.conclude(task, false), undefined)
  t.match(world.state('a'), { check: 'unchecked', lastCheck: null }, 'the one of that name now is another')
  const [later] = world.due()
  world.service.configure({ ...world.service.settings, check: false }, true)
  world.put('a')
  if (later !== undefined) t.equal(world.conclude(later, false), undefined)
  t.match(world.state('a'), { check: 'none', lastCheck: null })
})

t.test('a check without a reason, and what the last one saw', async t => {
  const world = worldOf({ fall: 1 })
  world.put('a')
  for (const task of world.due()) world.conclude(task, { ok: false, status: null, ms: 1000, error: null })
  t.equal(conditionOf(world.state('a')).reason, '1 checks failed in a row: no answer')
  t.same(world.state('a').lastCheck, { at: world.now, ok: false, status: null, ms: 1000, error: null, streak: -1 })
})

t.test('a peer put back by its checks begins with a clean sheet', async t => {
  const world = worldOf({ fall: 1, rise: 1 })
  for (const id of ['a', 'b', 'c']) world.put(id)
  world.tell('a', BAD, 4)
  round(world, false)
  round(world, true)
  world.tell('a', BAD)
  t.equal(world.state('a').ejected, null)
})
