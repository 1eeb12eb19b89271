import { BOUNDS, type Durations } from '../../logger/durations.js'
import { ERROR_KINDS } from '../../logger/outcome.js'
import { recordOf } from '../../logger/record.js'
import { REFUSALS, talliedOf, type Tally } from '../../logger/tally.js'
import { family, type Sample } from './exposition.js'
import type { Row } from './rows.js'

/** The buckets' labels, in seconds as Prometheus wants it. */
const LES = [...BOUNDS.map(ms => String(ms / 1000)), '+Inf']

/**
 * What came of requests, by numbers that only rise. Of a peer or a service without traffic there are no samples; of the
 * others all reasons known beforehand, because a counter that begins with 1 hides its first event from `rate`.
 */
export function * trafficMetrics (rows: readonly Row[]): Generator<string, void> {
  yield * family('requests_total', 'counter', 'Attempts that the peer answered, by status; of rare ones by class.', codes(rows))
  yield * family('request_errors_total', 'counter', 'Attempts at the peer that failed, by how; aborted ones for no fault of its own.', errors(rows))
  yield * family('client_requests_total', 'counter', 'Requests of clients, whatever number of attempts each took, by the status that the client got.', clientCodes(rows))
  yield * family('request_duration_seconds', 'histogram', 'Time that requests of clients took, until the last byte.', durations(rows, ({ requests }) => requests))
  yield * family('time_to_first_byte_seconds', 'histogram', 'Time that attempts took until the response headers.', durations(rows, ({ firstBytes }) => firstBytes))
  yield * family('retries_total', 'counter', 'Attempts after the first, by what went wrong with the one before.', retries(rows))
  yield * family('retry_budget_exhausted_total', 'counter', 'Retries that the budget did not allow.', exhausted(rows))
  yield * family('no_peer_total', 'counter', 'Requests of clients that were answered 503 because nobody could take them, by reason.', refusals(rows))
}

function * codes (rows: readonly Row[]): Generator<Sample, void> {
  for (const { peers } of rows) {
    for (const { state, labels } of peers) {
      for (const [code, value] of recordOf(state)?.codes.told() ?? []) yield { labels: `${labels},code="${code}"`, value }
    }
  }
}

function * errors (rows: readonly Row[]): Generator<Sample, void> {
  for (const { peers } of rows) {
    for (const { state, labels } of peers) {
      const record = recordOf(state)
      if (record !== null) for (const reason of ERROR_KINDS) yield { labels: `${labels},reason="${reason}"`, value: record.errors[reason] }
    }
  }
}

function * clientCodes (rows: readonly Row[]): Generator<Sample, void> {
  for (const { service, labels } of rows) {
    for (const [code, value] of recordOf(service)?.codes.told() ?? []) yield { labels: `${labels},code="${code}"`, value }
  }
}

function * tallies (rows: readonly Row[]): Generator<[Tally, string], void> {
  for (const { service, labels } of rows) {
    const tally = talliedOf(service)
    if (tally !== null) yield [tally, labels]
  }
}

function * durations (rows: readonly Row[], of: (tally: Tally) => Durations): Generator<Sample, void> {
  for (const [tally, labels] of tallies(rows)) yield * histogram(of(tally), labels)
}

/** All of it as of now: where a piece of the text ends in between, others have their turn, and what they count would not add up. */
function histogram ({ counts, sum }: Durations, labels: string): Sample[] {
  let below = 0
  const buckets = LES.map((le, i) => ({ part: '_bucket', labels: `${labels},le="${le}"`, value: (below += counts[i] as number) }))
  return [...buckets, { part: '_sum', labels, value: sum / 1000 }, { part: '_count', labels, value: below }]
}

function * retries (rows: readonly Row[]): Generator<Sample, void> {
  for (const [tally, labels] of tallies(rows)) {
    for (const [reason, value] of tally.retries) yield { labels: `${labels},reason="${reason}"`, value }
  }
}

function * exhausted (rows: readonly Row[]): Generator<Sample, void> {
  for (const [tally, labels] of tallies(rows)) yield { labels, value: tally.exhausted }
}

function * refusals (rows: readonly Row[]): Generator<Sample, void> {
  for (const [tally, labels] of tallies(rows)) {
    for (const reason of REFUSALS) yield { labels: `${labels},reason="${reason}"`, value: tally.refusals[reason] }
  }
}
