import type { Etcd3 } from 'etcd3'
import type { Entry, Listing } from '../../syncer/source.js'
import { entryOf, rangeOf } from './keys.js'

/** Keys asked for at once, and the least of them when an answer is too large or takes too long. */
const PAGE = 5000
const LEAST = 10
/** A listing that keeps being compacted away under our hands is given up after this many starts. */
const STARTS = 5

/** How many keys to ask for at first: fewer after a first page that did not come in time. */
export class Pages {
  first = PAGE
}

/**
 * Everything below `prefix` as of one revision: a linearizable read, in pages pinned to the first page's revision. It
 * starts over when that revision is compacted meanwhile. Pages that are too large, or come too slowly, are made smaller.
 */
export async function list (client: Etcd3, prefix: string, pages: Pages): Promise<Listing> {
  for (let start = 1; ; start++) {
    try {
      return await listOnce(client, prefix, pages)
    } catch (error) {
      if (!String(error).includes('compacted') || start >= STARTS) throw error
    }
  }
}

async function listOnce (client: Etcd3, prefix: string, pages: Pages): Promise<Listing> {
  const range = rangeOf(prefix)
  const entries: Entry[] = []
  let { key } = range
  let pinned: { revision: string, storeId: string } | undefined
  let [limit, most] = [pages.first, PAGE]
  for (;;) {
    const answer = await client.kv.range({ ...range, key, limit, ...(pinned && { revision: pinned.revision }) }).catch((error: Error) => {
      const isLarge = /larger than max|RESOURCE_EXHAUSTED/.test(error.message)
      if (limit <= LEAST || (!isLarge && !/deadline exceeded/i.test(error.message))) throw error
      most = Math.ceil(limit / 4)
      // Before anything has come, that may be for another reason: somebody wants to hear of it.
      if (pinned === undefined) pages.first = most
      if (pinned === undefined && !isLarge) throw error
      return null
    })
    if (answer === null) {
      limit = most
      continue
    }
    const { header, kvs, more } = answer
    pinned ??= { revision: header.revision, storeId: header.cluster_id }
    for (const kv of kvs) entries.push(entryOf(kv, prefix))
    const last = kvs.at(-1)
    if (!more || last === undefined) break
    key = Buffer.concat([last.key, Buffer.from([0])])
    limit = Math.min(2 * limit, most)
  }
  pages.first = limit
  return { entries, revision: BigInt(pinned.revision), storeId: pinned.storeId }
}
