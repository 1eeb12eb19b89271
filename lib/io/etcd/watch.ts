import type { Etcd3, IWatchResponse } from 'etcd3'
import type { SourceEvent } from '../../syncer/source.js'
import { entryOf, rangeOf, textOf } from './keys.js'

/** Creating a watch may take this long (ms). */
const CREATE_TIMEOUT = 3000

/** The revisions the watch wanted are gone: only a new listing helps. */
export class Compacted extends Error {}

/** What a watch tells: changes, and by a timed notice that there were none up to a revision. */
export interface WatchNews {
  readonly events: (events: SourceEvent[]) => void
  readonly progress: (revision: bigint) => void
}

/** A watch that is open. */
export interface Watch {
  /** Rejects when the watch ends, with the reason; never resolves. */
  readonly ended: Promise<never>
  cancel: () => void
}

/**
 * Opens a watch of everything below `prefix` from revision `from` on etcd3's raw stream, and resolves once etcd has
 * created it. Each response is handed over as one batch, the parts of a split one together, so that what was written in
 * one transaction is applied in one piece. A revision is told by its events and by the watch's timed notices only: what
 * `created` carries is the store's head, which may be ahead of them.
 */
export async function openWatch (client: Etcd3, prefix: string, from: bigint, news: WatchNews): Promise<Watch> {
  const stream = await client.watchClient.watch()
  let open = true
  let fail: (error: Error) => void = () => {}
  const ended = new Promise<never>((_resolve, reject) => { fail = reject })
  // Whoever gives the watch up early need not hear how it ends. The error listener stays: a cancel is one too.
  ended.catch(() => {})
  const cancel = (): void => {
    open = false
    stream.cancel()
  }
  const late = setTimeout(() => fail(new Error(`etcd did not create the watch within ${CREATE_TIMEOUT} ms`)), CREATE_TIMEOUT)
  const created = new Promise<void>(resolve => {
    const gather = gatherer(prefix, news)
    stream.on('error', fail)
    stream.on('end', () => fail(new Error('etcd ended the watch')))
    stream.on('data', response => {
      // What was on its way when the watch was given up belongs to nobody. What goes wrong ends the watch, not the process.
      try {
        if (open && gather(response)) resolve()
      } catch (error) {
        // Nothing after it may be applied: the cursor would pass what was lost.
        open = false
        fail(error instanceof Error ? error : new Error(String(error)))
      }
    })
  })
  stream.write({ create_request: { ...rangeOf(prefix), start_revision: String(from), progress_notify: true, fragment: true } })
  try {
    await Promise.race([created, ended])
  } catch (error) {
    cancel()
    throw error
  } finally {
    clearTimeout(late)
  }
  return { ended, cancel }
}

/** Takes responses one by one and hands on whole batches. True for the one that says the watch was created. */
function gatherer (prefix: string, { events, progress }: WatchNews): (response: IWatchResponse) => boolean {
  let parts: SourceEvent[] = []
  let id: string | undefined
  return response => {
    const refusal = refusalOf(response)
    if (refusal !== undefined) throw refusal
    // One by one: there may be more of them than a call takes arguments.
    for (const event of eventsOf(response, prefix)) parts.push(event)
    if (response.created) id = response.watch_id
    if (response.fragment) return response.created
    // An empty answer of the watch's own is the timed notice that all up to its revision has been sent.
    if (parts.length === 0 && !response.created && response.watch_id === id) progress(BigInt(response.header.revision))
    if (parts.length > 0) {
      const batch = parts
      parts = []
      events(batch)
    }
    return response.created
  }
}

function refusalOf (response: IWatchResponse): Error | undefined {
  if (!response.canceled) return undefined
  if (response.compact_revision !== '0') {
    return new Compacted(`the changes up to revision ${response.compact_revision} have been compacted away`)
  }
  return new Error(`etcd canceled the watch: ${response.cancel_reason || 'no reason given'}`)
}

function eventsOf ({ events }: IWatchResponse, prefix: string): SourceEvent[] {
  return events.map(({ type, kv }) => String(type).toLowerCase() === 'delete'
    ? { type: 'delete', key: textOf(kv.key, prefix), modRevision: BigInt(kv.mod_revision) }
    : { type: 'put', entry: entryOf(kv, prefix) })
}
