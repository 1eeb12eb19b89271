import { recordOf as trafficOf } from '../../logger/record.js'
import { latencies, series } from '../../logger/report.js'
import type { PeerState } from '../../store/peer.js'
import type { Service } from '../../store/service.js'
import type { Gateway } from '../gateway.js'
import { recordOf } from '../news/records.js'
import { iso, rounded } from '../as-json.js'
import { statusOf } from './status.js'

/** How far back latencies and seconds reach, s. */
const REACH = 60

/**
 * One peer as it is in the status, and what takes more room: `codes` since first seen, `latency` and `history` of the last
 * minute, `checks` (equal ones in a row as one, oldest first) and its `events`.
 */
export function peerDetail (gateway: Gateway, service: Service, state: PeerState) {
  const now = gateway.now()
  const last = Math.floor(now / 1000) - 1
  const { id, scheme } = state.peer
  return {
    ...statusOf(gateway, service, state, now),
    codes: trafficOf(state)?.codes.told() ?? [],
    latency: latencies(state, REACH, now),
    history: series(state, last - REACH + 1, last).map(({ second, requests, errors }) => ({ at: iso(second * 1000), requests, errors })),
    checks: state.checkRuns.map(({ ok, status, error, count, from, to, slowest }) => ({ ok, status, error, count, from: iso(from), to: iso(to), slowestMs: rounded(slowest) })),
    events: gateway.journal.of(service.name).filter(({ peer, scheme: by }) => peer === id && by === scheme).map(happening => recordOf(gateway.epoch, happening))
  }
}
