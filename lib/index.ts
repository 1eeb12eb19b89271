/** Fastify gateway upstreams from etcd. The plugin is the default export and also what `require()` gives. */
import { errors } from './errors.js'
import { statusSchema } from './http/inspect/schema.js'
import { upstreamEtcd } from './plugin.js'

// `require()` yields the function itself, so what is exported by name is found on it.
const attached = Object.assign(upstreamEtcd, { default: upstreamEtcd, upstreamEtcd, errors, statusSchema })

export { attached as default, attached as upstreamEtcd, attached as 'module.exports', errors, statusSchema }
export type { CheckMessage, PeerMessage, RegistryMessage } from './http/news/channels.js'
export type { ForwardingOptions, PeerResponse } from './http/forward/forwarding-options.js'
export type { UpstreamRecord } from './http/news/records.js'
export type { PublicPeer, PublicPick } from './http/public-pick.js'
export type { Shown, ShownPeer, ShownService } from './http/show.js'
export type { PeerStatus, ServiceStatus, Status } from './http/inspect/status.js'
export type { RequestTrace } from './http/forward/tracing.js'
export type { Upstreams } from './http/upstreams.js'
export type { ErrorKind, Outcome } from './logger/outcome.js'
export type { PeerReport, Report } from './logger/report.js'
export type * from './options/types.js'
export type { AttemptInfo, Upstream } from './picker/exchange.js'
export type { PeerWord, ServiceWord } from './store/condition.js'
export type { FormatFunction } from './syncer/codec/codec.js'
export type { RegistryWord } from './syncer/registry.js'
