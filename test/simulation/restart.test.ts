import t from 'tap'
import { BALANCERS } from '../fixtures/simulation/balancers.js'
import { Simulation } from '../fixtures/simulation/simulation.js'

/** 100 peers in ten batches, 50 requests a second for each, so that chance alone doubles nobody's share in a second. */
const PEERS = 100
const BATCH = 10
const RATE = 50 * PEERS
/** Seconds from a batch's drain to its removal, from there to its return, and its slow start. The next one follows at once. */
const DRAIN = 2
const GONE = 4
const RAMP = 10
/** When everything is settled. */
const START = 5
const END = START + PEERS / BATCH * (DRAIN + GONE) + RAMP + 5

/** Restarts all peers, batch by batch; `how` the registry tells of it. */
function restart (sim: Simulation, how: 'drained' | 'removed', slowStart: number): void {
  for (let first = 0, from = START; first < PEERS; first += BATCH, from += DRAIN + GONE) {
    const ids = Array.from({ length: BATCH }, (_, i) => `p${first + i}`)
    sim.at(from, () => {
      for (const id of ids) how === 'drained' ? sim.join(id, { status: 'drain' }) : sim.leave(id)
    })
    if (how === 'drained') sim.at(from + DRAIN, () => { for (const id of ids) sim.leave(id) })
    sim.at(from + DRAIN + GONE, () => { for (const id of ids) sim.join(id, { slowStart }) })
  }
}

t.test('a rolling restart of all peers under steady traffic', async t => {
  for (const balancer of BALANCERS) {
    for (const how of ['drained', 'removed'] as const) {
      for (const slowStart of [RAMP * 1000, 0]) {
        const sim = new Simulation({ settings: { balancer }, rate: RATE })
        for (let i = 0; i < PEERS; i++) sim.join(`p${i}`)
        restart(sim, how, slowStart)
        const before = new Map<object, number>()
        let requests = 0
        let worst = 0
        let what = ''
        sim.everySecond(second => {
          const fair = (sim.requests - requests) / PEERS
          requests = sim.requests
          for (const [id, machine] of sim.machines) {
            const share = (machine.received - (before.get(machine) ?? 0)) / fair
            before.set(machine, machine.received)
            if (share > worst) [worst, what] = [share, `${id} in second ${second}`]
          }
        })
        sim.run(END)
        t.comment(`${balancer}, ${how}, slow start ${slowStart} ms: at most ${worst.toFixed(2)} × the fair share (${what}), cpu ${sim.spent}`)
        t.ok(worst <= 2, `${balancer}: ${worst}`)
        t.equal(sim.failed, 0)
      }
    }
  }
})
