import type { Etcd3 } from 'etcd3'
import { digestOf } from '../../syncer/digest.js'
import type { Anchor, Position } from '../../syncer/source.js'
import { entryOf, rangeOf } from './keys.js'

/** Whether the store is the one that was followed; `compacted` when it looks like it and can no longer be asked. */
export type History = 'same' | 'compacted' | 'replaced'

/** Where the store is, by a linearizable read of as little as there is. */
async function headOf (client: Etcd3, prefix: string): Promise<{ revision: string, cluster_id: string }> {
  return (await client.kv.range({ key: rangeOf(prefix).key, keys_only: true })).header
}

/** Is this still the store that the position was read from? */
export async function historyOf (client: Etcd3, prefix: string, { cursor, keys, storeId }: Position, anchors: readonly Anchor[]): Promise<History> {
  const range = rangeOf(prefix)
  const header = await headOf(client, prefix)
  if (header.cluster_id !== storeId || BigInt(header.revision) < cursor) return 'replaced'
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
    return isSame ? 'same' : 'replaced'
  } catch (error) {
    if (String(error).includes('compacted')) return 'compacted'
    if (String(error).includes('future revision')) return 'replaced'
    throw error
  }
}

/** What a question about the present has shown. */
export interface Standing {
  /** The revision that the store was at. */
  readonly head: bigint
  /**
   * What has not come yet up to there: null when nothing, the revision of the last change, or `unknown` when keys were
   * deleted, at a revision that nobody can tell.
   */
  readonly missing: bigint | 'unknown' | null
}

/**
 * Asks etcd, by a linearizable read, what there is beyond the position. Throws when the store that answers cannot be the
 * one that is followed.
 */
export async function standing (client: Etcd3, prefix: string, position: () => Position): Promise<Standing> {
  const range = rangeOf(prefix)
  const { cursor: before, storeId } = position()
  const header = await headOf(client, prefix)
  const head = BigInt(header.revision)
  if (head < before || header.cluster_id !== storeId) throw new Replaced(`etcd answers from another store: revision ${head} after ${before}`)
  if (head <= position().cursor) return { head, missing: null }
  // The head counts writes anywhere in the store. Only those below our prefix matter.
  const { cursor } = position()
  const newer = await client.kv.range({ ...range, min_mod_revision: String(cursor + 1n), keys_only: true })
  const at = BigInt(newer.header.revision)
  const latest = newer.kvs.reduce((most, kv) => BigInt(kv.mod_revision) > most ? BigInt(kv.mod_revision) : most, 0n)
  // What came while the question was on its way may be all of it.
  if (latest > position().cursor) return { head: at, missing: latest }
  if (latest > 0n) return { head: position().cursor, missing: null }
  return { head: at, missing: Number(newer.count) === position().keys ? null : 'unknown' }
}

/** The store that answers is not the one that is followed: the watch is worth nothing. */
export class Replaced extends Error {}
