import t from 'tap'
import type { BalancerName } from '../../lib/store/settings.js'
import { Simulation } from '../fixtures/simulation/simulation.js'

/** Seconds until balancers know their peers, which are not counted. */
const WARM_UP = 20

/** One peer in ten needs 100 ms where the others need 10; the 99th percentile of what clients wait, ms. */
function p99 (balancer: BalancerName, peers: number, perPeer: number, gateways: number): number {
  const sim = new Simulation({ rate: peers * perPeer, gateways, settings: { balancer } })
  for (let i = 0; i < peers; i++) sim.join(`p${i}`)
  for (let i = 0; i < peers; i += 10) sim.machine(`p${i}`).slowness = 10
  sim.run(WARM_UP)
  sim.latencies.clear()
  sim.run(WARM_UP + 200_000 / sim.rate)
  return sim.latencies.quantile(0.99)
}

t.test('one peer in ten is ten times slower: p99 of p2c-ewma is at most half of that of round-robin', async t => {
  // Four servers of 100 ms can do 40 requests a second: 36 is near their end, 2 is next to nothing.
  for (const [peers, perPeer, gateways] of [[10, 36, 1], [10, 2, 1], [200, 36, 1], [200, 2, 1], [200, 36, 10]] as const) {
    const inTurn = p99('round-robin', peers, perPeer, gateways)
    const byLatency = p99('p2c-ewma', peers, perPeer, gateways)
    const what = `${peers} peers, ${perPeer} requests a second each, ${gateways} gateways`
    // Slow peers alone have 230 ms by the exponential distribution: less would be no comparison.
    t.ok(inTurn > 200, `${what}: round-robin ${inTurn.toFixed(0)} ms`)
    t.ok(byLatency <= inTurn / 2, `${what}: p2c-ewma ${byLatency.toFixed(0)} ms, ${(byLatency / inTurn).toFixed(2)} of it`)
  }
})

t.test('p2c-ewma: a peer that becomes slow is left within seconds, and gets its part again when it is well', async t => {
  const sim = new Simulation({ rate: 500, settings: { balancer: 'p2c-ewma' } })
  for (let i = 0; i < 10; i++) sim.join(`p${i}`)
  const slow = sim.machine('p3')
  const parts: number[] = []
  let [requests, received] = [0, 0]
  sim.everySecond(() => {
    parts.push((slow.received - received) / (sim.requests - requests) * 10)
    requests = sim.requests
    received = slow.received
  })
  sim.at(30, () => { slow.slowness = 20 })
  sim.at(90, () => { slow.slowness = 1 })
  sim.run(150)
  const mean = (from: number, to: number): number => parts.slice(from, to).reduce((a, b) => a + b) / (to - from)
  t.ok(Math.abs(mean(5, 30) - 1) < 0.4, `${mean(5, 30).toFixed(2)} × its share before`)
  t.ok(mean(31, 90) < 0.05, `${mean(31, 90).toFixed(3)} × its share from the second second on`)
  const back = parts.findIndex((part, second) => second >= 90 && part > 0.5) - 90
  t.ok(back >= 0 && back <= 40, `half of its share after ${back} s`)
  t.ok(Math.max(...parts.slice(5)) <= 2.5, `never more than ${Math.max(...parts.slice(5)).toFixed(2)} × its share`)
})
