import type { Etcd3, IKeyValue } from 'etcd3'
import { digestOf } from '../../syncer/digest.js'
import type { Anchor, Position } from '../../syncer/source.js'
import { now } from '../clock.js'
import { entryOf, keyOf, rangeOf } from './keys.js'

/** Whether the store is the one that was followed; `compacted` when it looks like it and can no longer be asked. */
export type History = 'same' | 'compacted' | 'replaced'

/** Is this still the store that the position was read from? */
export async function historyOf (client: Etcd3, prefix: string, { reached, keys, storeId }: Position, anchors: readonly Anchor[]): Promise<History> {
  const range = rangeOf(prefix)
  const { header } = await client.kv.range({ key: range.key, keys_only: true })
  if (header.cluster_id !== storeId || BigInt(header.revision) < reached) return 'replaced'
  // A store that was replaced may have passed our revision already, and count alike when the same scripts filled it. So the
  // number of keys, and some of them with what they held, are read as of that revision.
  const revision = String(reached)
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
  /** Something below the prefix has not come yet, of what was written up to `head`. */
  readonly isBehind: boolean
  /** A revision that the store was at. */
  readonly head: bigint
  /** When the question was asked: whoever is in step is so as of then. Epoch ms. */
  readonly askedAt: number
}

/**
 * Asks etcd, by a linearizable read, whether there is anything beyond the position. Throws when the store that answers
 * cannot be the one that is followed.
 */
export async function standing (client: Etcd3, prefix: string, position: () => Position): Promise<Standing> {
  const range = rangeOf(prefix)
  const askedAt = now()
  const { cursor: before, storeId, newest } = position()
  // As little as there is to read, and a key by which the store can be told from another one that has passed our cursor.
  const { header, kvs: [kv] } = await client.kv.range({ key: newest === null ? range.key : keyOf(newest.key, prefix) })
  const head = BigInt(header.revision)
  const isOther = newest !== null && kv !== undefined && BigInt(kv.mod_revision) <= before && !isAnchor(kv, newest, prefix)
  if (isOther || head < before || header.cluster_id !== storeId) throw new Replaced(`etcd answers from another store: at revision ${head}, after ${before}`)
  const { cursor } = position()
  if (head <= cursor) return { isBehind: false, head, askedAt }
  // The head counts writes anywhere in the store. Only those below our prefix matter.
  const newer = await client.kv.range({ ...range, min_mod_revision: String(cursor + 1n), keys_only: true })
  if (newer.header.cluster_id !== storeId || BigInt(newer.header.revision) < head) throw new Replaced(`etcd answers from another store: at revision ${newer.header.revision}, after ${head}`)
  // What came while the question was on its way may be all of it.
  if (head <= position().cursor) return { isBehind: false, head, askedAt }
  // A key that was put since tells by its revision, and the number of keys tells of those that were deleted.
  const isBehind = newer.kvs.some(({ mod_revision: revision }) => BigInt(revision) > position().cursor) || Number(newer.count) !== position().keys
  return { isBehind, head: isBehind ? head : BigInt(newer.header.revision), askedAt }
}

/** The store that answers is not the one that is followed: the watch is worth nothing. */
export class Replaced extends Error {}
