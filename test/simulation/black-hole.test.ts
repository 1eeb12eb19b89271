import t from 'tap'
import { outlier } from '../fixtures/pure.js'
import { BALANCERS } from '../../lib/store/settings.js'
import { Simulation, type Shape } from '../fixtures/simulation/simulation.js'

const PEERS = 10
const SECONDS = 20

/** A peer fails at once for a while: what it gets by its fair share, and the part of all requests that fails. */
function blackHole (perPeer: number, kind: 503 | 'refuses', settings: NonNullable<Shape['settings']>): { share: number, failed: number } {
  const sim = new Simulation({ rate: PEERS * perPeer, settings })
  for (let i = 0; i < PEERS; i++) sim.join(`p${i}`)
  sim.run(5)
  const hole = sim.machine('p3')
  hole.fault = { kind, share: 1 }
  const { requests } = sim
  const before = hole.received
  sim.run(5 + SECONDS)
  return { share: (hole.received - before) / (sim.requests - requests) * PEERS, failed: sim.failed / sim.requests }
}

t.test('a peer that fails within a millisecond attracts nobody', async t => {
  for (const balancer of BALANCERS) {
    // Four servers of 10 ms: nearly full, half full, next to idle.
    for (const perPeer of [320, 200, 5]) {
      for (const kind of ['refuses', 503] as const) {
        const what = `${balancer}, ${perPeer} requests a second each, ${kind}`
        const judged = blackHole(perPeer, kind, { balancer, outlier: outlier() })
        // Five in a row and it is out; what was under way before still succeeds, and what comes meanwhile does not count.
        const most = 30 / (perPeer * SECONDS)
        t.ok(judged.share > 0 && judged.share <= most, `${what}: ${judged.share.toFixed(4)} × its share`)
        // By its rule it goes by what is under way alone, and who fails at once never has anything: that is why it is to be judged.
        if (balancer === 'least-requests') continue
        const { share, failed } = blackHole(perPeer, kind, { balancer, outlier: false })
        // With bounded loads it takes from the others what they have no room for.
        const bound = balancer === 'hash' ? 1.5 : balancer === 'p2c-ewma' ? 0.25 : 1.2
        t.ok(share > 0 && share <= bound, `${what}, without outlier detection: ${share.toFixed(2)} × its share`)
        t.ok(failed < 0.001, `${what}, without outlier detection: ${(100 * failed).toFixed(3)} % fail`)
      }
    }
  }
})
