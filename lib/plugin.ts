import { readFileSync } from 'node:fs'
import { hostname } from 'node:os'
import fp from 'fastify-plugin'
import type { FastifyInstance } from 'fastify'
import { BadOptionError, SyncError } from './errors.js'
import type { CheckTask } from './health/checks.js'
import { Health } from './health/health.js'
import type { Verdict } from './health/verdict.js'
import { Forwarder } from './http/forward/forward.js'
import type { Gateway } from './http/gateway.js'
import { inspect } from './http/inspect/inspect.js'
import { Journal } from './http/news/journal.js'
import { News } from './http/news/news.js'
import { proxy } from './http/forward/proxy.js'
import { synced } from './http/synced.js'
import { beginTrace } from './http/forward/tracing.js'
import { Upgrades } from './http/forward/upgrades.js'
import { Upstreams } from './http/upstreams.js'
import { Waiters } from './http/waiters.js'
import { Checker } from './io/check.js'
import { now } from './io/clock.js'
import { UpstreamDispatcher } from './io/dispatcher.js'
import { EtcdSource } from './io/etcd/source.js'
import { parseJson } from './io/json.js'
import { Follower } from './io/follower.js'
import { SnapshotFile } from './io/snapshot-file.js'
import { StaticSource } from './io/static-source.js'
import { Transport } from './io/transport.js'
import { Logger } from './logger/logger.js'
import { readOptions, readServiceSettings, type Settings, type UpstreamEtcdOptions } from './options.js'
import { Picker } from './picker/picker.js'
import { queueOf } from './picker/queue.js'
import type { PeerState } from './store/peer.js'
import type { Service } from './store/service.js'
import { shortestWait, type ServiceSettings } from './store/settings.js'
import { Store } from './store/store.js'
import { createAmend, type Amend, type Amendment } from './syncer/amend.js'
import { createCodec } from './syncer/codec/codec.js'
import { Registry } from './syncer/registry.js'
import { Syncer, type Change } from './syncer/syncer.js'

/** The interval's bounds (ms): a tenth of the shortest duration that anybody set, within these. */
const SLOWEST_TICK = 100

/** The composition root: makes the parts, hands news from one to the next, owns the one interval. */
class Composition implements Gateway {
  readonly settings: Settings
  readonly now = now
  readonly node = { id: `${hostname()}:${process.pid}`, pid: process.pid, startedAt: now(), version: packageVersion() }
  readonly epoch = `${Math.round(this.node.startedAt).toString(36)}${process.pid.toString(36)}`
  readonly store: Store
  readonly picker: Picker
  readonly logger: Logger
  readonly registry: Registry
  readonly syncer: Syncer
  readonly waiters = new Waiters()
  readonly ticking: Gateway['ticking'] = new Set()
  readonly journal = new Journal()
  readonly transport: Transport
  readonly dispatcher: UpstreamDispatcher
  readonly #health = new Health(Math.random)
  readonly #checker = new Checker()
  readonly #follower: Follower
  readonly #amend: Amend
  readonly #log: FastifyInstance['log']
  readonly news: News
  #interval: NodeJS.Timeout | undefined
  #tickEvery = 0
  #closed = false

  constructor (settings: Settings, log: FastifyInstance['log']) {
    this.settings = settings
    this.#log = log
    const inCode = (name: string): ServiceSettings => settings.services.get(name) ?? settings.service
    this.store = new Store(inCode)
    this.news = new News(log, this.journal, this.store, settings.etcd !== null)
    for (const name of settings.services.keys()) this.store.ensure(name).pinned = true
    this.logger = new Logger(settings.statsWindow)
    this.picker = new Picker(Math.random, (service, state, outcome, at) => {
      this.logger.attempt(service, state, outcome, at)
      const verdict = this.#health.observe(service, state, outcome, at)
      this.#publish(verdict)
      serve(service)
      if (state.inflight === 0) this.waiters.check()
    }, (service, state, at) => this.#publish(this.#health.prove(service, state, at)), settings.zone)
    const coding = { keyPrefix: settings.keyPrefix, format: settings.format, parse: parseJson }
    this.#amend = createAmend(coding)
    this.syncer = new Syncer(this.store, createCodec(coding), inCode,
      (name, raw) => readServiceSettings(raw, inCode(name), `services.${name}`), settings.snapshotFile !== null)
    this.registry = new Registry(settings.etcd === null ? 'static' : 'etcd')
    this.transport = new Transport(this.picker, now, Math.random, () => this.registry.isReady)
    this.dispatcher = new UpstreamDispatcher(this.transport.means, this.store, this.logger, () => this.#closed, beginTrace)
    const source = settings.etcd === null
      ? new StaticSource(settings.peers ?? new Map(), settings.keyPrefix)
      : new EtcdSource(settings.etcd, settings.keyPrefix)
    const file = settings.snapshotFile === null ? null : new SnapshotFile(settings.snapshotFile)
    this.#follower = new Follower(this.syncer, this.registry, source, file, settings.keyPrefix, {
      changed: (changes, isBoot) => this.#adopt(changes, isBoot),
      told: () => {
        this.news.registry(this.registry, this.syncer.position?.cursor ?? null, now())
        this.waiters.check()
      },
      log
    })
  }

  /** Starts to follow the registry. Rejects when what was given in code cannot be read. */
  async start (): Promise<void> {
    this.#keepTicking()
    await this.#follower.restore()
    this.#follower.start()
    if (this.settings.peers === null) return
    const [key, error] = [...this.syncer.invalidKeys][0] ?? []
    if (key !== undefined) throw new BadOptionError('peers', 'registrations as in etcd', `${key}: ${error}`)
    // In etcd such a key holds the settings of a service; in code those have an option of their own.
    const unaddressed = [...this.store.services.values()].find(service => service.settingsKey)
    if (unaddressed !== undefined) throw new BadOptionError('peers', '{ service: { \'host:port\': value } }', unaddressed.name)
  }

  async close (): Promise<void> {
    this.#closed = true
    clearInterval(this.#interval)
    this.waiters.close(new SyncError('the gateway was closed'))
    this.#checker.close()
    await Promise.all([this.#follower.close(), this.transport.close()])
  }

  changed (): void {
    this.waiters.check()
  }

  ask (revision: bigint): void {
    this.#follower.ask(revision)
  }

  hurry (service: Service, state: PeerState): boolean {
    const isDue = this.#health.hurry(service, state)
    if (isDue) this.#check(service, now())
    return isDue
  }

  async amend ({ name: service }: Service, { peer }: PeerState, amendment: Amendment): Promise<bigint> {
    return await this.#follower.amend(peer, entry => this.#amend(entry, { service, peer }, amendment))
  }

  /** What the registry changed goes to health, to the connections, to the log. */
  #adopt (changes: readonly Change[], boot: boolean): void {
    const at = now()
    const joined = new Set<Service>()
    for (const change of changes) {
      if (change.type === 'settings') {
        for (const state of change.service.peers.values()) this.#health.admit(change.service, state, false, boot, at)
      } else {
        const { state, type } = change
        if (type === 'removed' || state.peer.status !== 'up') this.transport.release(state)
        if (type === 'removed') this.#health.drop(change.service, state)
        else this.#health.admit(change.service, state, type === 'added', boot, at)
        if (type === 'added') joined.add(change.service)
      }
    }
    if (changes.some(({ type }) => type === 'settings')) this.#keepTicking()
    // Who is new is checked at once.
    for (const service of joined) this.#check(service, at)
    for (const { service } of changes) serve(service)
    this.news.changed(changes, at)
    this.waiters.check()
  }

  /** (Re)starts the interval when its length has changed. */
  #keepTicking (): void {
    const all = [this.settings.service, ...[...this.store.services.values()].map(service => service.settings)]
    const every = Math.max(1, Math.min(SLOWEST_TICK, ...all.map(settings => shortestWait(settings) / 10)))
    if (every === this.#tickEvery) return
    this.#tickEvery = every
    clearInterval(this.#interval)
    this.#interval = setInterval(() => this.#tick(), every).unref()
  }

  #tick (): void {
    const at = now()
    for (const service of this.store.services.values()) {
      for (const verdict of this.#health.tick(service, at)) this.#publish(verdict)
      this.picker.step(service, at)
      if (this.#health.mayTurn(service)) this.#publish(this.#health.turn(service, this.picker.plan(service, at).panic, at))
      this.#check(service, at)
      serve(service)
      // Before that nobody knows who is there.
      if (this.registry.isReady) this.news.standing(service, at)
      this.news.trouble(service, this.picker.trouble(service))
    }
    this.news.registry(this.registry, this.syncer.position?.cursor ?? null, at)
    for (const tick of this.ticking) tick(at)
    this.waiters.check()
  }

  #publish (verdict: Verdict | undefined): void {
    if (verdict !== undefined && !this.#closed) this.news.judged(verdict)
  }

  #check (service: Service, at: number): void {
    for (const task of this.#health.due(service, at)) this.#run(task).catch(error => this.#log.error(error))
  }

  async #run (task: CheckTask): Promise<void> {
    const answer = await this.#checker.run(task)
    // What was cut off says nothing, and nobody waits for a next one.
    if (this.#closed) return
    const at = now()
    this.news.checked(task, answer, at)
    this.#publish(this.#health.conclude(task, answer, at))
    if (this.#health.isBehind(task.service, at)) this.#check(task.service, at)
    this.waiters.check()
  }
}

/** Who waits for room may go on. */
function serve (service: Service): void {
  if (service.queue !== null) queueOf(service).serve()
}

function packageVersion (): string {
  return JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')).version
}

async function plugin (app: FastifyInstance, options: UpstreamEtcdOptions): Promise<void> {
  const settings = readOptions(options)
  const parts = new Composition(settings, app.log.child({ part: 'upstreams' }))
  const upstreams = new Upstreams(parts, parts.waiters, parts.dispatcher)
  const forwarder = new Forwarder(parts)
  app.decorate('upstreams', upstreams)
  app.decorateRequest('upstream', null)
  app.decorateReply('forward', function (service, options) {
    return forwarder.asked(this.request, this, service, options)
  })
  app.addHook('onClose', () => parts.close())
  app.addHook('onReady', () => synced(parts, app.log))
  const { routes, inspect: page } = settings
  const upgrades = new Upgrades(app, parts.transport)
  for (const route of routes) await app.register(child => proxy(child, route, forwarder, upgrades))
  if (page !== false) await app.register(child => inspect(child, parts, upstreams, page), { prefix: page.path })
  await parts.start()
}

/** The plugin. Options that are wrong throw FST_UPSTREAM_BAD_OPTION when it is registered. */
export const upstreamEtcd = fp(plugin, { fastify: '5.x', name: 'fastify-upstream-etcd' })
