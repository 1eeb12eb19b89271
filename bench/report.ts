/** What the samples of a workload come to: figures for JSON, and the same as a table. */
import type { Sample } from './compare.js'
import type { Contender } from './contenders.js'
import { combine, median, type Ratio } from './statistics.js'
import type { Target, Workload } from './workloads.js'

/** Below this share of its core a contender could have done more, and its throughput is the generator's or the backends'. */
const SATURATED = 0.9

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
  const against = [...new Set([workload.reference, ...workload.only === null ? ['floor', 'before'] : []])]
  const figures = contenders.map(({ name, title }): Figures => {
    const own = samples.filter(({ contender }) => contender === name)
    const middle = (measure: Exclude<keyof Sample, 'contender'>): number => median(own.map(sample => sample[measure]))
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
  return { workload: workload.name, title: workload.title, connections: workload.connections, figures, samples }
}

const show = ({ mean, low, high }: Ratio): string => `${mean.toFixed(2)} [${low.toFixed(2)}–${high.toFixed(2)}]`

/** Lines with columns that stand below each other; the first two to the left, the others to the right. */
function aligned (rows: ReadonlyArray<readonly string[]>): string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map(row => row[column]?.length ?? 0)))
  return rows.map(row => row.map((cell, column) => column < 2 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0)).join('  ').trimEnd())
}

/** The table of a workload, and below it what became of its targets. */
export function table ({ title, connections, figures }: Result): string {
  const others = Object.keys(figures[0]?.cpuRatio ?? {}).filter(other => figures.length > 1 || other !== figures[0]?.contender)
  const first = others[0]
  const rows = [
    ['', '', 'CPU µs', ...others.map(other => `CPU / ${other}`), 'req/s', ...first === undefined ? [] : [`req/s / ${first}`], 'p50 ms', 'p99 ms', 'core'],
    ...figures.map(one => [
      one.contender,
      one.title === one.contender ? '' : one.title,
      one.cpuPerRequest.toFixed(1),
      ...others.map(other => other === one.contender ? '1' : show(one.cpuRatio[other] ?? { mean: NaN, low: NaN, high: NaN })),
      one.requestsPerSecond.toFixed(0),
      ...first === undefined ? [] : [first === one.contender ? '1' : `${one.saturated ? '' : '≥ '}${show(one.throughputRatio[first] ?? { mean: NaN, low: NaN, high: NaN })}`],
      one.p50.toFixed(2),
      one.p99.toFixed(2),
      `${(one.busy * 100).toFixed(0)} %`
    ])
  ]
  const said = figures.flatMap(({ targets }) => targets).map(({ against, atMost, ratio: found, verdict }) => {
    const word = verdict === 'open' ? 'open, the interval holds it' : verdict
    return `target: ours / ${against} ≤ ${atMost.toFixed(2)}, measured ${show(found)}: ${word}`
  })
  return [`${title}, ${connections} connections`, ...aligned(rows), ...said].join('\n')
}
