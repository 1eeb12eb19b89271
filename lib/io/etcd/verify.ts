import type { Etcd3 } from 'etcd3'
import type { Position } from '../../syncer/source.js'
import { rangeOf } from './keys.js'

/** Is this still the store that the position was read from? `clusterId` is that store's. */
export async function isSameHistory (client: Etcd3, prefix: string, position: Position, clusterId: string): Promise<boolean> {
  const { header } = await client.kv.range({ ...rangeOf(prefix), count_only: true })
  if (header.cluster_id !== clusterId || BigInt(header.revision) < position.cursor) return false
  if (position.anchor === null) return true
  // A store that was replaced may have passed our cursor already. So one key that we know is read as of our cursor.
  try {
    const { kvs } = await client.kv.range({ key: Buffer.from(position.anchor.key), revision: String(position.cursor), keys_only: true })
    return kvs[0] !== undefined && BigInt(kvs[0].mod_revision) === position.anchor.modRevision
  } catch (error) {
    if (/compacted|future revision/.test(String(error))) return false
    throw error
  }
}

/**
 * Asks etcd, by a linearizable read, what there is beyond the position. `null`: nothing, we are in step. A revision: up to
 * there something was written that has not come yet. `'unknown'`: keys were deleted, at a revision that nobody can tell.
 */
export async function outstanding (client: Etcd3, prefix: string, position: () => Position): Promise<bigint | 'unknown' | null> {
  const range = rangeOf(prefix)
  const head = await client.kv.range({ ...range, count_only: true })
  if (BigInt(head.header.revision) <= position().cursor) return null
  // The head counts writes anywhere in the store. Only those below our prefix matter.
  const { cursor } = position()
  const newer = await client.kv.range({
    ...range,
    min_mod_revision: String(cursor + 1n),
    sort_target: 'Mod',
    sort_order: 'Descend',
    limit: 1,
    keys_only: true
  })
  const latest = newer.kvs[0]
  if (latest !== undefined) {
    const revision = BigInt(latest.mod_revision)
    return revision <= position().cursor ? null : revision
  }
  return Number(newer.count) === position().keys ? null : 'unknown'
}
