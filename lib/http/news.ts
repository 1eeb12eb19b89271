import type { FastifyBaseLogger } from 'fastify'
import type { CheckAnswer, CheckTask } from '../health/checks.js'
import type { Verdict } from '../health/verdict.js'
import type { Service } from '../store/service.js'
import type { Registry, RegistryWord } from '../syncer/registry.js'
import type { Change } from '../syncer/syncer.js'
import { publishChange, publishCheck, publishRegistry, publishVerdict } from './channels.js'
import type { Journal } from './journal.js'

/** What somebody should look into. */
const BAD_NEWS: ReadonlySet<Verdict['action']> = new Set(['eject', 'down', 'spare', 'panic'])

/** What an operator has done to a peer, why, and until when it lasts (epoch ms; null where it stays). */
export interface Action {
  readonly at: number
  readonly service: string
  readonly peer: string
  readonly by: string
  readonly what: string
  readonly reason: string | null
  readonly until: number | null
}

/** Tells the log, the journals of the services, and whoever subscribes to the channels what has happened. */
export class News {
  readonly #log: FastifyBaseLogger
  readonly #journal: Journal
  readonly #troubles = new WeakMap<Service, string>()
  #registry: RegistryWord | null = null

  constructor (log: FastifyBaseLogger, journal: Journal) {
    this.#log = log
    this.#journal = journal
  }

  /** The registry's changes may be many and are all at etcd to be read: the log has them at `debug`. */
  changed (service: string, peer: string | null, event: Change['type'], at: number): void {
    this.#log.debug({ service, peer, event }, 'the registry changed')
    this.#journal.add(service, { at, peer, event, reason: null })
    publishChange(service, peer, event, at)
  }

  /** What health has decided. */
  judged (verdict: Verdict): void {
    const { action, service, peer, reason } = verdict
    const level = BAD_NEWS.has(action) ? 'warn' : 'info'
    const whom = peer === null ? service : `${service} ${peer}`
    this.#log[level]({ verdict }, `${whom}: ${action === 'calm' ? 'panic is over' : action}, ${reason}`)
    this.#journal.add(service, { at: verdict.since, peer, event: action, reason })
    publishVerdict(verdict)
  }

  /** How the registry is; told when it is in another state than before. */
  registry (registry: Registry, at: number): void {
    const state = registry.state(at)
    const was = this.#registry
    if (state === was) return
    this.#registry = state
    publishRegistry({ state, was, lastError: registry.lastError, at })
  }

  /** A check has ended. */
  checked (task: CheckTask, answer: CheckAnswer, at: number): void {
    publishCheck(task, answer, at)
  }

  /** What somebody has done by hand, and here is the one line about it. */
  acted (action: Action): void {
    const { service, peer, by, what, reason, until, at } = action
    const end = until === null ? '' : `, until ${new Date(until).toISOString()}`
    this.#log.warn({ action }, `${service} ${peer}: ${what} by ${by}${reason === null ? '' : ` (${reason})`}${end}`)
    this.#journal.add(service, { at, peer, event: 'action', reason, what, by, until })
  }

  /** What is wrong with a balancer of the user's; told when it is another thing than before. */
  trouble (service: Service, trouble: string | null): void {
    if (trouble === null || this.#troubles.get(service) === trouble) return
    this.#troubles.set(service, trouble)
    this.#log.error({ service: service.name }, `${service.name}: its own balancer fails, round robin chooses: ${trouble}`)
  }
}
