import type { FastifyBaseLogger } from 'fastify'
import type { CheckAnswer, CheckTask } from '../../health/checks.js'
import { roundsOf } from '../../health/rounds.js'
import type { Verdict } from '../../health/verdict.js'
import { conditionOf, serviceCondition, type ServiceWord } from '../../store/condition.js'
import type { PeerState } from '../../store/peer.js'
import type { Service } from '../../store/service.js'
import type { Store } from '../../store/store.js'
import type { Registry } from '../../syncer/registry.js'
import type { Change } from '../../syncer/syncer.js'
import { publishAction, publishChange, publishCheck, publishRegistry, publishVerdict } from './channels.js'
import { difference } from './difference.js'
import { ears, type Ears } from './ears.js'
import type { Happening, Journal } from './journal.js'

/** What somebody should look into. */
const BAD_NEWS: ReadonlySet<Verdict['action']> = new Set(['eject', 'down', 'spare', 'panic'])

/** Failures that change no pick are forgiven without a stamp: a service that was degraded is looked at again after this, ms. */
const LOOK_AGAIN = 1000

/** A service that can answer nothing. */
const DEAD: ReadonlySet<ServiceWord> = new Set(['down', 'empty'])

/** What has been done to a peer, or to the whole service, why, and until when it lasts (epoch ms; null where it stays). */
export interface Action {
  readonly at: number
  readonly service: Service
  readonly state: PeerState | null
  /** Null for the application's own code. */
  readonly by: string | null
  readonly what: string
  readonly reason: string | null
  readonly until: number | null
}

/** What was told of a service last, and by what it may be known to be so still. */
interface Standing {
  readonly state: ServiceWord
  readonly stamp: number
  readonly isPanic: boolean
  readonly at: number
}

const nothing = { peer: null, scheme: null, state: null, cause: null, reason: null, since: null, until: null, revision: null, what: null, by: null } as const

/**
 * Tells the log, the journal, whoever subscribes to the channels and whoever listens what has happened, each thing once and in
 * the order in which it came about.
 */
export class News {
  readonly ears: Ears
  readonly #log: FastifyBaseLogger
  readonly #journal: Journal
  readonly #store: Store
  readonly #hasRevisions: boolean
  readonly #troubles = new WeakMap<Service, string>()
  readonly #standings = new WeakMap<Service, Standing>()
  #registry: { state: ReturnType<Registry['state']> | null, lastError: string | null, resyncs: ReadonlyMap<string, number> } = { state: null, lastError: null, resyncs: new Map() }

  /** What is given in code has no revisions. */
  constructor (log: FastifyBaseLogger, journal: Journal, store: Store, hasRevisions: boolean) {
    this.#hasRevisions = hasRevisions
    this.#log = log
    this.#journal = journal
    this.#store = store
    this.ears = ears(error => log.error(error, 'a listener of app.upstreams.on failed'))
  }

  /**
   * What the registry has changed, once all of it is in force. It may be much and is all at etcd to be read: the log has it
   * at `debug`.
   */
  changed (changes: readonly Change[], at: number): void {
    for (const change of changes) {
      const { service, type } = change
      const state = 'state' in change ? change.state : null
      this.#log.debug({ service: service.name, peer: state?.peer.id ?? null, event: type }, 'the registry changed')
      if (state === null) this.#tell({ ...nothing, type: 'service', at, service: service.name, event: type, state: standing(service).state, revision: service.revision })
      else {
        // Who has left with the revision of its registration left by a later one.
        const revision = type === 'removed' ? service.revision : state.peer.modRevision
        const reason = change.type === 'changed' ? difference(change.was, state.peer) : null
        this.#tell({ ...this.#about(service.name, state), at, event: type, reason, revision })
      }
      publishChange(service.name, state?.peer.id ?? null, type, at)
    }
    for (const { service } of changes) this.#comeOrGone(service, at)
  }

  /** What health has decided. */
  judged (verdict: Verdict): void {
    const { action, service, peer, scheme, cause, reason, since, until } = verdict
    const level = BAD_NEWS.has(action) ? 'warn' : 'info'
    const whom = peer === null ? service : `${service} ${peer}`
    this.#log[level]({ verdict }, `${whom}: ${action === 'calm' ? 'panic is over' : action}, ${reason}`)
    const known = this.#store.get(service)
    const state = known?.peers.get(`${scheme}://${peer}`)
    const about = state !== undefined
      ? this.#about(service, state)
      : peer === null
        ? { ...nothing, type: 'service' as const, service, state: known === undefined ? null : standing(known).state }
        : { ...nothing, type: 'peer' as const, service, peer, scheme }
    this.#tell({ ...about, at: since, event: action, cause, reason, since, until })
    publishVerdict(verdict)
  }

  /** How the registry is; told when it is in another state than before, or has trouble, or has it no longer. */
  registry (registry: Registry, revision: bigint | null, at: number): void {
    const { lastError } = registry
    const state = registry.state(at)
    const was = this.#registry
    const resynced = registry.resyncCounts.filter(([reason, count]) => count > (was.resyncs.get(reason) ?? 0))
    if (state === was.state && lastError === was.lastError && resynced.length === 0) return
    this.#registry = { state, lastError, resyncs: new Map(registry.resyncCounts) }
    const about = { ...nothing, type: 'registry' as const, service: null, at, state, revision }
    for (const [reason] of resynced) this.#tell({ ...about, event: 'resync', cause: reason, reason: `listed again: ${reason}` })
    // Of one trouble after the other the first one is enough.
    if ((lastError === null) !== (was.lastError === null)) this.#tell({ ...about, event: lastError === null ? 'clear' : 'error', reason: lastError })
    if (state === was.state) return
    this.#tell({ ...about, event: 'state', reason: lastError })
    publishRegistry({ state, was: was.state, lastError, at })
  }

  /** How a service stands, when something about it has changed since this was asked; told when it is another word than before. */
  standing (service: Service, at: number): void {
    const known = this.#standings.get(service)
    const isAsIs = known?.stamp === service.stamp && known.isPanic === roundsOf(service).isPanic
    if (isAsIs && (known.state !== 'degraded' || at - known.at < LOOK_AGAIN)) return
    const { state, reason } = standing(service)
    this.#note(service, state, at)
    if (state === known?.state || (known === undefined && !DEAD.has(state))) return
    this.#tell({ ...nothing, type: 'service', at, service: service.name, event: 'state', state, reason, since: at })
    if (known === undefined) return
    if (DEAD.has(state)) this.#log.warn({ service: service.name, state }, `${service.name}: ${state}, ${reason}`)
    else if (DEAD.has(known.state)) this.#log.info({ service: service.name, state }, `${service.name}: ${state} again, it was ${known.state}`)
  }

  /** A check has ended. */
  checked (task: CheckTask, answer: CheckAnswer, at: number): void {
    publishCheck(task, answer, at)
  }

  /** What somebody has done, and here is the one line about it. */
  acted ({ service: { name: service }, state, by, what, reason, until, at }: Action): void {
    const peer = state?.peer.id ?? null
    const action = { at, service, peer, by, what, reason, until }
    const done = `${what} by ${by ?? 'the application'}${reason === null ? '' : ` (${reason})`}`
    const end = until === null ? '' : `, until ${new Date(until).toISOString()}`
    // What the application does itself it does as often as it likes.
    this.#log[by === null ? 'info' : 'warn']({ action }, `${peer === null ? service : `${service} ${peer}`}: ${done}${end}`)
    const about = state === null ? { ...nothing, type: 'service' as const, service } : this.#about(service, state)
    this.#tell({ ...about, at, event: 'action', reason, since: at, until, what, by })
    publishAction(service, peer, done, at, until)
  }

  /** What is wrong with a balancer of the user's; told when it is another thing than before. */
  trouble (service: Service, trouble: string | null): void {
    if (trouble === null || this.#troubles.get(service) === trouble) return
    this.#troubles.set(service, trouble)
    this.#log.error({ service: service.name }, `${service.name}: its own balancer fails, round robin chooses: ${trouble}`)
  }

  #note (service: Service, state: ServiceWord, at: number): void {
    this.#standings.set(service, { state, stamp: service.stamp, isPanic: roundsOf(service).isPanic, at })
  }

  /** A service that is known by its peers alone comes with the first and goes with the last of them; others are always there. */
  #comeOrGone (service: Service, at: number): void {
    const isKnown = this.#store.get(service.name) === service
    const wasKnown = this.#standings.has(service)
    if (isKnown === wasKnown) return
    const state = isKnown ? standing(service).state : null
    if (state === null) this.#standings.delete(service)
    else this.#note(service, state, at)
    if (service.pinned) return
    this.#tell({ ...nothing, type: 'service', at, service: service.name, event: isKnown ? 'added' : 'removed', state, revision: service.revision })
  }

  #about (service: string, state: PeerState): Happening {
    const { peer: { id: peer, scheme }, isRemoved } = state
    return { ...nothing, type: 'peer', at: 0, event: '', service, peer, scheme, state: isRemoved ? null : conditionOf(state).state }
  }

  #tell (happening: Happening): void {
    const numbered = this.#journal.add(this.#hasRevisions ? happening : { ...happening, revision: null })
    // Of a service that is gone nobody asks any more, and names may come and go without end.
    if (happening.service !== null && this.#store.get(happening.service) === undefined) this.#journal.drop(happening.service)
    this.ears.tell(numbered)
  }
}

function standing (service: Service): ReturnType<typeof serviceCondition> {
  return serviceCondition(service, roundsOf(service).isPanic)
}
