import { isUtf8 } from 'node:buffer'
import type { Etcd3 } from 'etcd3'
import type { Peer } from '../../store/peer.js'
import { Refusal } from '../../syncer/refusal.js'
import type { Entry } from '../../syncer/source.js'
import { entryOf, keyOf } from './keys.js'

const CHANGED = 'its registration was changed meanwhile; look again'

/**
 * Puts what `edit` makes of a key, if that is still at the revision of `peer`: read, and written by a transaction that fails
 * when anybody was faster. The key stays on its lease, whichever that is by then. Resolves with the revision.
 */
export async function amend (client: Etcd3, prefix: string, { key: text, modRevision }: Pick<Peer, 'key' | 'modRevision'>, edit: (entry: Entry) => string): Promise<bigint> {
  const key = keyOf(text, prefix)
  const { kvs: [kv] } = await client.kv.range({ key })
  if (kv === undefined || BigInt(kv.mod_revision) !== modRevision) throw new Refusal(CHANGED)
  if (!isUtf8(kv.value)) throw new Refusal('its registration is not text, and cannot be changed here')
  const value = Buffer.from(edit(entryOf(kv, prefix)))
  const { succeeded, header } = await client.kv.txn({
    compare: [{ key, target: 'Mod', result: 'Equal', mod_revision: String(modRevision) }],
    success: [{ request_put: { key, value, ignore_lease: true } }]
  })
  if (!succeeded) throw new Refusal(CHANGED)
  return BigInt(header.revision)
}
