import type { Status } from './status.js'

/** The status as aligned plain text, for a terminal. */
export function text (of: Status): string {
  const { registry } = of
  const lines = [
    `${of.node.id} version ${of.node.version} up since ${of.node.startedAt}`,
    `registry ${registry.kind} ${registry.state} below ${registry.keyPrefix} revision ${registry.revision ?? '-'}` +
      (registry.lastError === null ? '' : ` (${registry.lastError})`),
    ...registry.invalidKeys.map(({ key, error }) => `  invalid ${key}: ${error}`)
  ]
  for (const service of of.services) {
    const why = service.reason === null ? '' : ` (${service.reason})`
    lines.push('', `${service.name} ${service.state}${why} ${service.peersEligible}/${service.peersTotal} peers eligible, ${service.rps} requests/s` +
      (service.queued === 0 ? '' : `, ${service.queued} waiting`))
    if (service.peers.length > 0) lines.push(...table(service.peers))
  }
  // What comes from the registry may hold anything; a line stays a line, and is read from left to right.
  return `${lines.map(line => line.replace(/[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]/gu, '?')).join('\n')}\n`
}

function table (peers: Status['services'][number]['peers']): string[] {
  const rows = [
    ['peer', 'state', 'weight', 'effective', 'share', 'expected', 'inflight', 'rps', 'errors', 'p50', 'p99', 'reason'],
    ...peers.map(peer => [
      peer.id,
      peer.state,
      String(peer.weight.configured),
      String(peer.weight.effective),
      percent(peer.weight.share),
      percent(peer.weight.expectedShare),
      String(peer.inflight),
      String(peer.rps),
      percent(peer.errorRate),
      ms(peer.latencyMs.p50),
      ms(peer.latencyMs.p99),
      peer.reason ?? ''
    ])
  ]
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map(row => row[column]?.length ?? 0)))
  return rows.map(row => `  ${row.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join('  ')}`.trimEnd())
}

function percent (share: number | null): string {
  return share === null ? '-' : `${(share * 100).toFixed(1)}%`
}

function ms (value: number | null): string {
  return value === null ? '-' : `${value.toFixed(1)}ms`
}
