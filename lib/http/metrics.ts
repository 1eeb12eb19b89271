import { REGISTRY_WORDS } from '../syncer/registry.js'
import type { Gateway } from './gateway.js'

/** Of the text format, version 0.0.4. */
export const METRICS_TYPE = 'text/plain; version=0.0.4; charset=utf-8'

const PREFIX = 'fastify_upstream_'

type Labels = Readonly<Record<string, string>>

/** One value; a bigint keeps all its digits. */
interface Sample {
  readonly labels?: Labels
  readonly value: number | bigint
}

/** What Prometheus reads at `GET /metrics`: how the registry is. */
export function metrics (gateway: Gateway): string {
  const { registry, syncer, node } = gateway
  const now = gateway.now()
  const state = registry.state(now)
  const { put, delete: deleted, invalid } = syncer.events
  const staleness = registry.kind === 'static' || registry.lastVerifiedAt === null ? [] : [{ value: Math.max(0, now - registry.lastVerifiedAt) / 1000 }]
  return [
    family('build_info', 'gauge', 'The version of fastify-upstream-etcd.', [{ labels: { version: node.version }, value: 1 }]),
    family('registry_state', 'gauge', 'How the registry is: 1 for the state it is in.', REGISTRY_WORDS.map(word => ({ labels: { state: word }, value: word === state ? 1 : 0 }))),
    family('registry_revision', 'gauge', 'Revision up to which the changes of the registry are applied.', [{ value: syncer.position?.cursor ?? 0n }]),
    family('registry_staleness_seconds', 'gauge', 'Time since the registry was last seen to hold nothing new.', staleness),
    family('registry_events_total', 'counter', 'Keys put and deleted; invalid ones were put with something in them that cannot be used.', [
      { labels: { type: 'put', result: 'ok' }, value: put - invalid },
      { labels: { type: 'put', result: 'invalid' }, value: invalid },
      { labels: { type: 'delete', result: 'ok' }, value: deleted }
    ]),
    family('registry_reconnects_total', 'counter', 'Times a watch that had broken was opened again.', [{ value: registry.reconnects }]),
    family('registry_resyncs_total', 'counter', 'Times the registry was listed again, or what was held had to be repaired, by reason.',
      registry.resyncCounts.map(([reason, value]) => ({ labels: { reason }, value })))
  ].join('')
}

/** A family without samples is left out. */
function family (name: string, type: 'gauge' | 'counter', help: string, samples: readonly Sample[]): string {
  if (samples.length === 0) return ''
  const full = PREFIX + name
  return `# HELP ${full} ${help}\n# TYPE ${full} ${type}\n${samples.map(({ labels = {}, value }) => `${full}${written(labels)} ${value}\n`).join('')}`
}

function written (labels: Labels): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${value.replace(/[\\"\n]/g, found => found === '\n' ? '\\n' : `\\${found}`)}"`)
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`
}
