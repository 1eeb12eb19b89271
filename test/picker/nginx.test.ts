import fc from 'fast-check'
import t from 'tap'
import { RoundRobin } from '../../lib/picker/balancers/round-robin.js'
import { PeerState } from '../../lib/store/peer.js'
import { peer, T0 } from '../fixtures/pure.js'

/**
 * What nginx does for each request (ngx_http_upstream_get_peer since 2012), written down as it is there: no cycles, no
 * debts, nothing left out. `tried` has the peers that nginx skips. Returns -1 when nobody is left.
 */
class Nginx {
  readonly #weights: readonly number[]
  readonly #current: number[]

  constructor (weights: readonly number[]) {
    this.#weights = weights
    this.#current = weights.map(() => 0)
  }

  pick (tried: ReadonlySet<number> = new Set()): number {
    let best = -1
    let total = 0
    this.#weights.forEach((weight, i) => {
      if (tried.has(i)) return
      this.#current[i] = (this.#current[i] as number) + weight
      total += weight
      if (best === -1 || (this.#current[i] as number) > (this.#current[best] as number)) best = i
    })
    if (best !== -1) this.#current[best] = (this.#current[best] as number) - total
    return best
  }
}

function ours (weights: readonly number[]): (tried?: ReadonlySet<number>) => number {
  const states = weights.map((_, i) => new PeerState(peer(String(i)), T0, null))
  const balancer = new RoundRobin(() => 0)
  balancer.rebuild(states.map((state, i) => ({ state, weight: weights[i] as number })))
  return tried => {
    const state = balancer.pick(T0, null, tried === undefined ? undefined : state => !tried.has(Number(state.peer.id)))
    return state === undefined ? -1 : Number(state.peer.id)
  }
}

t.test('sequences that are known of nginx', async t => {
  const rows: Array<[weights: number[], cycle: string]> = [
    // The first stands in the message of its change, where the order was c b a a a a a before; the others are by hand, step by step.
    [[5, 1, 1], 'aabacaa'],
    [[4, 2, 1], 'abacaba'],
    [[2, 1, 1], 'abca'],
    [[3, 1], 'aaba'],
    [[1, 2, 3], 'cbacbc'],
    [[1, 1, 8], 'cccaccbccc']
  ]
  for (const [weights, cycle] of rows) {
    const nginx = new Nginx(weights)
    const pick = ours(weights)
    const order = (pick: () => number): string => Array.from({ length: 3 * cycle.length }, () => 'abcdef'[pick()]).join('')
    t.equal(order(() => nginx.pick()), cycle.repeat(3), `nginx: ${weights}`)
    t.equal(order(() => pick()), cycle.repeat(3), `ours: ${weights}`)
  }
})

t.test('the same as nginx, pick for pick, whatever the weights, up to as many peers as are looked at', async t => {
  const weights = fc.oneof(
    fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 64 }),
    fc.array(fc.constantFrom(997, 1009, 1013, 1, 2), { minLength: 1, maxLength: 64 }))
  let picks = 0
  fc.assert(fc.property(weights, weights => {
    const nginx = new Nginx(weights)
    const pick = ours(weights)
    for (let n = 0; n < 600; n++, picks++) {
      const [theirs, mine] = [nginx.pick(), pick()]
      if (theirs !== mine) throw new Error(`pick ${n}: ${mine}, nginx ${theirs}`)
    }
  }), { seed: 2012, numRuns: 150 })
  t.equal(picks, 150 * 600)
})

t.test('the same as nginx when peers are skipped for a retry', async t => {
  const tries = fc.array(fc.array(fc.nat(5), { maxLength: 6 }), { minLength: 40, maxLength: 40 })
  fc.assert(fc.property(fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 2, maxLength: 6 }), tries, (weights, tries) => {
    const nginx = new Nginx(weights)
    const pick = ours(weights)
    tries.forEach((list, n) => {
      const tried = new Set(list)
      const [theirs, mine] = [nginx.pick(tried), pick(tried.size === 0 ? undefined : tried)]
      if (theirs !== mine) throw new Error(`pick ${n}: ${mine}, nginx ${theirs}`)
    })
  }), { seed: 2012, numRuns: 300 })
  t.pass()
})
