import { setTimeout as sleep } from 'node:timers/promises'
import { now } from '../../../lib/io/clock.js'
import type { TestGateway } from '../../fixtures/gateway.js'
import type { Ledger } from './ledger.js'

/** Out of step and `live` for longer than this (ms) after a change is wrong whatever the gateway says of itself. */
const PATIENCE = 8000

/** What etcd held at some time between the two (epoch ms). */
interface Listing {
  readonly sent: number
  readonly received: number
  readonly weights: ReadonlyMap<string, number>
}

/**
 * Compares, every 50 ms, what a gateway shows with what etcd itself lists on a connection of our own. While the gateway calls
 * itself `live`, all that etcd held at `lastVerifiedAt` has to be shown, unless it was overwritten since.
 */
export class Witness {
  /** How long the gateway did not call itself `live` (ms). */
  stale = 0
  samples = 0
  /** The first few in words. */
  readonly violations: string[] = []
  readonly #gateway: TestGateway
  readonly #ledger: Ledger
  readonly #every: number
  readonly #listings: Listing[] = []
  readonly #work: Promise<unknown>
  #isOver = false
  #last = now()

  constructor (gateway: TestGateway, ledger: Ledger, every: number) {
    this.#gateway = gateway
    this.#ledger = ledger
    this.#every = every
    this.#work = Promise.all([this.#keepListing(), this.#keepLooking()])
  }

  async end (): Promise<void> {
    this.#isOver = true
    await this.#work
  }

  async #keepListing (): Promise<void> {
    while (!this.#isOver) {
      const sent = now()
      try {
        const weights = await this.#ledger.list(Math.max(1000, 2 * this.#every))
        this.#listings.push({ sent, received: now(), weights })
      } catch {
        // An etcd that is away holds nothing that we could know of.
      }
      await sleep(this.#every)
    }
  }

  async #keepLooking (): Promise<void> {
    while (!this.#isOver) {
      this.look()
      await sleep(this.#every)
    }
  }

  /** One comparison. Nothing else runs meanwhile. */
  look (): void {
    const { state, lastVerifiedAt } = this.#gateway.app.upstreams.status().registry
    const at = now()
    this.samples++
    if (state !== 'live') this.stale += at - this.#last
    this.#last = at
    if (state !== 'live' || lastVerifiedAt === null) return
    const promised = Math.max(Date.parse(lastVerifiedAt), at - PATIENCE)
    while (this.#listings[1] !== undefined && this.#listings[1].received <= promised) this.#listings.shift()
    const [listing] = this.#listings
    if (listing === undefined || listing.received > promised) return
    const wrong = differences(listing.weights, weightsOf(this.#gateway)).filter(({ id, shown }) => !this.#ledger.mayBe(id, shown ?? null, listing.sent))
    const [first] = wrong
    if (first === undefined || this.violations.length > 5) return
    this.violations.push(`live, verified ${Math.round(at - Date.parse(lastVerifiedAt))} ms ago, but ${first.id} is ${first.shown} and was ` +
      `${first.listed} in etcd ${Math.round(at - listing.received)} ms ago (${wrong.length} such)`)
  }
}

/** What a gateway shows, by id. */
export function weightsOf ({ app }: TestGateway): Map<string, number> {
  const weights = new Map<string, number>()
  for (const [name, service] of Object.entries(app.upstreams.show())) {
    if (typeof service === 'number') continue
    for (const { host, port, weight } of service.peers) weights.set(`${name}/${host}:${port}`, weight)
  }
  return weights
}

interface Difference {
  readonly id: string
  readonly listed: number | undefined
  readonly shown: number | undefined
}

export function differences (listed: ReadonlyMap<string, number>, shown: ReadonlyMap<string, number>): Difference[] {
  const found: Difference[] = []
  for (const [id, weight] of listed) if (shown.get(id) !== weight) found.push({ id, listed: weight, shown: shown.get(id) })
  for (const [id, weight] of shown) if (!listed.has(id)) found.push({ id, listed: undefined, shown: weight })
  return found
}
