import type { Dispatcher } from 'undici'
import { BadOptionError, SyncError, UnknownServiceError } from '../errors.js'
import type { Outcome } from '../logger/outcome.js'
import { report, type Report } from '../logger/report.js'
import { originFor } from '../picker/origin.js'
import { isEligible } from '../store/condition.js'
import * as overrides from '../store/overrides.js'
import type { PeerState } from '../store/peer.js'
import type { Service } from '../store/service.js'
import type { Gateway } from './gateway.js'
import { publicPick, type PublicPick } from './public-pick.js'
import { recordOf, type UpstreamRecord } from './news/records.js'
import { show, showAll, type Shown, type ShownService } from './show.js'
import { rounded } from './as-json.js'
import { status } from './inspect/status.js'
import type { Waiters } from './waiters.js'
import { OVERRIDE_FOR } from './inspect/wish.js'

const LONGEST = 2 ** 31 - 1
const EVENTS: ReadonlyArray<UpstreamRecord['type']> = ['peer', 'service', 'registry']

declare module 'fastify' {
  interface FastifyInstance {
    upstreams: Upstreams
  }
}

/**
 * What `app.upstreams` is. Names that nobody knows throw FST_UPSTREAM_UNKNOWN_SERVICE (`pick` gives undefined), bad
 * arguments FST_UPSTREAM_BAD_OPTION. Overrides count on this gateway only; those of a peer always expire.
 */
export class Upstreams {
  /**
   * Sends requests to `origin(service)` through the gateway: the `dispatcher` of `fetch` and undici, the `undici` of
   * @fastify/http-proxy. Closing it closes nothing. Fails with FST_UPSTREAM_UNKNOWN_SERVICE, NO_PEER, NOT_READY, SHED,
   * QUEUE_FULL, CONNECT, RESET or TIMEOUT; BAD_OPTION for what it cannot send, such as an origin that is none of ours.
   */
  readonly dispatcher: Dispatcher
  readonly #gateway: Gateway
  readonly #waiters: Waiters

  constructor (gateway: Gateway, waiters: Waiters, dispatcher: Dispatcher) {
    this.#gateway = gateway
    this.#waiters = waiters
    this.dispatcher = dispatcher
  }

  /** In step with the registry at least once. */
  get ready (): boolean {
    return this.#gateway.registry.isReady
  }

  /**
   * The next peer of a service for a request that you send yourself, or undefined when there is none outside `tried` (peer
   * ids). Its `done` must be called with the outcome, once; more calls are harmless. `key` is for the `hash` balancer.
   */
  pick (service: string, { key, tried }: { key?: string, tried?: Iterable<string> } = {}): PublicPick | undefined {
    const { store, picker, now } = this.#gateway
    const known = store.get(service)
    if (known === undefined) return undefined
    const states = tried === undefined ? undefined : new Set([...tried].flatMap(id => known.findAll(id)))
    const pick = picker.pick(known, states, now(), key ?? null)
    return pick === undefined ? undefined : publicPick(pick, now)
  }

  /** The origin that selects a service in URLs for `dispatcher`: `http://orders.upstream`. Any name has one, known or not. */
  origin (service: string): string {
    if (typeof service !== 'string') throw new BadOptionError('service', 'the name of a service', service)
    return originFor(service)
  }

  /** The registry's words on a service, or on all of them, in the original's shape. */
  show (service: string): ShownService
  show (): Shown
  show (service?: string): ShownService | Shown {
    return service === undefined ? showAll(this.#gateway) : show(this.#known(service))
  }

  /** Attempts by peer over the `seconds` full seconds before now: counts by status, sum and percentiles in seconds. */
  report (service: string, { peer, seconds = this.#reach }: { peer?: string, seconds?: number } = {}): Report {
    const known = this.#known(service)
    const peers = peer === undefined ? known.peers.values() : [this.#peer(known, peer)]
    return report(known, peers, this.#seconds(seconds), this.#gateway.now())
  }

  /** Client requests (not attempts) per second over the `seconds` full seconds before now. */
  tps (seconds = this.#reach): number {
    return this.#gateway.logger.tps(this.#seconds(seconds), this.#gateway.now())
  }

  /** Scales a peer's weight by `share` (0…1) for a while (ms, 15 min). */
  cutdown (service: string, peerId: string, share: number, options: { for?: number } = {}): void {
    const known = this.#known(service)
    const now = this.#gateway.now()
    const state = this.#peer(known, peerId)
    const until = now + durationOf(options.for)
    overrides.cutdown(known, state, shareOf(share), now, until)
    this.#did(known, state, `cut down to ${share} of its weight`, until)
  }

  /** Ends cutdown and drain of a peer, and what actions have set here. */
  recover (service: string, peerId: string): void {
    const known = this.#known(service)
    const state = this.#peer(known, peerId)
    overrides.recover(known, state)
    this.#did(known, state, 'recovered', null)
  }

  /** Has this share (0…1) of the service's requests answered with 503 and Retry-After; 0 ends it. */
  shed (service: string, share: number): void {
    const known = this.#known(service)
    known.shed = shareOf(share)
    known.shedOwed = 0
    this.#did(known, null, `${rounded(share * 100)} % of the requests refused`, null)
  }

  /**
   * Gives a peer no new requests for a while (ms, 15 min), and closes its WebSockets in order; resolves when nothing is
   * in flight there.
   */
  async drain (service: string, peerId: string, options: { for?: number } = {}): Promise<void> {
    const known = this.#known(service)
    const state: PeerState = this.#peer(known, peerId)
    const now = this.#gateway.now()
    const until = now + durationOf(options.for)
    overrides.drain(known, state, now, until)
    this.#gateway.transport.release(state)
    this.#did(known, state, 'drained', until)
    await this.#waiters.until(() => state.inflight === 0)
  }

  /** The JSON of `GET /_upstreams`. */
  status (): ReturnType<typeof status> {
    return status(this.#gateway)
  }

  /**
   * Resolves when the registry has been read and each of `services` has an eligible peer. Rejects with
   * FST_UPSTREAM_SYNC after `timeout` ms; without one it waits as long as it takes.
   */
  async whenReady (services: string | Iterable<string> = [], { timeout }: { timeout?: number } = {}): Promise<void> {
    const names = typeof services === 'string' ? [services] : [...services]
    if (timeout !== undefined) durationOf(timeout, 'timeout')
    const { store, registry } = this.#gateway
    const missing = (): string[] => names.filter(name => ![...store.get(name)?.peers.values() ?? []].some(isEligible))
    await this.#waiters.until(() => registry.isReady && missing().length === 0, timeout, () => new SyncError(registry.isReady
      ? `no eligible peer of ${missing().join(', ')} within ${timeout} ms`
      : registry.lastError ?? `nothing heard within ${timeout} ms`))
  }

  /**
   * Resolves once the registry as of that etcd revision is what picks use, also when the revision changed nothing below
   * `keyPrefix`. Takes a decimal string, a bigint or a safe integer. Rejects with FST_UPSTREAM_SYNC after `timeout` ms;
   * without one it waits as long as it takes. The embedded registry has no revisions: there it resolves at once.
   */
  async applied (revision: string | bigint | number, { timeout }: { timeout?: number } = {}): Promise<void> {
    const wanted = revisionOf(revision)
    if (timeout !== undefined) durationOf(timeout, 'timeout')
    const { registry, syncer } = this.#gateway
    const isThere = (): boolean => registry.kind === 'static' || (registry.synced && !registry.isDoubted && syncer.reached >= wanted)
    if (!isThere()) this.#gateway.ask(wanted)
    await this.#waiters.until(isThere, timeout, () => new SyncError(registry.lastError ??
      `revision ${wanted} was not reached within ${timeout} ms; the registry is at ${syncer.reached}`))
  }

  /**
   * Calls `listener` with each record of that kind from now on, the same that the event stream sends: when the registry has
   * changed peers, after all that came together is in force. Returns what ends that. What a listener throws is logged.
   */
  on (event: UpstreamRecord['type'], listener: (record: UpstreamRecord) => unknown): () => void {
    if (!EVENTS.includes(event)) throw new BadOptionError('event', EVENTS.map(name => `'${name}'`).join(', '), event)
    if (typeof listener !== 'function') throw new BadOptionError('listener', 'a function of a record', listener)
    const { news, epoch } = this.#gateway
    return news.ears.add(happening => happening.type === event ? listener(recordOf(epoch, happening)) : undefined)
  }

  #did (service: Service, state: PeerState | null, what: string, until: number | null): void {
    const { news, now } = this.#gateway
    news.acted({ at: now(), service, state, by: null, what, reason: null, until })
    this.#gateway.changed()
  }

  /** A minute, or as far back as the statistics reach. */
  get #reach (): number {
    return Math.min(60, this.#gateway.logger.seconds)
  }

  #known (name: string): Service {
    const service = this.#gateway.store.get(name)
    if (service === undefined) throw new UnknownServiceError(name)
    return service
  }

  #peer (service: Service, id: string): PeerState {
    const state = service.find(id)
    if (state === undefined) throw new BadOptionError('peer', `a peer of service "${service.name}"`, id)
    return state
  }

  #seconds (seconds: number): number {
    const most = this.#gateway.logger.seconds
    if (Number.isInteger(seconds) && seconds >= 1 && seconds <= most) return seconds
    throw new BadOptionError('seconds', `an integer from 1 to ${most} (statsWindow)`, seconds)
  }
}

/** What `done` takes. */
export type { Outcome }

function revisionOf (revision: string | bigint | number): bigint {
  const isGood = typeof revision === 'string' ? /^\d{1,19}$/.test(revision) : typeof revision === 'bigint' || Number.isSafeInteger(revision)
  if (isGood && BigInt(revision) >= 0n) return BigInt(revision)
  throw new BadOptionError('revision', 'a decimal string, a bigint or a safe integer from 0', revision)
}

function shareOf (share: number): number {
  if (typeof share === 'number' && share >= 0 && share <= 1) return share
  throw new BadOptionError('share', 'a number from 0 to 1', share)
}

function durationOf (ms: number | undefined, name = 'for'): number {
  if (ms === undefined) return OVERRIDE_FOR
  if (typeof ms === 'number' && ms >= 1 && ms <= LONGEST) return ms
  throw new BadOptionError(name, `a number from 1 to ${LONGEST} (ms)`, ms)
}
