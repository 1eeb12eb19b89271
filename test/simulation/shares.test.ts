import t from 'tap'
import { seeded } from '../fixtures/pure.js'
import type { BalancerName } from '../../lib/store/settings.js'
import type { Machine } from '../fixtures/simulation/machine.js'
import { Simulation } from '../fixtures/simulation/simulation.js'

const TICK = 0.1
const PEERS = 200
const HOUR = 3_600_000

interface Account {
  readonly machine: Machine
  weight: number
  expected: number
}

/**
 * Peers of weights 1 … 5 with slow start that come, go and change their weights, one every ten seconds. What each stands
 * to get is added up by what the picker says of shares, just before each step of a ramp and each change.
 */
class Fleet {
  readonly sim: Simulation
  readonly accounts = new Map<string, Account>()
  readonly gone: Account[] = []
  #told = 0
  #names = 0
  #tick = 0
  readonly #random = seeded(77)

  /** Nobody waits for a server: what is measured is the balancer alone. */
  constructor (balancer: BalancerName, rate: number, work: number) {
    const timeouts = { connect: 1000, headers: HOUR, body: HOUR, total: HOUR }
    this.sim = new Simulation({ settings: { balancer, timeouts }, rate, servers: 256, work })
    for (let i = 0; i < PEERS; i++) this.#join()
  }

  run (seconds: number, areChanging: boolean): void {
    for (const end = this.#tick + Math.round(seconds / TICK); this.#tick < end; this.#tick++) {
      // A moment before the tick: whatever it changes has not been picked by yet.
      this.sim.run(this.#tick * TICK + 0.099)
      this.#account()
      if (areChanging && this.#tick % 100 === 0) this.#change()
    }
  }

  #join (): void {
    const id = `p${this.#names++}`
    const weight = this.#weight()
    this.accounts.set(id, { machine: this.sim.join(id, { weight, slowStart: 30_000 }), weight, expected: 0 })
  }

  #weight (): number {
    return 1 + Math.floor(this.#random() * 5)
  }

  #change (): void {
    const ids = [...this.accounts.keys()]
    const id = ids[Math.floor(this.#random() * ids.length)] as string
    const account = this.accounts.get(id) as Account
    const dice = this.#random()
    if (dice < 0.3) {
      account.weight = this.#weight()
      this.sim.join(id, { weight: account.weight, slowStart: 30_000 })
    } else if (dice < 0.65 || ids.length < PEERS - 20) this.#join()
    else {
      this.sim.leave(id)
      this.accounts.delete(id)
      this.gone.push(account)
    }
  }

  #account (): void {
    const { sim: { requests, gateway: { picker, service }, now }, accounts } = this
    const picks = requests - this.#told
    this.#told = requests
    if (picks === 0) return
    for (const [{ peer: { id } }, { expectedShare }] of picker.shares(service, now)) {
      (accounts.get(id) as Account).expected += picks * expectedShare
    }
  }
}

t.test('round robin: an hour with a change every ten seconds', async t => {
  const fleet = new Fleet('round-robin', 300, 20)
  fleet.run(3000, true)
  const { sim, accounts } = fleet
  const all = [...accounts.values(), ...fleet.gone]
  const most = Math.max(...all.map(({ machine, expected }) => Math.abs(machine.received - expected)))
  t.ok(all.length > PEERS + 50 && sim.requests > 800_000, `${sim.requests} requests to ${all.length} peers`)
  t.ok(most <= 2, `nobody is off his share by more than ${most.toFixed(2)} picks in all that time`)
  fleet.run(600, false)
  // Nothing ramps any more: every cycle is exact, wherever it begins.
  const weights = [...accounts.values()].map(({ weight }) => weight)
  const cycle = weights.reduce((a, b) => a + b, 0)
  for (let n = 0; n < 5; n++) {
    const before = [...accounts.values()].map(({ machine }) => machine.received)
    sim.runRequests(cycle)
    t.same([...accounts.values()].map(({ machine }, i) => machine.received - (before[i] as number)), weights, `${cycle} picks`)
    sim.runRequests(17)
  }
  t.equal(sim.failed, 0)
})

/** Bounds of a peer's part, by what its weight says, and of how far chance may carry it. */
interface Bounds {
  readonly balancer: BalancerName
  /** Mean time of a request, ms: what is in flight. */
  readonly work: number
  readonly least: number
  readonly most: number
  readonly deviations?: number
}

t.test('the others: a quarter of an hour with a change every ten seconds', async t => {
  // 6 requests in flight at 200 peers; and 2400, which is 4 for each of weight 1.
  const rows: Bounds[] = [
    { balancer: 'random', work: 20, least: 0.8, most: 1.2, deviations: 5 },
    // Of fewer requests than weights the heaviest peers take all: (0 + 1) / 5 is least. It has shares where much is in flight.
    { balancer: 'least-requests', work: 8000, least: 0.85, most: 1.2 },
    // By weight they are chosen, and by weight they are compared: while there is little to do heavy ones get more than that.
    { balancer: 'p2c-ewma', work: 20, least: 0.2, most: 1.6 },
    { balancer: 'p2c-ewma', work: 8000, least: 0.8, most: 1.5 },
    { balancer: 'hash', work: 20, least: 0.75, most: 1.3 }
  ]
  for (const { balancer, work, least, most, deviations = Infinity } of rows) {
    const fleet = new Fleet(balancer, 300, work)
    fleet.run(balancer === 'hash' ? 300 : 900, true)
    // Who should have had few is judged by chance alone.
    const all = [...fleet.accounts.values(), ...fleet.gone].filter(({ expected }) => expected > 300)
    const parts = all.map(({ machine, expected }) => machine.received / expected)
    const [low, high] = [Math.min(...parts), Math.max(...parts)]
    const far = Math.max(...all.map(({ machine, expected }) => Math.abs(machine.received - expected) / Math.sqrt(expected)))
    const what = `${balancer}, ${300 * work / 1000} in flight`
    t.ok(all.length > 50, `${what}: ${all.length} peers`)
    t.ok(low >= least && high <= most, `${what}: every peer gets ${low.toFixed(3)} to ${high.toFixed(3)} of its share`)
    t.ok(far <= deviations, `${what}: off by at most ${far.toFixed(1)} standard deviations`)
    t.equal(fleet.sim.failed, 0)
  }
})
