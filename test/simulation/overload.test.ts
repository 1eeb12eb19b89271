import t from 'tap'
import { serviceDefaults } from '../../lib/options.js'
import { checks } from '../fixtures/pure.js'
import { Simulation } from '../fixtures/simulation/simulation.js'

/** When all peers become slow, and when they are well again, seconds. */
const [FROM, TO] = [30, 90]
/** How long it may take until nothing fails any more: intervals of ten seconds, slow starts, queues. */
const BACK = 45
const END = 240

/** 50 peers of four servers that need 150 ms can do 1333 requests a second: too few in, and the others are overloaded. */
function overload (rate: number, isChecked: boolean, slowStart: number): { during: number, back: number } {
  const timeouts = { ...serviceDefaults.timeouts, headers: 1000 }
  const sim = new Simulation({ rate, work: 150, settings: { timeouts, check: isChecked ? checks({ path: '/health' }) : false } })
  for (let i = 0; i < 50; i++) sim.join(`p${i}`, { slowStart })
  sim.at(FROM, () => { for (const machine of sim.machines.values()) machine.slowness = 2 })
  sim.at(TO, () => { for (const machine of sim.machines.values()) machine.slowness = 1 })
  let [failed, during, back] = [0, 0, 0]
  sim.everySecond(second => {
    const now = sim.failed - failed
    failed = sim.failed
    if (second > FROM && second <= TO) during += now
    // A work of more than a second is a time-out now and then, at any time: one in 780.
    if (second > TO && now > rate / 100) back = second - TO
  })
  sim.run(END)
  return { during: during / (rate * (TO - FROM)), back }
}

t.test('all peers are half as fast for a minute: ejections do not make it last', async t => {
  for (const rate of [800, 1000]) {
    for (const isChecked of [false, true]) {
      for (const slowStart of [0, 30_000]) {
        const { during, back } = overload(rate, isChecked, slowStart)
        const what = `${rate} requests a second of 1333, ${isChecked ? 'checked' : 'not checked'}, slow start ${slowStart / 1000} s`
        t.ok(during > 0.3, `${what}: ${(100 * during).toFixed(0)} % fail in that minute`)
        t.ok(back <= BACK, `${what}: well again after ${back} s`)
      }
    }
  }
})
