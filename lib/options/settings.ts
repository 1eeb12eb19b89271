/**
 * What the options come to once they are checked: complete, frozen, no part of the caller's object. Durations are
 * milliseconds and shares are 0…1. Maps are to be read only; functions, peers' odd values and constraints' values are
 * the caller's own.
 */
import type { FastifyRequest, RouteShorthandOptions } from 'fastify'
import type { ServiceSettings } from '../store/settings.js'
import type { FormatFunction, FormatName } from '../syncer/codec/codec.js'

/** Certificates and keys as PEM text. */
export interface EtcdTlsSettings {
  readonly ca: string | null
  readonly cert: string | null
  readonly key: string | null
  /** The name that the server's certificate must carry, when it is not the host. */
  readonly serverName: string | null
}

export interface EtcdSettings {
  /** `http://host:port` or `https://host:port`, all of one kind, at least one. */
  readonly hosts: readonly string[]
  readonly auth: { readonly username: string, readonly password: string } | null
  /** Not null if and only if the hosts are `https://`. */
  readonly tls: EtcdTlsSettings | null
  /** Bound of one call. */
  readonly timeout: number
}

/** Service → `host:port` → value as in etcd, not judged yet. */
export type PeersSettings = ReadonlyMap<string, ReadonlyMap<string, unknown>>

export interface StartSettings {
  /** How long `ready()` waits for the first listing. */
  readonly wait: number
  readonly onFail: 'degraded' | 'throw'
}

/** The hooks of Fastify that a route may have. */
export type HookName = 'onRequest' | 'preParsing' | 'preValidation' | 'preHandler' | 'preSerialization' | 'onSend' |
  'onResponse' | 'onTimeout' | 'onError' | 'onRequestAbort'

/** Those that were given: functions, or lists of functions. */
export type RouteHooks = Readonly<Pick<RouteShorthandOptions, HookName>>

export interface RouteSettings {
  readonly prefix: string
  readonly service: string | ((request: FastifyRequest) => string)
  /** What takes the place of `prefix` at the peer. */
  readonly rewritePrefix: string
  /** Null means all that proxied routes take. */
  readonly methods: readonly string[] | null
  readonly constraints: Readonly<Record<string, unknown>> | null
  /** Upgrades are forwarded too. */
  readonly websocket: boolean
  readonly hooks: RouteHooks
}

/** Who may change anything by HTTP: what `authorize` gives, if not nothing, says who it is. */
export interface ActionSettings {
  readonly authorize: (request: FastifyRequest) => unknown
}

export interface InspectSettings {
  readonly path: string
  readonly access: 'loopback' | 'all'
  /** Routes that anyone may read. */
  readonly open: ReadonlyArray<'ready' | 'metrics'>
  /** The routes that change something, or that there are none. */
  readonly actions: ActionSettings | false
  readonly hooks: RouteHooks
}

/** All settings of a gateway. Exactly one of `etcd` and `peers` is not null. */
export interface Settings {
  readonly etcd: EtcdSettings | null
  readonly peers: PeersSettings | null
  /** Ends with `/`. */
  readonly keyPrefix: string
  readonly format: FormatName | FormatFunction
  /** Where the last good state of the registry is kept; null when it is not. */
  readonly snapshotFile: string | null
  readonly start: StartSettings
  /** The gateway's own zone: its peers go first; null for none. */
  readonly zone: string | null
  /** What holds for services that are not in `services`. */
  readonly service: ServiceSettings
  /** Every service that `services` or a route names, with its complete settings. */
  readonly services: ReadonlyMap<string, ServiceSettings>
  readonly routes: readonly RouteSettings[]
  readonly inspect: InspectSettings | false
  /** Seconds. */
  readonly statsWindow: number
}
