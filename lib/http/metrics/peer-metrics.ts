import { judgementCounts } from '../../health/judgement.js'
import { checkCounts } from '../../health/queue.js'
import { waitingIn } from '../../picker/queue.js'
import { conditionOf, isEligible, PEER_WORDS } from '../../store/condition.js'
import type { PeerState } from '../../store/peer.js'
import { family, type Sample } from './exposition.js'
import type { Gateway } from '../gateway.js'
import type { Row } from './rows.js'

/** How services and peers are, and what health has made of them. */
export function * peerMetrics (gateway: Gateway, rows: readonly Row[]): Generator<string, void> {
  yield * family('panic', 'gauge', 'Whether health is ignored because too few peers of the service are healthy.', panics(gateway, rows))
  yield * family('requests_queued', 'gauge', 'Requests that wait until a peer of the service has room.', rows.map(({ service, labels }) => ({ labels, value: waitingIn(service) })))
  yield * family('peer_state', 'gauge', 'How the peer is: 1 for the state it is in.', words(rows))
  yield * family('peer_eligible', 'gauge', 'Whether the peer would be picked if there were no panic.', each(rows, state => Number(isEligible(state))))
  yield * family('peer_weight', 'gauge', 'Weight as registered, and after slow start and overrides.', weights(gateway, rows))
  yield * family('requests_in_flight', 'gauge', 'Requests under way at the peer.', each(rows, state => state.inflight))
  yield * family('peer_ejections_total', 'counter', 'Ejections of the peer, by the rule that it broke.', counted(rows, 'reason', state => judgementCounts(state, 'eject')))
  yield * family('peer_spared_total', 'counter', 'Times a guard kept the peer from being ejected, by the rule that it broke.', counted(rows, 'reason', state => judgementCounts(state, 'spare')))
  yield * family('health_checks_total', 'counter', 'Active checks of the peer that have ended.', counted(rows, 'result', checkCounts))
}

function * panics ({ picker, now }: Gateway, rows: readonly Row[]): Generator<Sample, void> {
  for (const { service, labels } of rows) yield { labels, value: Number(picker.plan(service, now()).panic) }
}

// After `panics`, which brings the plans up to date, and with them the ramps.
function * words (rows: readonly Row[]): Generator<Sample, void> {
  for (const { peers } of rows) {
    for (const { state, labels } of peers) {
      const { state: word } = conditionOf(state)
      for (const other of PEER_WORDS) yield { labels: `${labels},state="${other}"`, value: Number(other === word) }
    }
  }
}

function * weights ({ picker, now }: Gateway, rows: readonly Row[]): Generator<Sample, void> {
  for (const { service, peers } of rows) {
    const shares = picker.shares(service, now())
    for (const { state, labels } of peers) {
      yield { labels: `${labels},kind="configured"`, value: state.peer.weight }
      yield { labels: `${labels},kind="effective"`, value: shares.get(state)?.effective ?? 0 }
    }
  }
}

function * each (rows: readonly Row[], of: (state: PeerState) => number): Generator<Sample, void> {
  for (const { peers } of rows) for (const { state, labels } of peers) yield { labels, value: of(state) }
}

/** Of a peer to which nothing has happened there is no sample. */
function * counted (rows: readonly Row[], label: string, of: (state: PeerState) => Iterable<readonly [string, number]>): Generator<Sample, void> {
  for (const { peers } of rows) {
    for (const { state, labels } of peers) {
      for (const [value, count] of of(state)) yield { labels: `${labels},${label}="${value}"`, value: count }
    }
  }
}
