/** What the gateway knows of its peers, as a table. */
import { atEnd } from './ending.js'
import type { Gateway } from './gateway.js'
import { SERVICE, type DemoService } from './services.js'
import type { Traffic } from './traffic.js'

/** How far back the figures of a row reach (s). */
const SECONDS = 5

interface Screen {
  readonly gateway: Gateway
  readonly traffic: Traffic
  /** The etcd that is followed; null for the embedded registry. */
  readonly etcd: string | null
  /** What to do now: lines below the table, the width given. */
  readonly hints: (width: number) => string[]
}

/** Shows the table until the end: refreshed in place on a terminal, else printed every two seconds. */
export function showTable (screen: Screen): void {
  const { stdout } = process
  const isTerminal = stdout.isTTY && process.env['TERM'] !== 'dumb'
  const show = (): void => {
    if (isTerminal) draw(lines(screen, stdout.columns))
    else stdout.write(`${lines(screen, Infinity).join('\n')}\n\n`)
  }
  if (isTerminal) {
    stdout.write('\x1b[2J')
    stdout.on('resize', show)
  }
  show()
  const timer = setInterval(show, isTerminal ? 500 : 2000)
  atEnd(() => { clearInterval(timer) })
}

/** Over what was there, from the top. The cursor stays below the last line, so there is one line fewer than rows. */
function draw (text: readonly string[]): void {
  const { columns, rows } = process.stdout
  const visible = text.slice(0, Math.max(1, rows - 1)).map(line => line.slice(0, columns))
  process.stdout.write(`\x1b[H${visible.map(line => `${line}\x1b[K\n`).join('')}\x1b[J`)
}

/** How to change the weight of `service` by hand; the shell takes it in one line or in several. */
export function commandFor (etcd: string, { key, value }: DemoService, width: number): string[] {
  const words = [`etcdctl --endpoints=${etcd} put`, key, `'${JSON.stringify({ weight: 12, checkurl: value.checkurl })}'`]
  const inOneLine = words.join(' ')
  return inOneLine.length <= width ? [inOneLine] : words.join(' \\\n  ').split('\n')
}

function lines ({ gateway, traffic, etcd, hints }: Screen, width: number): string[] {
  const { registry: { state, revision }, services } = gateway.app.upstreams.status()
  const peers = services.find(({ name }) => name === SERVICE)?.peers ?? []
  const { sent, failed, lastFailure } = traffic
  return [
    `registry  ${etcd === null ? 'embedded' : `etcd at ${etcd}, ${state}, revision ${revision}`}`,
    `gateway   ${gateway.url}/shop`,
    `inspect   ${gateway.url}/_upstreams`,
    `requests  ${sent}, ${failed} failed${lastFailure === null ? '' : `, the last one: ${lastFailure}`}`,
    '',
    row(['peer', 'state', 'weight', `share ${SECONDS} s`, 'expected', 'req/s', 'p50 ms', 'p99 ms']),
    ...rows(gateway, peers, traffic.startedAt),
    '',
    ...hints(width)
  ]
}

type Status = ReturnType<Gateway['app']['upstreams']['status']>
type PeerStatus = Status['services'][number]['peers'][number]

function rows ({ app }: Gateway, peers: readonly PeerStatus[], startedAt: number): string[] {
  if (peers.length === 0) return ['no peer is registered']
  const { statistics, ts_end: last } = app.upstreams.report(SERVICE, { seconds: SECONDS })
  const answered = new Map(statistics.map(({ peer, stat }) => [peer, stat.reduce((sum, { count }) => sum + count, 0)]))
  const total = [...answered.values()].reduce((sum, count) => sum + count, 0)
  // At the start there are fewer seconds to divide by.
  const seconds = Math.min(SECONDS, Math.max(1, last + 1 - startedAt / 1000))
  return peers.map(({ id, state, weight }) => {
    const count = answered.get(id) ?? 0
    const of = statistics.find(({ peer }) => peer === id)
    return row([id, state, String(weight.configured), percent(total === 0 ? null : count / total), percent(weight.expectedShare),
      (count / seconds).toFixed(1), millis(of?.p50), millis(of?.p99)])
  })
}

const WIDTHS = [-21, -12, 6, 10, 9, 6, 7, 7]

function row (cells: readonly string[]): string {
  return cells.map((cell, i) => {
    const width = WIDTHS[i] ?? 0
    return width < 0 ? cell.padEnd(-width) : cell.padStart(width)
  }).join('').trimEnd()
}

function percent (share: number | null): string {
  return share === null ? '-' : `${(share * 100).toFixed(1)} %`
}

function millis (seconds: number | null | undefined): string {
  return seconds == null ? '-' : (seconds * 1000).toFixed(1)
}
