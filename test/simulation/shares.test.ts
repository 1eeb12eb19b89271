import t from 'tap'
import { seeded } from '../fixtures/pure.js'
import type { BalancerName } from '../../lib/store/settings.js'
import type { Machine } from '../fixtures/simulation/machine.js'
import { Simulation } from '../fixtures/simulation/simulation.js'

const TICK = 0.1
const PEERS = 200

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

  constructor (balancer: BalancerName, rate: number) {
    this.sim = new Simulation({ settings: { balancer }, rate, servers: 64, work: 20 })
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
  const fleet = new Fleet('round-robin', 300)
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
