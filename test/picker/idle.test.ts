import t from 'tap'
import { LeastRequests } from '../../lib/picker/balancers/least-requests.js'
import { PeerState } from '../../lib/store/peer.js'
import { OK, peer, seeded, T0, tally } from '../fixtures/pure.js'

/** Least requests among peers of these weights, with what the picker does around it. */
function leastRequests (weights: readonly number[]) {
  const states = weights.map((_, i) => new PeerState(peer(String(i)), T0, null))
  const balancer = new LeastRequests(seeded(1))
  const rebuild = (): void => balancer.rebuild(states.map((state, i) => ({ state, weight: weights[i] as number })))
  const open = (): PeerState => {
    const state = balancer.pick(T0, null) as PeerState
    state.inflight++
    balancer.opened(state)
    return state
  }
  const close = (state: PeerState): void => {
    state.inflight--
    balancer.closed(state, OK, T0)
  }
  rebuild()
  /** Requests one after another, so that everybody is idle each time. */
  const shares = (n: number): number[] => {
    const got = tally(Array.from({ length: n }, () => {
      const state = open()
      close(state)
      return states.indexOf(state)
    }))
    return weights.map((_, i) => got.get(i) ?? 0)
  }
  return { balancer, states, rebuild, open, close, shares }
}

t.test('least requests: the idle take turns by weight, across changes as well', async t => {
  const { rebuild, shares } = leastRequests([4, 2, 1, 0.1])
  shares(4)
  t.same(shares(710).map(n => Math.round(n / 10)), [40, 20, 10, 1])
  let total = [0, 0, 0, 0]
  for (let i = 0; i < 100; i++) {
    rebuild()
    const got = shares(7)
    total = total.map((n, place) => n + (got[place] as number))
  }
  t.ok([4, 2, 1, 0.1].every((weight, place) => Math.abs((total[place] as number) - 700 * weight / 7.1) < 8), `hundred changes: ${total}`)
})

t.test('least requests: who is idle comes before who is not, and the busy as their weight says', async t => {
  const { open, close, states } = leastRequests([4, 2, 1])
  const first = [open(), open(), open()]
  t.same(new Set(first), new Set(states), 'each once')
  const next = Array.from({ length: 18 }, open)
  t.same(states.map(state => next.filter(other => other === state).length + 1), [12, 6, 3], '4 : 2 : 1 in flight')
  const [, , light] = states as [PeerState, PeerState, PeerState]
  for (let n = 3; n > 0; n--) close(light)
  t.equal(open(), light)
})

t.test('least requests: nobody, weights as small as a double can be, and somebody who is no candidate', async t => {
  const { balancer, states, shares } = leastRequests([1, Number.MIN_VALUE])
  t.same(shares(1000), [999, 1])
  balancer.rebuild([])
  t.equal(balancer.pick(T0, null), undefined)
  const gone = states[0] as PeerState
  const { turn } = gone
  balancer.opened(gone)
  t.equal(gone.turn, turn, 'picked by somebody else')
})
