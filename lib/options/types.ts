/** What users type. Durations are milliseconds and shares are 0…1, unless a line says otherwise. */
import type { FastifyRequest } from 'fastify'
import type { Outcome } from '../logger/outcome.js'
import type { Peer } from '../store/peer.js'
import type { BalancerName } from '../store/settings.js'
import type { FormatName } from '../syncer/codec/codec.js'
import type { RouteHooks } from './settings.js'

/** PEM text, or a Buffer of it. */
type Pem = string | Uint8Array

/** Active checks of every peer that names a check URL. */
export interface CheckOptions {
  /** An HTTP request, or just a connection. Default `'http'`. */
  type?: 'http' | 'tcp'
  /** Checked at peers that name no check URL; default `null`, these are not checked. */
  path?: string | null
  /** Between two checks of one peer. Default 5000. */
  interval?: number
  /** Default 1000. */
  timeout?: number
  /** Successes in a row that put a peer in. Default 2. */
  rise?: number
  /** Failures in a row that take it out. Default 3. */
  fall?: number
  /** Status codes that are successes: codes, and pairs of first and last. Default `[[200, 399]]`. */
  status?: ReadonlyArray<number | readonly [number, number]>
  /** Share of `interval` by which checks are spread. Default 0.2. */
  jitter?: number
  /** Checks at the same time. Default 32. */
  concurrency?: number
  /** Default `fastify-upstream-etcd`. */
  userAgent?: string
}

/** Passive judgement by what requests come to. */
export interface OutlierOptions {
  /** Answers with 5xx in a row that eject a peer; `false` or 0 turns the rule off. Default 5. */
  consecutive5xx?: number | false
  /** Failed connections, resets and time-outs in a row; `false` or 0 turns the rule off. Default 5. */
  consecutiveErrors?: number | false
  /** Between two looks at the failure rate. Default 10000. */
  interval?: number
  /** Share of failed requests that ejects a peer; `false` or 0 turns the rule off. Default 0.5. */
  failureRate?: number | false
  /** Requests within `interval` below which the rate says nothing. Default 20. */
  minRequests?: number
  /** How long the first ejection lasts; the n-th lasts n times as long. Default 30000. */
  baseEjection?: number
  /** At most this long, not less than `baseEjection`. Default 300000. */
  maxEjection?: number
  /** Share of a service's peers that may be ejected at the same time. Default 0.5. */
  maxEjected?: number
  /**
   * A peer whose mean time to first byte is more than this many times the median of the peers', and at least 10 ms above it,
   * is ejected; above 1, at most 1000. Default `false`: answers may take as long as they do.
   */
  latencyFactor?: number | false
}

/** Attempts after the first, each at another peer. */
export interface RetryOptions {
  /** At most this many, 0 … 10. Default 2. */
  attempts?: number
  /** What is tried again: failed connections, lost ones, no headers in time, statuses from 400. Default `['connect', 'reset', 502, 503, 504]`. */
  on?: ReadonlyArray<'connect' | 'reset' | 'timeout' | number>
  /** Over 10 s, at most `ratio` of the service's requests (0 … 10) and `perSecond` a second besides. Default `{ ratio: 0.2, perSecond: 10 }`. */
  budget?: { ratio?: number, perSecond?: number }
  /** A body of up to this many bytes is kept, to be sent again; at most 16 MiB. Default 65536. */
  bodyBytes?: number
}

/** Towards peers with the scheme `https`. `null` takes back what the gateway's options say. */
export interface TlsOptions {
  /** Whether a peer must prove who it is. Default true. */
  rejectUnauthorized?: boolean
  /** An authority in place of the known ones. */
  ca?: Pem | null
  /** This gateway's own certificate, and its key. */
  cert?: Pem | null
  key?: Pem | null
  /** The name that a peer's certificate must carry, when it is not the host. */
  serverName?: string | null
}

/** A peer as a balancer sees it; one object for as long as the peer is registered. */
export interface PeerView {
  /** The registration. It is another object after a change. */
  readonly peer: Peer
  /** Requests under way there from this gateway. */
  readonly inflight: number
}

/** A peer that may be chosen. */
export interface CandidateView {
  readonly state: PeerView
  /** After slow start, overrides and load reports; above 0. */
  readonly weight: number
}

/**
 * A balancer of your own. One object may serve several services: before it chooses for another one than the last time, or
 * for another priority, it is told the candidates again. What it throws, and a choice of somebody who may not be chosen,
 * reaches no client: round robin chooses then, and `/_upstreams` and the log say why.
 */
export interface OwnBalancer {
  /** What `/_upstreams` calls it. Default `own`. */
  readonly name?: string
  /** Those who may be chosen from now on; there may be none. Called when somebody came or went or weighs differently. */
  rebuild: (candidates: readonly CandidateView[]) => void
  /**
   * The `state` of one of the candidates, of those that `mayTake` allows if it is given (it was not tried, and has room);
   * undefined when there is none. `now` is epoch ms, `key` what `hashKey` says of the request, or null.
   */
  pick: (now: number, key: string | null, mayTake?: (state: PeerView) => boolean) => PeerView | undefined
  /** A request goes to a peer, by whoever's choice; `inflight` has risen. */
  opened?: (state: PeerView) => void
  /** A request has ended; `inflight` has fallen. */
  closed?: (state: PeerView, outcome: Outcome, now: number) => void
}

/** Options of one service: for all services at the top level, for one under `services`, and live from the registry. */
export interface ServiceOptions {
  /** Who takes a request: by name, or an object of your own. Default `'round-robin'`, smooth and weighted. */
  balancer?: BalancerName | OwnBalancer
  /** What the balancer `hash` goes by; without it, the client's address (`'ip'`), which is also the default. */
  hashKey?: 'ip' | 'uri' | `header:${string}` | `cookie:${string}` | ((request: FastifyRequest) => string)
  /** A signed cookie keeps a client on its peer while that is eligible; of several secrets the first one signs. Default `false`. */
  sticky?: { cookie?: string, secret?: string | readonly string[] } | false
  /** Whether peers say by the response header `endpoint-load-metrics` how loaded they are, and are weighed by it. Default false. */
  loadReports?: boolean
  /**
   * Requests at the same time at one peer that names no bound of its own (0: none), and how many more of the service may
   * wait, for how long. Default `{ maxInflight: 0, queue: 0, queueTimeout: 1000 }`.
   */
  limits?: { maxInflight?: number, queue?: number, queueTimeout?: number }
  /** The shape of the ramp of new peers. Default `{ minWeight: 0.1, aggression: 1 }`; its length is the peer's `slow_start`. */
  slowStart?: { minWeight?: number, aggression?: number }
  /** Active checks; `false` for none. */
  check?: CheckOptions | false
  /** Passive judgement; `false` for none. */
  outlier?: OutlierOptions | false
  /** When less than this share of the peers is healthy, health is ignored; 0 turns that off. Default 0.5. */
  panic?: number
  /** Further attempts; `false` for none. */
  retry?: RetryOptions | false
  /** Default `{ connect: 1000, headers: 30000, body: 30000, total: 60000 }`; `total` bounds all attempts, up to headers. */
  timeouts?: { connect?: number, headers?: number, body?: number, total?: number }
  /** The Host header that peers see: the client's, the peer's own, or this one. Default `'client'`. */
  host?: string
  /** Whether X-Forwarded-For, -Proto and -Host are appended. Default true. */
  forwarded?: boolean
  /** Whether responses say by `x-upstream: service/peer; attempts=2; ms=14` where they come from. Default false. */
  debugHeader?: boolean
  /** Connections per peer, how long an idle one is kept, and whether HTTP/2 may be spoken. Default `{ connections: 128, keepAlive: 60000, allowH2: false }`. */
  pool?: { connections?: number, keepAlive?: number, allowH2?: boolean }
  /** Towards peers with the scheme `https`. */
  tls?: TlsOptions
}

/** One proxied route. Options of its service may stand here too when `service` is a name. */
export interface RouteOptions extends ServiceOptions, RouteHooks {
  /** Requests below this path are forwarded. */
  prefix: string
  /** The service's name, or a function that tells it for each request. */
  service: string | ((request: FastifyRequest) => string)
  /** What takes the place of `prefix` at the peer. Default `/`. */
  rewritePrefix?: string
  /** In upper case; default DELETE, GET, HEAD, OPTIONS, PATCH, POST and PUT. */
  methods?: readonly string[]
  /** As in any Fastify route. */
  constraints?: Readonly<Record<string, unknown>>
  /** Whether upgrades to WebSocket are forwarded too. Default false. */
  websocket?: boolean
}

/** Where and to whom the state of things is shown. Route hooks guard it; with `onRequest`, `access` is `'all'` by default. */
export interface InspectOptions extends RouteHooks {
  /** Default `/_upstreams`. */
  path?: string
  /** Who may read; anyone else gets 404. Default `'loopback'`. */
  access?: 'loopback' | 'all'
  /** Routes that anyone may read. Default `['ready']`. */
  open?: ReadonlyArray<'ready' | 'metrics'>
  /**
   * Whether peers can be drained, taken down, weighed and checked by PATCH. `authorize` is asked each time: nothing, or what it
   * throws, refuses (403); a name, or an object with a `name`, says in the log and the events who it was. Default `false`.
   */
  actions?: false | { authorize: (request: FastifyRequest) => unknown }
}

/** How to reach etcd. */
export interface EtcdOptions {
  /** `http://host:2379` or `https://host:2379`, all of one kind. */
  hosts: string | readonly string[]
  auth?: { username: string, password: string }
  /** For `https://` hosts: an own authority, a client's certificate with its key, the name to expect. */
  tls?: { ca?: Pem, cert?: Pem, key?: Pem, serverName?: string }
  /** Bound of one call. Default 2000. */
  timeout?: number
}

/** One registration made by a `format` function; further fields are as in a value. */
export interface FormatRegistration {
  service: string
  host: string
  port: number
  [field: string]: unknown
}

/** The options of the plugin. Exactly one of `etcd` and `peers` is needed. */
export interface UpstreamEtcdOptions extends ServiceOptions {
  /** The etcd to follow. */
  etcd?: string | readonly string[] | EtcdOptions
  /** The embedded registry: service → `host:port` → value as in etcd. */
  peers?: Readonly<Record<string, Readonly<Record<string, unknown>>>>
  /** Where registrations live, with a `/` at the end. Default `/services/`. */
  keyPrefix?: string
  /** How keys and values are read: by what they look like, as one format, or by a function. Default `'auto'`. */
  format?: FormatName | ((key: string, value: string) => readonly FormatRegistration[] | null | undefined)
  /** A file for the last good state of the registry, by which the gateway starts when etcd is away. Default none. */
  snapshotFile?: string
  /** How long `ready()` waits for the first sync (0 … 600000), and what then. Default `{ wait: 3000, onFail: 'degraded' }`. */
  start?: { wait?: number, onFail?: 'degraded' | 'throw' }
  /** The zone that this gateway is in: peers whose `zone` it is go first. Default none. */
  zone?: string | null
  /** Options of single services, by name. */
  services?: Readonly<Record<string, ServiceOptions>>
  /** Proxied routes. Default none. */
  routes?: readonly RouteOptions[]
  /** The routes that show what is going on; `false` for none. */
  inspect?: InspectOptions | false
  /** How far back reports reach, in seconds, 1 … 3600. Default 60. */
  statsWindow?: number
}
