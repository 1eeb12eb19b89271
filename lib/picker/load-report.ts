import type { LoadReport, PeerState } from '../store/peer.js'
import type { Service } from '../store/service.js'

/**
 * What peers say of their load in the response header `endpoint-load-metrics` (ORCA, the text form of
 * xds.data.orca.v3.OrcaLoadReport: `cpu_utilization=0.3, rps_fractional=120, named_metrics.queue=0.2`), and the weights
 * that follow from it by gRPC's A58: requests a second by utilization, less for errors.
 */

/** A report counts once its peer has reported for so long, and until it is so old (A58's defaults), ms. */
const BLACKOUT = 10_000
const EXPIRATION = 180_000
/** What an error a request is worth in utilization (A58's default). */
const ERROR_PENALTY = 1
/** A peer could write any number of them. */
const MAX_LENGTH = 4096
const MAX_NAMED = 16
/** Pairs of a name and a number. */
const PAIR = /^([\w.-]+)\s*[=:]\s*(\d+(?:\.\d*)?(?:e[+-]?\d+)?|\.\d+)$/i

/** The weight that it takes part in a report's weight; 0 when it says too little. */
function weightOf (utilization: number | null, rps: number | null, eps: number | null): number {
  if (utilization === null || rps === null || rps <= 0) return 0
  const load = utilization + ERROR_PENALTY * (eps ?? 0) / rps
  const weight = rps / load
  return weight > 0 && weight < Infinity ? weight : 0
}

/** Reads a report; null when there is nothing in it that can be used. `before` is the peer's last one. */
export function readReport (text: string, before: LoadReport | null, now: number): LoadReport | null {
  if (text.length > MAX_LENGTH) return null
  const found = new Map<string, number>()
  for (const part of text.replace(/^\s*TEXT\s/i, '').split(',')) {
    const [, name, value] = PAIR.exec(part.trim()) ?? []
    if (name !== undefined && Number(value) < Infinity) found.set(name, Number(value))
  }
  if (found.size === 0) return null
  const named = new Map([...found].filter(([name]) => name.startsWith('named_metrics.'))
    .map(([name, value]): [string, number] => [name.slice('named_metrics.'.length), value]).slice(0, MAX_NAMED))
  const said = (name: string): number | null => found.get(name) ?? null
  const [cpu, application, rps, eps] = [said('cpu_utilization'), said('application_utilization'), said('rps_fractional'), said('eps')]
  // As in A58 and A114: what the application says of itself first, then the processor, then the fullest of what has a name.
  const fullest = named.size === 0 ? null : Math.max(...named.values())
  const weight = weightOf([application, cpu, fullest].find(part => part !== null && part > 0) ?? null, rps, eps)
  const goesOn = before !== null && before.weight > 0 && now - before.at < EXPIRATION
  return { cpu, application, rps, eps, named, weight, at: now, since: goesOn ? before.since : now }
}

/** A peer has answered with this report. What cannot be read says nothing. */
export function takeReport (service: Service, state: PeerState, text: string, now: number): void {
  const report = readReport(text, state.load, now)
  if (report === null) return
  // One without a weight leaves the last that has one in its place, until that is too old.
  if (report.weight === 0 && state.load !== null && state.load.weight > 0) return
  // From now on the plan is brought up to date by the second.
  if (state.load === null) service.touch()
  state.load = report
}

/**
 * Sets the weights that follow from reports: those of the registry for these peers in all, spread by what the reports
 * say. Of fewer than two peers nothing follows, and who does not report keeps the registry's weight. Returns whether
 * there are reports at all.
 */
export function weigh (states: readonly PeerState[], isUsed: boolean, now: number): boolean {
  const heard = isUsed ? states.filter(({ load }) => load !== null && isCounted(load, now)) : []
  const told = heard.length < 2 ? [] : heard
  let [registered, reported] = [0, 0]
  for (const { peer, load } of told) {
    registered += peer.weight
    reported += load?.weight ?? 0
  }
  for (const state of states) state.reportedWeight = null
  for (const state of told) state.reportedWeight = registered * (state.load?.weight ?? 0) / reported
  return isUsed && states.some(({ load }) => load !== null)
}

function isCounted (report: LoadReport, now: number): boolean {
  return report.weight > 0 && now - report.since >= BLACKOUT && now - report.at < EXPIRATION
}
