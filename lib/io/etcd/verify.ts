import type { Etcd3 } from 'etcd3'
import type { Position } from '../../syncer/source.js'
import { rangeOf } from './keys.js'

/** Whether the store is the one that was followed; `compacted` when it looks like it and can no longer be asked. */
export type History = 'same' | 'compacted' | 'other'

/** Is this still the store that the position was read from? `clusterId` is that store's. */
export async function historyOf (client: Etcd3, prefix: string, position: Position, clusterId: string): Promise<History> {
  const { header } = await client.kv.range({ ...rangeOf(prefix), count_only: true })
  if (header.cluster_id !== clusterId || BigInt(header.revision) < position.cursor) return 'other'
  if (position.anchor === null) return 'same'
  // A store that was replaced may have passed our cursor already. So one key that we know is read as of our cursor.
  try {
    const { kvs } = await client.kv.range({ key: Buffer.from(position.anchor.key), revision: String(position.cursor), keys_only: true })
    return kvs[0] !== undefined && BigInt(kvs[0].mod_revision) === position.anchor.modRevision ? 'same' : 'other'
  } catch (error) {
    if (String(error).includes('compacted')) return 'compacted'
    if (String(error).includes('future revision')) return 'other'
    throw error
  }
}

/**
 * Asks etcd, by a linearizable read, what there is beyond the position. `null`: nothing, we are in step. A revision: up to
 * there something was written that has not come yet. `'unknown'`: keys were deleted, at a revision that nobody can tell.
 * Throws when the store that answers cannot be the one that is followed.
 */
export async function outstanding (client: Etcd3, prefix: string, position: () => Position, clusterId: string): Promise<bigint | 'unknown' | null> {
  const range = rangeOf(prefix)
  const before = position().cursor
  const { header } = await client.kv.range({ ...range, count_only: true })
  const head = BigInt(header.revision)
  if (head < before || header.cluster_id !== clusterId) throw new Replaced(`etcd answers from another store: revision ${head} after ${before}`)
  if (head <= position().cursor) return null
  // The head counts writes anywhere in the store. Only those below our prefix matter.
  const { cursor } = position()
  const newer = await client.kv.range({ ...range, min_mod_revision: String(cursor + 1n), keys_only: true })
  const revisions = newer.kvs.map(kv => BigInt(kv.mod_revision))
  if (revisions.length === 0) return Number(newer.count) === position().keys ? null : 'unknown'
  const latest = revisions.reduce((a, b) => b > a ? b : a)
  return latest <= position().cursor ? null : latest
}

/** The store that answers is not the one that is followed: the watch is worth nothing. */
export class Replaced extends Error {}
