import { now } from '../../../lib/io/clock.js'
import type { TestEtcd } from '../../fixtures/etcd.js'

/** What a drill needs of etcd, be it one member or three. */
export type Store = Pick<TestEtcd, 'put' | 'del' | 'all' | 'putAll'>

export const PREFIX = '/services/'

/** One write of the drill's own: a weight, or null for a deletion. It happened between two points in time. */
interface Write {
  readonly weight: number | null
  /** Infinity while it is under way, and for good when it failed: it may still have been done. */
  ended: number
}

/** Writes registrations, and remembers when, so that what a gateway shows can be told from what it should have given up. */
export class Ledger {
  readonly #store: Store
  readonly #writes = new Map<string, Write[]>()

  constructor (store: Store) {
    this.#store = store
  }

  /** `id` is `service/host:port`; `pad` makes the value that much longer. Resolves with the revision. */
  async put (id: string, weight: number, pad = 0): Promise<bigint> {
    return await this.#note([id], weight, () => this.#store.put(PREFIX + id, valueOf(weight, pad)))
  }

  async del (id: string): Promise<bigint> {
    return await this.#note([id], null, () => this.#store.del(PREFIX + id))
  }

  /** All of them with one weight, in one transaction. */
  async putAll (ids: readonly string[], weight: number): Promise<bigint> {
    return await this.#note(ids, weight, () => this.#store.putAll(new Map(ids.map(id => [PREFIX + id, valueOf(weight, 0)]))))
  }

  /** Everything that is registered, by id, as etcd itself lists it. */
  async list (timeout: number): Promise<Map<string, number>> {
    const all = await this.#store.all(PREFIX, timeout)
    return new Map([...all].map(([key, value]) => [key.slice(PREFIX.length), Number(JSON.parse(value).weight)]))
  }

  /** The store is about to be as it was then: from now on that may be what is there. */
  goesBackTo (weights: ReadonlyMap<string, number>): void {
    for (const id of this.#writes.keys()) this.mayBecome(id, weights.get(id) ?? null)
  }

  /** Without a write of ours: from now on that may be what is there. */
  mayBecome (id: string, weight: number | null): void {
    const write: Write = { weight, ended: Infinity }
    const writes = this.#writes.get(id)
    if (writes === undefined) this.#writes.set(id, [write])
    else writes.push(write)
  }

  /** Whether a write that ended after `since` may have left this there. */
  mayBe (id: string, weight: number | null, since: number): boolean {
    return this.#writes.get(id)?.some(write => write.weight === weight && write.ended >= since) ?? false
  }

  async #note (ids: readonly string[], weight: number | null, doIt: () => Promise<bigint>): Promise<bigint> {
    const write: Write = { weight, ended: Infinity }
    for (const id of ids) {
      const writes = this.#writes.get(id)
      if (writes === undefined) this.#writes.set(id, [write])
      else writes.push(write)
    }
    const revision = await doIt()
    write.ended = now()
    return revision
  }
}

function valueOf (weight: number, pad: number): string {
  return JSON.stringify(pad === 0 ? { weight } : { weight, pad: 'x'.repeat(pad) })
}
