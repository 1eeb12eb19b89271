import t from 'tap'
import type { Outcome } from '../../../lib/logger/outcome.js'
import { Failures } from '../../../lib/picker/balancers/failures.js'
import { LeastRequests } from '../../../lib/picker/balancers/least-requests.js'
import { PeerState } from '../../../lib/store/peer.js'
import { BAD, LEFT, OK, peer, REFUSED, seeded, T0, World } from '../../fixtures/pure.js'

const [a, b] = ['a', 'b'].map(id => new PeerState(peer(id), T0, null)) as [PeerState, PeerState]

t.test('a failed request counts for three times what is usual, and for 10 s at most', async t => {
  const cases: Array<[outcome: Outcome, until: number | null]> = [
    [REFUSED, 15], [BAD, 15], [{ error: 'reset', ms: 100 }, 300], [{ error: 'timeout', ms: 30_000 }, 10_000], [LEFT, null], [OK, null], [{ status: 404, ms: 5 }, null]
  ]
  for (const [outcome, until] of cases) {
    const told: PeerState[] = []
    const failures = new Failures(state => told.push(state))
    for (const ms of [OK.ms, NaN, Infinity, -1]) failures.note(b, { status: 200, ms }, T0)
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
