import type { Etcd3, IKeyValue } from 'etcd3'
import { digestOf } from '../../syncer/digest.js'
import type { Anchor, Position } from '../../syncer/source.js'
import { entryOf, keyOf, rangeOf } from './keys.js'

/** Whether the store is the one that was followed; `compacted` when it looks like it and can no longer be asked. */
export type History = 'same' | 'compacted' | 'replaced'

/** Is this still the store that the position was read from? */
export async function historyOf (client: Etcd3, prefix: string, { cursor, keys, storeId }: Position, anchors: readonly Anchor[]): Promise<History> {
  const range = rangeOf(prefix)
  const { header } = await client.kv.range({ key: range.key, keys_only: true })
  if (header.cluster_id !== storeId || BigInt(header.revision) < cursor) return 'replaced'
  // A store that was replaced may have passed our cursor already, and count alike when the same scripts filled it. So the
  // number of keys, and some of them with what they held, are read as of our cursor.
  const revision = String(cursor)
  const questions = [{ ...range, count_only: true }, ...anchors.map(({ key }) => ({ key: keyOf(key, prefix) }))]
  try {
    const { responses } = await client.kv.txn({ success: questions.map(question => ({ request_range: { ...question, revision } })) })
    const [count, ...answers] = responses.map(({ response_range: answer }) => answer)
    const isSame = Number(count?.count) === keys && anchors.every((anchor, i) => {
      const [kv] = answers[i]?.kvs ?? []
      return kv !== undefined && isAnchor(kv, anchor, prefix)
    })
    return isSame ? 'same' : 'replaced'
  } catch (error) {
    if (String(error).includes('compacted')) return 'compacted'
    if (String(error).includes('future revision')) return 'replaced'
    throw error
  }
}

function isAnchor (kv: IKeyValue, anchor: Anchor, prefix: string): boolean {
  const entry = entryOf(kv, prefix)
  return entry.modRevision === anchor.modRevision && digestOf(entry) === anchor.digest
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
  const { cursor: before, storeId, newest } = position()
  // As little as there is to read, and a key by which the store can be told from another one that has passed our cursor.
  const { header, kvs: [kv] } = await client.kv.range({ key: newest === null ? range.key : keyOf(newest.key, prefix) })
  const head = BigInt(header.revision)
  const isOther = newest !== null && kv !== undefined && BigInt(kv.mod_revision) <= before && !isAnchor(kv, newest, prefix)
  if (isOther || head < before || header.cluster_id !== storeId) throw new Replaced(`etcd answers from another store: at revision ${head}, after ${before}`)
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
