// @ts-check
/** What is said of peers, services and the registry. No DOM here: see words.js. */
import { byTrouble, clipped, clock, figure, lookOf, ms, percent, plain, quoted, span } from './words.js'

/**
 * @typedef {import('../../inspect/status.js').PeerStatus} PeerStatus
 * @typedef {Omit<import('../../inspect/status.js').ServiceStatus, 'peers'>} Service
 * @typedef {ReturnType<typeof import('../../inspect/status.js').registryStatus>} Registry
 * @typedef {ReturnType<typeof import('../../inspect/status.js').status>['totals']} Totals
 * @typedef {readonly (readonly [number, number, number])[]} History
 * @typedef {{ tone: string, title: string, text: string, code?: string }} Notice
 */

/** Columns of a peer's row: the class of its cells, and the heading. */
export const COLUMNS = /** @type {const} */ ([
  ['state', 'State'],
  ['peer', 'Peer'],
  ['why', 'Why, since, until'],
  ['weight', 'Weight'],
  ['share', 'Share / expected'],
  ['inflight', 'In flight'],
  ['rps', 'Req/s'],
  ['errors', 'Errors 1 min'],
  ['latency', 'p50 / p90 / p99 ms'],
  ['check', 'Last check'],
  ['spark', 'Last 60 s']
])

/** The text of each column; the sparkline's is what it shows. @type {(peer: PeerStatus, history: History, now: number) => string[]} */
export function cells (peer, history, now) {
  const { weight, latencyMs: { p50, p90, p99 } } = peer
  return [
    `${lookOf(peer.state).glyph} ${peer.state}`,
    peer.scheme === 'https' ? `https://${peer.id}` : peer.id,
    why(peer, now),
    `${figure(weight.effective)} / ${figure(weight.configured)}`,
    `${percent(weight.share)} / ${percent(weight.expectedShare)}`,
    peer.maxInflight > 0 ? `${peer.inflight} of ${peer.maxInflight}` : String(peer.inflight),
    figure(peer.rps),
    percent(peer.errorRate),
    `${ms(p50)} / ${ms(p90)} / ${ms(p99)}`,
    checked(peer.check, now),
    sparkText(history, now)
  ]
}

/** @type {(check: PeerStatus['check'], now: number) => string} */
function checked (check, now) {
  if (check === null) return '–'
  const { ok, status, at, ms: took } = check
  const came = ok ? `✓ ${status ?? 'connected'} in ${ms(took)} ms` : `✕ ${status ?? 'failed'}`
  return `${came}, ${span(now - Date.parse(at))} ago`
}

/** @type {(peer: PeerStatus, now: number) => string} */
function why ({ reason, since, until }, now) {
  const began = `since ${clock(since, now)} (${span(now - Date.parse(since))})`
  const end = until === null ? '' : `, until ${clock(until, now)} (${Date.parse(until) > now ? `in ${span(Date.parse(until) - now)}` : 'now'})`
  return `${reason === null ? '' : `${plain(reason)} · `}${began}${end}`
}

/** Width and heights of a sparkline, px: a second is 2 wide, below the bars there is room for ticks. */
export const SPARK = { width: 120, bars: 18, height: 24 }

/** The paths of a sparkline: bars of requests, each second by the highest one, and a tick below for each second with an error. @type {(history: History, now: number) => { requests: string, errors: string }} */
export function spark (history, now) {
  const last = Math.floor(now / 1000) - 1
  const shown = history.filter(([second]) => second > last - 60 && second <= last)
  const most = Math.max(1, ...shown.map(([, requests]) => requests))
  const x = (/** @type {number} */ second) => SPARK.width - 1 - 2 * (last - second)
  return {
    requests: shown.map(([second, n]) => `M${x(second)} ${SPARK.bars}V${figure(SPARK.bars - Math.max(1, n / most * SPARK.bars))}`).join(''),
    errors: shown.filter(([,, n]) => n > 0).map(([second]) => `M${x(second)} ${SPARK.bars + 2}V${SPARK.height}`).join('')
  }
}

/** @type {(history: History, now: number) => string} */
function sparkText (history, now) {
  const last = Math.floor(now / 1000) - 1
  let [requests, errors] = [0, 0]
  for (const [second, n, bad] of history) {
    if (second <= last - 60) continue
    requests += n
    errors += bad
  }
  return `${requests} requests, ${errors} errors in 60 s`
}

/** The line below the name of a service. @type {(service: Service) => string} */
export function facts ({ balancer, peersEligible, peersTotal, inflight, queued, rps, errorRate, latencyMs: { p50, p90, p99 } }) {
  return `${peersEligible} of ${peersTotal} peers eligible · ${balancer} · ${figure(rps)} req/s · errors ${percent(errorRate)} · ` +
    `p50 ${ms(p50)} · p90 ${ms(p90)} · p99 ${ms(p99)} ms · ${inflight} in flight${queued === 0 ? '' : ` · ${queued} waiting`}`
}

/** The registry in one line. @type {(registry: Registry, now: number) => string} */
export function freshness ({ kind, state, keyPrefix, revision, lastVerifiedAt, reconnects }, now) {
  if (kind === 'static') return `Registry ${lookOf(state).glyph} static · the peers given in code`
  const verified = lastVerifiedAt === null ? 'not read yet' : `verified ${span(now - Date.parse(lastVerifiedAt))} ago`
  return `Registry ${lookOf(state).glyph} ${state} · etcd below ${plain(keyPrefix)} · revision ${revision ?? '–'} · ${verified}` +
    (reconnects === 0 ? '' : ` · reconnected ${reconnects} times`)
}

/** Which process tells all this. @type {(node: { id: string, version: string, startedAt: string }) => string} */
export function nodeLine ({ id, version, startedAt }) {
  return `${id} · version ${version} · up since ${startedAt.slice(0, 19)}Z`
}

/** @type {(totals: Totals) => string} */
export function totalsLine ({ services, peers, peersEligible, inflight, rps }) {
  return `${services} ${services === 1 ? 'service' : 'services'} · ${peersEligible} of ${peers} peers eligible · ${figure(rps)} req/s · ${inflight} in flight`
}

/** The command that registers a peer. @type {(registry: Registry, service: string) => string} */
function put ({ kind, keyPrefix }, service) {
  return kind === 'static'
    ? `peers: { ${JSON.stringify(service)}: { '127.0.0.1:8080': { weight: 1 } } }`
    : `etcdctl put ${keyPrefix.startsWith('-') ? '-- ' : ''}${quoted(`${keyPrefix}${service}/127.0.0.1:8080`)} '{"weight": 1}'`
}

/** What is to be known and done before anything else. @type {(registry: Registry, services: readonly Service[], now: number) => Notice[]} */
export function notices (registry, services, now) {
  const { state, kind, keyPrefix, lastVerifiedAt, lastError, invalidKeys } = registry
  const because = lastError === null ? '' : ` ${plain(lastError)}.`
  const as = lastVerifiedAt === null ? '' : `${clock(lastVerifiedAt, now)} (${span(now - Date.parse(lastVerifiedAt))} ago)`
  /** @type {Notice[]} */
  const found = []
  if (state === 'stale') {
    found.push({ tone: 'bad', title: 'The registry is stale', text: `etcd was last seen to hold nothing new at ${as}.${because} Requests go on to the peers below, and checks and outlier detection go on leaving out those that fail. What changes in etcd is followed as soon as it answers again.` })
  } else if (state === 'snapshot') {
    found.push({ tone: 'warn', title: 'Serving by the snapshot file', text: `etcd has not been read since this gateway started.${because} The peers below are those of ${as}; etcd's word replaces them once it answers.` })
  } else if (state === 'syncing') {
    found.push({ tone: 'bad', title: 'The registry has not been read yet', text: `Until it is, requests are answered 503 FST_UPSTREAM_NOT_READY with Retry-After.${because} It is asked again all the time; nothing needs to be restarted.` })
  } else if (lastError !== null) found.push({ tone: 'warn', title: 'The registry has trouble', text: `${plain(lastError)}. What is known is served; it is stale when 6 s go by without an answer.` })
  if (services.length === 0 && state !== 'syncing') {
    found.push({ tone: 'off', title: 'No service is registered', text: kind === 'static' ? 'The option `peers` names none:' : `There is no peer below ${plain(keyPrefix)}. It is here, and takes requests, within milliseconds of this:`, code: put(registry, 'my_service') })
  }
  if (invalidKeys.length > 0) found.push({ tone: 'warn', title: `${invalidKeys.length} ${invalidKeys.length === 1 ? 'key holds' : 'keys hold'} something that cannot be used`, text: invalidKeys.slice(0, 20).map(({ key, error }) => `${clipped(key, 200)}: ${clipped(error, 300)}`).join('\n') })
  return found
}

/** What a service without peers needs. @type {(registry: Registry, service: Service) => Notice | null} */
export function lesson (registry, { name, peersTotal }) {
  if (peersTotal > 0 || registry.state === 'syncing') return null
  return { tone: 'off', title: '', text: 'Requests are answered 503 FST_UPSTREAM_NO_PEER until a peer is registered:', code: put(registry, name) }
}

/** The document's title: what is wrong, before the tab cuts it off. @type {(registry: Registry, services: readonly Service[], link: string) => string} */
export function title (registry, services, link) {
  const troubles = [
    ...(link === '' ? [] : [link]),
    ...(['live', 'static'].includes(registry.state) ? [] : [`registry ${registry.state}`]),
    ...services.filter(({ state }) => !['healthy', 'empty'].includes(state)).sort(byTrouble).map(({ name, state }) => `${clipped(name, 40)} ${state}`)
  ]
  if (troubles.length === 0) return `● ${services.length === 0 ? 'no services' : 'all well'} – upstreams`
  return `▲ ${troubles.slice(0, 2).join(', ')}${troubles.length > 2 ? ` and ${troubles.length - 2} more` : ''} – upstreams`
}
