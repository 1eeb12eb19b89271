import type { Etcd3 } from 'etcd3'
import type { Entry, Listing } from '../../syncer/source.js'
import { entryOf, rangeOf } from './keys.js'

/** Keys asked for at once, and the least of them when etcd says that the answer is too large. */
const PAGE = 5000
const LEAST = 10
/** A listing that keeps being compacted away under our hands is given up after this many starts. */
const STARTS = 5

/**
 * Everything below `prefix` as of one revision: a linearizable read, in pages pinned to the first page's revision. It
 * starts over when that revision is compacted meanwhile, with a smaller page when an answer is too large.
 */
export async function list (client: Etcd3, prefix: string): Promise<Listing> {
  let page = PAGE
  for (let start = 1; ; start++) {
    try {
      return await listOnce(client, prefix, page)
    } catch (error) {
      const message = String(error)
      if (/larger than max|RESOURCE_EXHAUSTED/.test(message) && page > LEAST) page = Math.ceil(page / 4)
      else if (!message.includes('compacted') || start >= STARTS) throw error
    }
  }
}

async function listOnce (client: Etcd3, prefix: string, limit: number): Promise<Listing> {
  const range = rangeOf(prefix)
  const entries: Entry[] = []
  let { key } = range
  let pinned: { revision: string, storeId: string } | undefined
  for (;;) {
    const { header, kvs, more } = await client.kv.range({ ...range, key, limit, ...(pinned && { revision: pinned.revision }) })
    pinned ??= { revision: header.revision, storeId: header.cluster_id }
    for (const kv of kvs) entries.push(entryOf(kv, prefix))
    const last = kvs.at(-1)
    if (!more || last === undefined) break
    key = Buffer.concat([last.key, Buffer.from([0])])
  }
  return { entries, revision: BigInt(pinned.revision), storeId: pinned.storeId }
}
