import type { CheckResult, CheckRun, PeerState } from '../store/peer.js'

/** How many runs of a peer are remembered. A peer that does well has one, however often it is checked. */
const REMEMBERED = 8

/** Notes what a check came to: equal results in a row are one run. */
export function note (state: PeerState, { ok, status, ms, error, at }: CheckResult): void {
  const last = state.checkRuns.at(-1)
  if (last !== undefined && last.ok === ok && last.status === status && last.error === error) {
    last.count++
    last.to = at
    last.slowest = Math.max(last.slowest, ms)
    return
  }
  state.checkRuns = [...state.checkRuns.slice(1 - REMEMBERED), { ok, status, error, count: 1, from: at, to: at, slowest: ms } satisfies CheckRun]
}
