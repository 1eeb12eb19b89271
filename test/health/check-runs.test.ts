import t from 'tap'
import { note } from '../../lib/health/check-runs.js'
import { PeerState, type CheckResult } from '../../lib/store/peer.js'
import { checks, peer, T0, World } from '../fixtures/pure.js'

const result = (fields: Partial<CheckResult> = {}): CheckResult => ({ ok: true, status: 200, ms: 2, error: null, at: T0, streak: 1, ...fields })

t.test('equal results in a row are one run, with the slowest of them', async t => {
  const state = new PeerState(peer('a'), T0, null)
  t.same(state.checkRuns, [])
  note(state, result({ ms: 5 }))
  note(state, result({ ms: 9, at: T0 + 1000, streak: 2 }))
  note(state, result({ ms: 1, at: T0 + 2000, streak: 3 }))
  t.same(state.checkRuns, [{ ok: true, status: 200, error: null, count: 3, from: T0, to: T0 + 2000, slowest: 9 }])
})

t.test('another verdict, status or error begins another run', async t => {
  const state = new PeerState(peer('a'), T0, null)
  const bad = { ok: false, status: 500, error: 'GET / answered 500' }
  for (const fields of [{}, { status: 204 }, bad, bad, { ...bad, error: 'no answer' }, {}]) note(state, result(fields))
  t.same(state.checkRuns.map(({ ok, status, error, count }) => [ok, status, error, count]), [
    [true, 200, null, 1],
    [true, 204, null, 1],
    [false, 500, 'GET / answered 500', 2],
    [false, 500, 'no answer', 1],
    [true, 200, null, 1]
  ])
})

t.test('the last eight runs are remembered, and nobody shares them', async t => {
  const [a, b] = [new PeerState(peer('a'), T0, null), new PeerState(peer('b'), T0, null)]
  for (let i = 0; i < 20; i++) note(a, result({ status: 200 + i, at: T0 + i }))
  t.same(a.checkRuns.map(({ status }) => status), [212, 213, 214, 215, 216, 217, 218, 219])
  t.same(b.checkRuns, [])
})

t.test('what is concluded is noted, and forgotten when checks are over', async t => {
  const world = new World({ check: checks({ rise: 1, fall: 1 }) })
  const state = world.put('a', { checkUrl: '/health' })
  for (const ok of [true, true, false]) {
    world.wait(10_000)
    for (const task of world.due()) world.conclude(task, ok)
  }
  t.same(state.checkRuns.map(({ ok, count }) => [ok, count]), [[true, 2], [false, 1]])
  world.put('a')
  t.same(state.checkRuns, [], 'nothing to check any more')
})
