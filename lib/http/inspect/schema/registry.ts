import { REGISTRY_KINDS, REGISTRY_WORDS } from '../../../syncer/registry.js'
import { bigNumberOrNull, closed, count, listOf, oneOf, text, textOrNull, timeOrNull } from './parts.js'

/** How the registry is; beside the status, `GET /ready` has it too. */
export const registrySchema = closed('Registry', 'What is known of the registry itself', {
  kind: oneOf('Where registrations come from: etcd, or code', REGISTRY_KINDS),
  state: oneOf('syncing: not read yet. live: seen to hold nothing new within the last 6 s. stale: not so. snapshot: not read yet, served by the snapshot file. static: in code', REGISTRY_WORDS),
  keyPrefix: text('Where registrations live'),
  revision: bigNumberOrNull('The revision up to which everything is applied; null while nothing was read, and of registrations in code'),
  lastVerifiedAt: timeOrNull('When the registry was last seen to hold nothing that is not applied'),
  stalenessMs: { description: 'How long ago that was (ms)', type: ['integer', 'null'] },
  reconnects: count('How often the connection was made again'),
  resyncs: closed('Resyncs', 'How often everything was listed again, or had to be repaired, by reason', {
    compacted: count('etcd no longer had the changes since'),
    replaced: count('Another store answers'),
    missed: count('Changes had not been told'),
    comparison: count('A comparison of all that is held found a difference')
  }),
  invalidKeys: listOf('Invalid keys', 'Keys with something wrong in them, sorted by key', closed('Invalid key', 'One key', {
    key: text('The key'),
    error: text('What is wrong with it, without secrets')
  })),
  lastError: textOrNull('What keeps the registry from being followed, a sentence with its cause; null when nothing does')
})
