import type { Etcd3, IKeyValue } from 'etcd3'
import type { Entry } from '../../syncer/source.js'
import { entryOf, rangeOf } from './keys.js'

/** Keys asked for at once, and the least of them when etcd says that the answer is too large. */
const PAGE = 5000
const LEAST = 10
/** A listing that keeps being compacted away under our hands is given up after this many starts. */
const STARTS = 5

export interface Listing {
  readonly entries: Entry[]
  readonly revision: bigint
  readonly clusterId: string
}

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
  const kvs: IKeyValue[] = []
  let { key } = range
  let pinned: { revision: string, clusterId: string } | undefined
  for (;;) {
    const answer = await client.kv.range({ ...range, key, limit, ...(pinned && { revision: pinned.revision }) })
    pinned ??= { revision: answer.header.revision, clusterId: answer.header.cluster_id }
    kvs.push(...answer.kvs)
    const last = answer.kvs.at(-1)
    if (!answer.more || last === undefined) break
    key = Buffer.concat([last.key, Buffer.from([0])])
  }
  return {
    entries: kvs.map(kv => entryOf(kv, prefix)),
    revision: BigInt(pinned.revision),
    clusterId: pinned.clusterId
  }
}
