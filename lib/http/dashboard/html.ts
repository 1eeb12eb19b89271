import { series } from '../../logger/report.js'
import type { Gateway } from '../gateway.js'
import { recordOf, type UpstreamRecord } from '../news/records.js'
import { head, serviceSteps, totals, type PeerStatus, type ServiceStatus } from '../inspect/status.js'
import { tell } from './assets/story.js'
import { cells, COLUMNS, facts, freshness, lesson, nodeLine, notices, spark, SPARK, title, totalsLine } from './assets/view.js'
import { byTrouble, called, lookOf, peersByTrouble, plain } from './assets/words.js'

/** How many of the last records the first page shows. */
const RECORDS = 50

const SPARK_AT = COLUMNS.findIndex(([name]) => name === 'spark')

type History = ReadonlyArray<readonly [number, number, number]>

/** So many peers are put into words between two steps. */
const STEP = 64

/**
 * The page as it is just now, whole without any script, made step by step; `base` is where everything else is, seen from it.
 * All that comes from the registry is escaped here, once, and nowhere is it code.
 */
export function * html (gateway: Gateway, base: string): Generator<undefined, string> {
  const now = gateway.now()
  const { registry, node } = head(gateway, now)
  const services: ServiceStatus[] = []
  for (const service of gateway.store.sorted()) {
    services.push(yield * serviceSteps(gateway, service, now))
    yield
  }
  const historyOf = (name: string, peer: PeerStatus): History => {
    const state = gateway.store.get(name)?.peers.get(`${peer.scheme}://${peer.id}`)
    const last = Math.floor(now / 1000) - 1
    return state === undefined ? [] : series(state, last - 59, last).map(({ second, requests, errors }) => [second, requests, errors] as const)
  }
  const sections: string[] = []
  for (const service of services.toSorted(byTrouble)) {
    sections.push(yield * section(service, base, now, historyOf, lesson(registry, service)))
    yield
  }
  const records = gateway.journal.latest(RECORDS).map(happening => line(recordOf(gateway.epoch, happening), now)).reverse()
  return `${start(title(registry, services, ''), base)}<body>
<header>
<div class="bar"><h1>Upstreams</h1><p id="node">${text(nodeLine(node))}</p><div id="tools"></div></div>
<p id="registry" class="${lookOf(registry.state).tone}">${text(freshness(registry, now))}</p>
<p id="totals">${text(totalsLine(totals(services)))}</p>
<p id="link"><noscript>As of ${text(new Date(now).toISOString().slice(0, 19))}Z. With JavaScript this page follows what happens; without it, load it again.</noscript></p>
</header>
<div id="notices">${notices(registry, services, now).map(one => `<div>${notice(one)}</div>`).join('')}</div>
<section id="timeline"><h2>What happened</h2><ol>${records.join('')}</ol></section>
<main id="services" class="served">${sections.join('')}</main>
</body>
</html>
`
}

function start (title: string, base: string): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${text(title)}</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="${text(base)}assets/page.css">
<script type="module" src="${text(base)}assets/main.js"></script>
</head>
`
}

function * section (service: ServiceStatus, base: string, now: number, historyOf: (name: string, peer: PeerStatus) => History, teaching: ReturnType<typeof lesson>): Generator<undefined, string> {
  const { glyph, tone } = lookOf(service.state)
  const rows: string[] = []
  for (const peer of service.peers.toSorted(peersByTrouble)) {
    rows.push(row(peer, historyOf(service.name, peer), now))
    if (rows.length % STEP === 0) yield
  }
  const headings = COLUMNS.map(([name, heading]) => `<th role="columnheader" scope="col" class="${name}">${heading}</th>`)
  return `<section data-service="${text(service.name)}"><h2><a href="${text(`${base}services/${encodeURIComponent(service.name)}`)}"><bdi>${text(called(service.name))}</bdi></a> <span class="word ${tone}">${glyph} ${service.state}</span> ` +
    `<span class="reason">${text(plain(service.reason ?? ''))}</span></h2><p class="facts">${text(facts(service))}</p>${teaching === null ? '' : notice(teaching)}` +
    (rows.length === 0 ? '' : `<div class="scroll"><table role="table"><thead role="rowgroup"><tr role="row">${headings.join('')}</tr></thead><tbody role="rowgroup">${rows.join('')}</tbody></table></div>`) + '</section>'
}

function row (peer: PeerStatus, history: History, now: number): string {
  const shown = cells(peer, history, now)
  const { requests, errors } = spark(history, now)
  const picture = `<svg width="${SPARK.width}" height="${SPARK.height}" role="img" aria-label="${text(shown[SPARK_AT] ?? '')}"><path class="requests" d="${requests}"/><path class="errors" d="${errors}"/></svg>`
  const all = COLUMNS.map(([name], i) => `<td role="cell" class="${name}${name === 'state' ? ` word ${lookOf(peer.state).tone}` : ''}">${name === 'spark' ? picture : text(shown[i] ?? '')}</td>`)
  return `<tr role="row" data-peer="${text(`${peer.scheme}://${peer.id}`)}">${all.join('')}</tr>`
}

function line (record: UpstreamRecord, now: number): string {
  const { at, glyph, tone, about, text: what } = tell(record, now)
  return `<li><time datetime="${record.at}">${at}</time> <span class="${tone}">${glyph}</span> <bdi class="about">${text(about)}</bdi> <span>${text(what)}</span></li>`
}

function notice ({ tone, title, text: words, code }: { tone: string, title: string, text: string, code?: string }): string {
  return `<div class="notice ${tone}">${title === '' ? '' : `<strong>${text(title)}</strong> `}<span>${text(words)}</span>${code === undefined ? '' : `<code>${text(code)}</code>`}</div>`
}

const ESCAPES: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' }

function text (value: string): string {
  return value.replace(/[&<>"']/g, sign => ESCAPES[sign] ?? sign)
}
