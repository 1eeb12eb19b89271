import { recent, type Recent } from '../../logger/report.js'
import { recordOf } from '../../logger/record.js'
import { noErrors, type StatusClass } from '../../logger/outcome.js'
import { conditionOf, isEligible, serviceCondition } from '../../store/condition.js'
import { nameOf } from '../../picker/balancers/make.js'
import { waitingIn } from '../../picker/queue.js'
import type { CheckResult, LoadReport, PeerState, Weighed } from '../../store/peer.js'
import type { Service } from '../../store/service.js'
import type { Gateway } from '../gateway.js'
import { iso, isoOrNull, rounded, roundedOrNull } from '../as-json.js'
import { hideIn, hideInAny, redact } from './redact.js'
import { atOnce } from './slices.js'

/** How far back rates, shares and percentiles reach (s), or the statistics' window when that is shorter. */
const REACH = 60

/** The JSON of `GET /_upstreams`: the whole truth about this gateway, numbers as they are just now. */
export function status (gateway: Gateway) {
  return atOnce(statusSteps(gateway))
}

/** The same step by step, for gateways with so many peers that nobody should wait for all of them. */
export function * statusSteps (gateway: Gateway) {
  const now = gateway.now()
  const services: ServiceStatus[] = []
  for (const service of gateway.store.sorted()) services.push(yield * serviceSteps(gateway, service, now))
  return { ...head(gateway, now), totals: totals(services), services }
}

/** What is said before anything is said of services. */
export function head (gateway: Gateway, now: number) {
  const { registry, node } = gateway
  return {
    schema: 1 as const,
    now: iso(now),
    ready: registry.isReady,
    node: { id: node.id, pid: node.pid, startedAt: iso(node.startedAt), version: node.version },
    registry: registryStatus(gateway, now)
  }
}

/** What is known of the registry itself. */
export function registryStatus ({ registry, syncer, settings }: Gateway, now: number) {
  const { lastVerifiedAt } = registry
  return {
    kind: registry.kind,
    state: registry.state(now),
    keyPrefix: settings.keyPrefix,
    revision: registry.kind === 'static' ? null : syncer.position?.cursor.toString() ?? null,
    lastVerifiedAt: isoOrNull(lastVerifiedAt),
    stalenessMs: registry.kind === 'static' || lastVerifiedAt === null ? null : Math.round(now - lastVerifiedAt),
    reconnects: registry.reconnects,
    resyncs: { ...registry.resyncs },
    invalidKeys: [...syncer.invalidKeys].map(([key, error]) => ({ key, error: hideIn(error) })).sort((a, b) => a.key < b.key ? -1 : 1),
    lastError: hideInAny(registry.lastError)
  }
}

export type Status = ReturnType<typeof status>
export type ServiceStatus = ReturnType<typeof serviceStatus>
export type PeerStatus = ReturnType<typeof peerStatus>

function compare (a: string, b: string): number {
  return a === b ? 0 : a < b ? -1 : 1
}

/** One service with its peers, sorted by id. */
export function serviceStatus (gateway: Gateway, service: Service, now: number) {
  return atOnce(serviceSteps(gateway, service, now))
}

/** So many peers are looked at between two steps. */
const STEP = 64

/** The same step by step, for services with so many peers that nobody should wait for all of them. */
export function * serviceSteps (gateway: Gateway, service: Service, now: number) {
  const { picker, logger } = gateway
  const seconds = Math.min(REACH, logger.seconds)
  // The plan first: bringing it up to date also brings the ramps up to date.
  const shares = picker.shares(service, now)
  const { panic } = picker.plan(service, now)
  const condition = serviceCondition(service, panic)
  const wrong = picker.trouble(service)
  const trouble = wrong === null ? null : `its own balancer fails, round robin chooses: ${hideIn(wrong)}`
  const states = [...service.peers.values()].sort((a, b) => compare(a.peer.id, b.peer.id) || compare(a.peer.scheme, b.peer.scheme))
  const recents = new Map<PeerState, Recent>()
  for (const state of states) {
    recents.set(state, recent(state, seconds, now))
    if (recents.size % STEP === 0) yield
  }
  const attempts = [...recents.values()].reduce((sum, { requests }) => sum + requests, 0)
  const peers = []
  for (const state of states) {
    peers.push(peerStatus(state, service, shares.get(state), recents.get(state), attempts))
    if (peers.length % STEP === 0) yield
  }
  return {
    name: service.name,
    state: trouble !== null && condition.state === 'healthy' ? 'degraded' as const : condition.state,
    // Whether anybody is registered is not known before that.
    reason: states.length === 0 && !gateway.registry.isReady ? 'the registry has not been read yet' : condition.reason ?? trouble ?? (service.shed > 0 ? `an operator has ${rounded(service.shed * 100)} % of the requests refused` : null),
    balancer: nameOf(service.settings.balancer),
    revision: gateway.registry.kind === 'static' ? null : service.revision.toString(),
    peersTotal: states.length,
    peersEligible: states.filter(isEligible).length,
    panic,
    inflight: states.reduce((sum, { inflight }) => sum + inflight, 0),
    queued: waitingIn(service),
    ...rates(recent(service, seconds, now)),
    peers
  }
}

/** One peer of a service. O(peers): what its share is depends on all of them. */
export function statusOf (gateway: Gateway, service: Service, state: PeerState, now: number): PeerStatus | null {
  const { id, scheme } = state.peer
  return serviceStatus(gateway, service, now).peers.find(peer => peer.id === id && peer.scheme === scheme) ?? null
}

function peerStatus (state: PeerState, service: Service, shares: { effective: number, expectedShare: number } | undefined, recents: Recent | undefined, attempts: number) {
  const { peer } = state
  const { state: word, eligible, reason, since, until } = conditionOf(state)
  const record = recordOf(state)
  return {
    id: peer.id,
    host: peer.host,
    port: peer.port,
    scheme: peer.scheme,
    state: word,
    eligible,
    reason: hideInAny(reason),
    since: iso(since),
    until: isoOrNull(until),
    weight: {
      configured: peer.weight,
      effective: rounded(shares?.effective ?? 0),
      share: attempts === 0 ? null : rounded((recents?.requests ?? 0) / attempts),
      expectedShare: rounded(shares?.expectedShare ?? 0),
      override: state.weighed === null ? null : override(state.weighed)
    },
    inflight: state.inflight,
    maxInflight: peer.maxInflight === 0 ? service.settings.limits.maxInflight : peer.maxInflight,
    priority: peer.priority,
    zone: peer.zone,
    load: state.load === null ? null : load(state.load, state.reportedWeight),
    ...rates(recents),
    responses: responses(record?.codes.classes),
    errors: { ...(record?.errors ?? noErrors()) },
    check: state.lastCheck === null ? null : check(state.lastCheck),
    ejections: state.ejections,
    registration: {
      key: peer.key,
      modRevision: peer.modRevision.toString(),
      lease: peer.lease === 0n ? null : peer.lease.toString(),
      startAt: isoOrNull(peer.startAt),
      params: redact(peer.params)
    }
  }
}

function rates (of: Recent | undefined) {
  return {
    rps: rounded(of?.rps ?? 0),
    errorRate: of === undefined || of.errorRate === null ? null : rounded(of.errorRate),
    latencyMs: { p50: roundedOrNull(of?.latencyMs.p50), p90: roundedOrNull(of?.latencyMs.p90), p99: roundedOrNull(of?.latencyMs.p99) }
  }
}

const none = { 0: 0, 1: 0, 2: 0, 3: 0, 4: 0, 5: 0 }

/** `other` is there once an answer had a status outside 1xx…5xx. */
function responses (classes: Record<StatusClass, number> = none): Record<'1xx' | '2xx' | '3xx' | '4xx' | '5xx', number> & { other?: number } {
  const { 0: other, 1: one, 2: two, 3: three, 4: four, 5: five } = classes
  return { '1xx': one, '2xx': two, '3xx': three, '4xx': four, '5xx': five, ...(other > 0 && { other }) }
}

/** What a peer says of its load. `weight` is what that makes of its weight; null while nothing. */
function load ({ cpu, application, rps, eps, named, at }: LoadReport, weight: number | null) {
  return { at: iso(at), cpuUtilization: cpu, applicationUtilization: application, rps, eps, named: Object.fromEntries(named), weight: roundedOrNull(weight) }
}

/** An operator's weight in place of the registry's. */
function override ({ weight, reason, since, until }: Weighed) {
  return { weight, reason: hideIn(reason), since: iso(since), until: iso(until) }
}

function check (result: CheckResult) {
  const { at, ok, status, ms, error, streak } = result
  return { at: iso(at), ok, status, ms: rounded(ms), error: hideInAny(error), streak }
}

/** What they come to together. */
export function totals (services: ReadonlyArray<Omit<ServiceStatus, 'peers'>>) {
  const sum = (of: (service: Omit<ServiceStatus, 'peers'>) => number): number => services.reduce((total, service) => total + of(service), 0)
  return {
    services: services.length,
    peers: sum(({ peersTotal }) => peersTotal),
    peersEligible: sum(({ peersEligible }) => peersEligible),
    inflight: sum(({ inflight }) => inflight),
    rps: rounded(sum(({ rps }) => rps))
  }
}
