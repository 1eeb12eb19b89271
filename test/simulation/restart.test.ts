import t, { type Test } from 'tap'
import { BALANCERS, type BalancerName } from '../../lib/store/settings.js'
import { Simulation } from '../fixtures/simulation/simulation.js'

/** 100 peers in ten batches, 50 requests a second for each: chance alone doubles nobody's share in a second. */
const PEERS = 100
const BATCH = 10
const RATE = 50 * PEERS
/** Seconds from a batch's drain to its removal, and from there to its return; the next batch follows at once. */
const DRAIN = 2
const GONE = 4
/** Slow start, seconds: until a batch is warm the next one is gone, and the one after that drained. */
const RAMP = 10
/** When everybody knows everybody. */
const START = 5
const END = START + PEERS / BATCH * (DRAIN + GONE) + RAMP + 5

/** Restarts all peers, batch by batch; `how` the registry tells of it. */
function restart (sim: Simulation, how: 'drained' | 'removed', slowStart: number): void {
  for (let first = 0, from = START; first < PEERS; first += BATCH, from += DRAIN + GONE) {
    const ids = Array.from({ length: BATCH }, (_, i) => `p${first + i}`)
    const remove = (): void => { for (const id of ids) sim.leave(id) }
    if (how === 'drained') sim.at(from, () => { for (const id of ids) sim.join(id, { status: 'drain' }) })
    sim.at(how === 'drained' ? from + DRAIN : from, remove)
    sim.at(from + DRAIN + GONE, () => { for (const id of ids) sim.join(id, { slowStart }) })
  }
}

/**
 * The most that a peer got in any second, by two measures of what is fair: its part of the whole when all are there, and
 * its part of those that were there then, if that is more.
 */
function worst (balancer: BalancerName, how: 'drained' | 'removed', slowStart: number, work: number): { ofAll: number, ofThose: number, restarted: number, failed: number } {
  const sim = new Simulation({ settings: { balancer }, rate: RATE, work })
  for (let i = 0; i < PEERS; i++) sim.join(`p${i}`)
  const atFirst = new Set(sim.machines.values())
  restart(sim, how, slowStart)
  const before = new Map<object, number>()
  let [requests, ofAll, ofThose] = [0, 0, 0]
  sim.everySecond(() => {
    const { picker, service } = sim.gateway
    const shares = picker.shares(service, sim.now)
    const all = sim.requests - requests
    requests = sim.requests
    for (const [id, machine] of sim.machines) {
      const part = (machine.received - (before.get(machine) ?? 0)) / all
      before.set(machine, machine.received)
      const expected = shares.get(sim.gateway.state(id))?.expectedShare ?? 0
      ofAll = Math.max(ofAll, part * PEERS)
      ofThose = Math.max(ofThose, part / Math.max(expected, 1 / PEERS))
    }
  })
  sim.run(END)
  const restarted = [...sim.machines.values()].filter(machine => !atFirst.has(machine) && machine.received > 0).length
  return { ofAll, ofThose, restarted, failed: sim.failed }
}

t.test('a rolling restart of all peers under steady traffic: nobody gets more than twice his fair share in any second', async t => {
  const bounds: Readonly<Record<BalancerName, number>> = { 'round-robin': 1.4, 'least-requests': 2, 'p2c-ewma': 2, hash: 1.9, random: 2 }
  for (const balancer of BALANCERS) {
    for (const [how, slowStart] of [['drained', RAMP * 1000], ['drained', 0], ['removed', RAMP * 1000]] as const) {
      // Half of what the peers can do.
      judge(t, balancer, how, slowStart, 40, bounds[balancer])
    }
  }
})

t.test('of two choices one peer may win all: with next to nothing to do it gets 2 / n of the requests, of the 80 that there are', async t => {
  judge(t, 'p2c-ewma', 'drained', RAMP * 1000, 10, 2.5)
})

function judge (t: Test, balancer: BalancerName, how: 'drained' | 'removed', slowStart: number, work: number, bound: number): void {
  const { ofAll, ofThose, restarted, failed } = worst(balancer, how, slowStart, work)
  const what = `${balancer}, ${how}, slow start ${slowStart / 1000} s`
  t.ok(ofAll > 1.05 && ofAll <= bound, `${what}: at most ${ofAll.toFixed(2)} × its part when all are there`)
  t.ok(ofThose > 1 && ofThose <= 2, `${what}: at most ${ofThose.toFixed(2)} × its part of those that are there`)
  t.equal(restarted, PEERS, `${what}: all were restarted`)
  t.equal(failed, 0, `${what}: nothing failed`)
}
