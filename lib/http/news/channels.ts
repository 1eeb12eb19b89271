/**
 * Plain channels of node:diagnostics_channel. A message is made only when somebody subscribes; all times are epoch ms. For
 * requests see `tracing.ts`.
 */
import { channel } from 'node:diagnostics_channel'
import type { CheckAnswer, CheckTask } from '../../health/checks.js'
import type { Verdict } from '../../health/verdict.js'
import type { RegistryWord } from '../../syncer/registry.js'
import type { Change } from '../../syncer/syncer.js'

/** What is published on `fastify-upstream-etcd:peer`: a change of a registration, a verdict of health, or an operator's action. */
export interface PeerMessage {
  readonly service: string
  /** Null when it is about the whole service: its settings, or panic. */
  readonly peer: string | null
  readonly event: Change['type'] | Verdict['action'] | 'action'
  readonly cause: Verdict['cause'] | null
  /** In words, with the numbers. */
  readonly reason: string | null
  readonly since: number
  readonly until: number | null
}

/** What is published on `fastify-upstream-etcd:registry` when its state changes; `was` is null for the first one. */
export interface RegistryMessage {
  readonly state: RegistryWord
  readonly was: RegistryWord | null
  readonly lastError: string | null
  readonly at: number
}

/** What is published on `fastify-upstream-etcd:check` when an active check has ended. */
export interface CheckMessage extends CheckAnswer {
  readonly service: string
  readonly peer: string
  readonly at: number
}

const peers = channel('fastify-upstream-etcd:peer')
const registries = channel('fastify-upstream-etcd:registry')
const checks = channel('fastify-upstream-etcd:check')

/** The registry has changed something about a peer or the service. */
export function publishChange (service: string, peer: string | null, event: Change['type'], since: number): void {
  if (peers.hasSubscribers) peers.publish({ service, peer, event, cause: null, reason: null, since, until: null } satisfies PeerMessage)
}

/** Health has decided. */
export function publishVerdict ({ service, peer, action: event, cause, reason, since, until }: Verdict): void {
  if (peers.hasSubscribers) peers.publish({ service, peer, event, cause, reason, since, until } satisfies PeerMessage)
}

/** An operator or the application has acted; `reason` says what was done, by whom and why. */
export function publishAction (service: string, peer: string | null, reason: string, since: number, until: number | null): void {
  if (peers.hasSubscribers) peers.publish({ service, peer, event: 'action', cause: null, reason, since, until } satisfies PeerMessage)
}

/** The registry's state is another one than before. */
export function publishRegistry (message: RegistryMessage): void {
  if (registries.hasSubscribers) registries.publish(message)
}

/** A check has ended. */
export function publishCheck ({ service, peer }: CheckTask, { ok, status, ms, error }: CheckAnswer, at: number): void {
  if (checks.hasSubscribers) checks.publish({ service: service.name, peer: peer.id, ok, status, ms, error, at } satisfies CheckMessage)
}
