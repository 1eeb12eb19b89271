/** What the samples of a workload come to: figures for JSON, and the same as a table. */
import type { Sample } from './compare.js'
import type { Contender } from './contenders.js'
import { combine, median, type Ratio } from './statistics.js'
import type { Target, Workload } from './workloads.js'

/** Below this share of its core a contender was kept from working, by the generator, the backends or somebody else. */
const SATURATED = 0.9
/** Above this share of the contenders' core taken by others the figures are told to be doubtful. */
const DISTURBED = 0.1

export interface Judged extends Target {
  readonly ratio: Ratio
  /** Met or missed by the whole interval, or open. */
  readonly verdict: 'met' | 'missed' | 'open'
}

export interface Figures {
  readonly contender: string
  readonly title: string
  /** Medians over the rounds: microseconds, requests a second, milliseconds, share of a core. */
  readonly cpuPerRequest: number
  readonly requestsPerSecond: number
  readonly p50: number
  readonly p99: number
  readonly busy: number
  readonly saturated: boolean
  /** By contender that it is compared with; of each round, then combined. */
  readonly cpuRatio: Readonly<Record<string, Ratio>>
  readonly throughputRatio: Readonly<Record<string, Ratio>>
  readonly targets: readonly Judged[]
}

export interface Result {
  readonly workload: string
  readonly title: string
  readonly connections: number
  readonly figures: readonly Figures[]
  /** Median share of the contenders' core that went to others; null when not pinned. */
  readonly disturbed: number | null
  readonly samples: readonly Sample[]
}

type Measure = 'cpuPerRequest' | 'requestsPerSecond'

function ratio (samples: readonly Sample[], name: string, against: string, measure: Measure): Ratio | undefined {
  const theirs = new Map(samples.filter(({ contender }) => contender === against).map(sample => [sample.round, sample[measure]]))
  if (theirs.size === 0) return undefined
  const own = samples.filter(({ contender }) => contender === name)
  return combine(own.map(sample => sample[measure] / (theirs.get(sample.round) ?? NaN)))
}

function judge (target: Target, found: Ratio | undefined): Judged[] {
  if (found === undefined) return []
  const verdict = found.high <= target.atMost ? 'met' : found.low > target.atMost ? 'missed' : 'open'
  return [{ ...target, ratio: found, verdict }]
}

/** All figures of a workload. */
export function digest (workload: Workload, contenders: readonly Contender[], samples: readonly Sample[]): Result {
  const against = [...new Set([workload.reference, 'floor', 'before'])]
  const figures = contenders.map(({ name, title }): Figures => {
    const own = samples.filter(({ contender }) => contender === name)
    const middle = (measure: Exclude<keyof Sample, 'contender' | 'disturbed'>): number => median(own.map(sample => sample[measure]))
    const ratios = (measure: Measure): Record<string, Ratio> => Object.fromEntries(against.flatMap(other => {
      const found = ratio(samples, name, other, measure)
      return found === undefined ? [] : [[other, found]]
    }))
    const cpuRatio = ratios('cpuPerRequest')
    return {
      contender: name,
      title,
      cpuPerRequest: middle('cpuPerRequest'),
      requestsPerSecond: middle('requestsPerSecond'),
      p50: middle('p50'),
      p99: middle('p99'),
      busy: middle('busy'),
      saturated: middle('busy') >= SATURATED,
      cpuRatio,
      throughputRatio: ratios('requestsPerSecond'),
      targets: name === 'ours' ? workload.targets.flatMap(target => judge(target, cpuRatio[target.against])) : []
    }
  })
  const disturbed = samples.map(sample => sample.disturbed).filter(share => share !== null)
  return {
    workload: workload.name,
    title: workload.title,
    connections: workload.connections,
    figures,
    disturbed: disturbed.length === 0 ? null : median(disturbed),
    samples
  }
}

const show = ({ mean, low, high }: Ratio): string => `${mean.toFixed(2)} [${low.toFixed(2)}–${high.toFixed(2)}]`

/** Lines with columns that stand below each other; the first two to the left, the others to the right. */
function aligned (rows: ReadonlyArray<readonly string[]>): string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map(row => row[column]?.length ?? 0)))
  return rows.map(row => row.map((cell, column) => column < 2 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0)).join('  ').trimEnd())
}

/** A contender's cells: a ratio against itself is 1, and a star is on throughput that a contender did not decide. */
function row (one: Figures, others: readonly string[], limited: ReadonlySet<string>): string[] {
  const cell = (other: string, found: Ratio | undefined): string => other === one.contender || found === undefined ? '1' : show(found)
  const star = (...names: string[]): string => names.some(name => limited.has(name)) ? ' *' : '  '
  const [first] = others
  return [
    one.contender,
    one.title === one.contender ? '' : one.title,
    one.cpuPerRequest.toFixed(1),
    ...others.map(other => cell(other, one.cpuRatio[other])),
    one.requestsPerSecond.toFixed(0) + star(one.contender),
    ...first === undefined ? [] : [cell(first, one.throughputRatio[first]) + star(one.contender, first)],
    one.p50.toFixed(2),
    one.p99.toFixed(2),
    `${(one.busy * 100).toFixed(0)} %`
  ]
}

function remarks ({ figures, disturbed }: Result): string[] {
  const said = figures.flatMap(({ targets }) => targets).map(({ against, atMost, ratio: found, verdict }) => {
    const word = verdict === 'open' ? 'open, the interval holds it' : verdict
    return `target: ours / ${against} ≤ ${atMost.toFixed(2)}, measured ${show(found)}: ${word}`
  })
  if (figures.some(({ saturated }) => !saturated)) {
    said.push('* a core was not used fully: this throughput is that of the load generator, the backends or other work on the machine')
  }
  if (disturbed !== null && disturbed > DISTURBED) {
    said.push(`Others took ${(disturbed * 100).toFixed(0)} % of the contenders' core meanwhile: repeat this on a quiet machine.`)
  }
  return said
}

/** The table of a workload, what became of its targets, and what is doubtful. */
export function table (result: Result): string {
  const { title, connections, figures } = result
  const others = Object.keys(figures[0]?.cpuRatio ?? {}).filter(other => figures.length > 1 || other !== figures[0]?.contender)
  const limited = new Set(figures.filter(({ saturated }) => !saturated).map(({ contender }) => contender))
  const against = others[0] === undefined ? [] : [`req/s / ${others[0]}  `]
  const head = ['', '', 'CPU µs', ...others.map(other => `CPU / ${other}`), 'req/s  ', ...against, 'p50 ms', 'p99 ms', 'core']
  return [`${title}, ${connections} connections`, ...aligned([head, ...figures.map(one => row(one, others, limited))]), ...remarks(result)].join('\n')
}
