import t from 'tap'
import { serviceDefaults } from '../../lib/options.js'
import type { BalancerName, OutlierSettings } from '../../lib/store/settings.js'
import { outlier } from '../fixtures/pure.js'
import type { Fault } from '../fixtures/simulation/machine.js'
import { Simulation } from '../fixtures/simulation/simulation.js'

const PEERS = 50
/** When all peers begin and cease to fail, and when we cease to look, seconds. */
const [FROM, TO, END] = [20, 80, 120]
const SPAN = 10_000
/** What is granted may wait so long until it is made, ms (the backoff after a 503). */
const DELAY = 25

interface Storm {
  readonly rate: number
  readonly fault: Fault
  readonly outlier: OutlierSettings | false
  readonly balancer: BalancerName
}

/** Retries in the worst 10 s by what is allowed in them, and retries by requests in all. */
interface Result {
  readonly worst: number
  readonly extra: number
}

/**
 * All peers fail. Each attempt is counted where it arrives. The budget is held at the moment of each retry, for the 10 s
 * before it: retries that arrived in 10 s less the delay were granted within 10 s.
 */
function storm ({ rate, fault, outlier, balancer }: Storm): Result {
  const { retry, timeouts } = serviceDefaults
  if (retry === false) throw new Error('retries are off by default')
  const sim = new Simulation({
    rate,
    settings: { balancer, outlier, retry: { ...retry, on: [...retry.on, 'timeout'] }, timeouts: { ...timeouts, headers: 500 } }
  })
  const attempts: number[] = []
  for (let i = 0; i < PEERS; i++) sim.join(`p${i}`).onRequest = now => attempts.push(now)
  const requests: number[] = []
  sim.onRequest = now => requests.push(now)
  sim.at(FROM, () => { for (const machine of sim.machines.values()) machine.fault = fault })
  sim.at(TO, () => { for (const machine of sim.machines.values()) machine.fault = null })
  sim.run(END)
  let worst = 0
  let [oldAttempt, newRequest, oldRequest, laterRequest] = [0, 0, 0, 0]
  attempts.forEach((now, i) => {
    while ((attempts[oldAttempt] as number) <= now - SPAN + DELAY) oldAttempt++
    while ((requests[laterRequest] ?? Infinity) <= now - SPAN + DELAY) laterRequest++
    while ((requests[newRequest] ?? Infinity) <= now) newRequest++
    while ((requests[oldRequest] ?? Infinity) <= now - SPAN - DELAY) oldRequest++
    // A first attempt comes when its request does; the budget was not asked.
    if (requests[newRequest - 1] === now) return
    // Every request in there has had its first attempt in there.
    const retries = i + 1 - oldAttempt - (newRequest - laterRequest)
    worst = Math.max(worst, retries / (retry.budget.ratio * (newRequest - oldRequest) + retry.budget.perSecond * SPAN / 1000))
  })
  return { worst, extra: attempts.length / requests.length - 1 }
}

t.test('a retry storm stays within the budget of 20 % + 10 a second, in any 10 s, counted at the peers', async t => {
  for (const rate of [20, 1000]) {
    for (const fault of [{ kind: 503, share: 1 }, { kind: 503, share: 0.5 }, { kind: 'hangs', share: 1 }, { kind: 'hangs', share: 0.75 }] as const) {
      for (const judged of [false, outlier()] as const) {
        for (const balancer of ['round-robin', 'p2c-ewma'] as const) {
          const { worst, extra } = storm({ rate, fault, outlier: judged, balancer })
          const what = `${rate}/s, ${100 * fault.share} % ${fault.kind}, ${balancer}${judged === false ? '' : ', outliers'}`
          t.ok(worst > 0.9 && worst <= 1, `${what}: ${worst.toFixed(3)} of the budget in the worst 10 s, ${(100 * extra).toFixed(1)} % more in all`)
        }
      }
    }
  }
})
