import { setImmediate as turn, setTimeout as sleep } from 'node:timers/promises'
import type { Slices } from '../../syncer/source.js'

/** Does all of it, with a turn of the loop after each slice; an end of `signal` ends it early. */
export async function finish (slices: Slices<unknown>, signal: AbortSignal): Promise<void> {
  while (!signal.aborted && slices.next().done !== true) await turn()
}

/** Ends early, and without an error, when the signal comes. It keeps no process alive. */
export async function wait (ms: number, signal?: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { ref: false, ...(signal && { signal }) }).catch(() => {})
}
