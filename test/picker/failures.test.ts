import t from 'tap'
import type { Outcome } from '../../lib/logger/outcome.js'
import { Failures } from '../../lib/picker/balancers/failures.js'
import { LeastRequests } from '../../lib/picker/balancers/least-requests.js'
import { P2cEwma } from '../../lib/picker/balancers/p2c-ewma.js'
import { PeerState } from '../../lib/store/peer.js'
import { BAD, LEFT, OK, peer, REFUSED, seeded, T0, World } from '../fixtures/pure.js'

const [a, b] = ['a', 'b'].map(id => new PeerState(peer(id), T0, null)) as [PeerState, PeerState]

t.test('a failed request counts for three times what is usual, and for 10 s at most', async t => {
  const cases: Array<[outcome: Outcome, until: number | null]> = [
    [REFUSED, 15], [BAD, 15], [{ error: 'reset', ms: 100 }, 300], [{ error: 'timeout', ms: 30_000 }, 10_000], [LEFT, null], [OK, null], [{ status: 404, ms: 5 }, null]
  ]
  for (const [outcome, until] of cases) {
    const told: PeerState[] = []
    const failures = new Failures(state => told.push(state))
    failures.note(b, OK, T0)
    failures.note(a, outcome, T0)
    t.equal(failures.of(a), Number(until !== null), JSON.stringify(outcome))
    t.equal(failures.of(b), 0)
    if (until === null) continue
    failures.expire(T0 + until - 1)
    t.equal(failures.of(a), 1, `still at ${until - 1}`)
    t.same(told, [])
    failures.expire(T0 + until)
    t.equal(failures.of(a), 0, `no longer at ${until}`)
    t.same(told, [a])
  }
})

t.test('before anything has gone well the failure itself says how long', async t => {
  const failures = new Failures(() => {})
  failures.note(a, REFUSED, T0)
  failures.expire(T0 + 2)
  t.equal(failures.of(a), 1)
  failures.expire(T0 + 3)
  t.equal(failures.of(a), 0)
})

t.test('many failures are counted one by one, and a clock that goes back ends them', async t => {
  const failures = new Failures(() => {})
  const counts: number[] = []
  for (let i = 0; i < 5000; i++) {
    failures.note(i % 2 === 0 ? a : b, { error: 'reset', ms: 1000 }, T0 + i)
    failures.expire(T0 + i)
    counts.push(failures.of(a) + failures.of(b))
  }
  t.same(counts, Array.from({ length: 5000 }, (_, i) => Math.min(i + 1, 3000)))
  t.equal(failures.of(a), 1500)
  failures.expire(T0 - 3_600_000)
  t.same([failures.of(a), failures.of(b)], [0, 0])
})

t.test('least requests: who failed has that much more to do, across a change, and not for ever', async t => {
  const world = new World({ balancer: 'least-requests', outlier: false })
  for (const id of ['a', 'b', 'c']) world.put(id)
  const order = (n: number): string => Array.from({ length: n }, () => world.send(id => id === 'b' ? REFUSED : OK)).join('')
  t.match(order(30), /^[ac]*b[ac]*$/, 'one failure is enough')
  world.put('d')
  t.match(order(12), /^[acd]{12}$/, 'a newcomer does not make it forgotten')
  world.now += 1000
  t.match(order(12), /^[acd]*b[acd]*$/, 'later it gets another chance')
  const balancer = new LeastRequests(seeded(1))
  balancer.rebuild([{ state: a, weight: 1 }])
  t.equal(balancer.pick(T0, null), a, 'nobody else')
})

t.test('two choices: each failure in a row counts twice as much, up to 16 times what is usual', async t => {
  const balancer = new P2cEwma(seeded(1))
  const state = new PeerState(peer('c'), T0, null)
  balancer.closed(b, { status: 200, ms: 10 }, T0)
  const seen = Array.from({ length: 8 }, () => {
    balancer.closed(state, REFUSED, T0)
    return state.latency
  })
  t.same(seen, [30, 60, 120, 160, 160, 160, 160, 160])
  balancer.closed(state, { error: 'timeout', ms: 1000 }, T0)
  t.equal(state.latency, 3000, 'a slow failure as its time says')
  balancer.closed(state, REFUSED, T0)
  t.equal(state.latency, 3000, 'and a fast one does not make it better')
})

t.test('two choices: a newcomer begins with the latency of the others, who are known by their peaks', async t => {
  const balancer = new P2cEwma(seeded(1))
  const known = new PeerState(peer('d'), T0, null)
  for (let i = 0; i < 200; i++) balancer.closed(known, { status: 200, ms: i % 10 === 0 ? 50 : 5 }, T0)
  const newcomer = new PeerState(peer('e'), T0, null)
  balancer.closed(newcomer, { status: 200, ms: 5 }, T0)
  t.ok(newcomer.latency > 49 && newcomer.latency <= 50, `${newcomer.latency} ms after its first answer in 5 ms`)
})
