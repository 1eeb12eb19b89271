import { BadOptionError } from '../errors.js'
import { Refusal } from '../syncer/refusal.js'
import type { Entry, Feed, Source } from '../syncer/source.js'
import { now } from './clock.js'

/**
 * The embedded registry: registrations given in code, through the same decoder and syncer as those of etcd. `values` are
 * what etcd would hold, by service and `host:port`.
 */
export class StaticSource implements Source {
  readonly #entries: readonly Entry[]

  constructor (peers: ReadonlyMap<string, ReadonlyMap<string, unknown>>, keyPrefix: string) {
    const entries: Entry[] = []
    for (const [service, values] of peers) {
      for (const [address, given] of values) {
        const value = typeof given === 'string' ? given : JSON.stringify(given, plain) ?? ''
        entries.push({ key: `${keyPrefix}${service}/${address}`, value, size: Buffer.byteLength(value), modRevision: 1n, lease: 0n })
      }
    }
    this.#entries = entries
  }

  start (feed: Feed): void {
    const slices = feed.list({ entries: this.#entries, revision: 1n, storeId: '' }, true)
    while (slices?.next().done === false);
    feed.verified(1n, now())
  }

  /** There are no revisions. */
  ask (): void {}

  async amend (): Promise<never> {
    throw new Refusal('the registry is given in code, where peers have to be changed')
  }

  async close (): Promise<void> {}
}

/** What JSON would lose without a word is refused. */
function plain (name: string, value: unknown): unknown {
  if (typeof value === 'bigint' || typeof value === 'function' || (typeof value === 'number' && !Number.isFinite(value))) {
    throw new BadOptionError('peers', 'registrations as in etcd, which hold JSON', name === '' ? value : { [name]: value })
  }
  return value
}
