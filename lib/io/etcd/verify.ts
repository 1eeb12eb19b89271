import type { Etcd3 } from 'etcd3'
import { digestOf } from '../../syncer/digest.js'
import type { Anchor, Position } from '../../syncer/source.js'
import { entryOf, rangeOf } from './keys.js'

/** Whether the store is the one that was followed; `compacted` when it looks like it and can no longer be asked. */
export type History = 'same' | 'compacted' | 'other'

/** Is this still the store that the position was read from? `clusterId` is that store's. */
export async function historyOf (client: Etcd3, prefix: string, { cursor, keys }: Position, anchors: readonly Anchor[], clusterId: string): Promise<History> {
  const range = rangeOf(prefix)
  const { header } = await client.kv.range({ ...range, count_only: true })
  if (header.cluster_id !== clusterId || BigInt(header.revision) < cursor) return 'other'
  // A store that was replaced may have passed our cursor already, and count alike when the same scripts filled it. So the
  // number of keys, and some of them with what they held, are read as of our cursor.
  const revision = String(cursor)
  const questions = [{ ...range, count_only: true }, ...anchors.map(({ key }) => ({ key: Buffer.from(key) }))]
  try {
    const { responses } = await client.kv.txn({ success: questions.map(question => ({ request_range: { ...question, revision } })) })
    const [count, ...answers] = responses.map(({ response_range: answer }) => answer)
    const isSame = Number(count?.count) === keys && anchors.every((anchor, i) => {
      const [kv] = answers[i]?.kvs ?? []
      if (kv === undefined) return false
      const entry = entryOf(kv, prefix)
      return entry.modRevision === anchor.modRevision && digestOf(entry) === anchor.digest
    })
    return isSame ? 'same' : 'other'
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
