/** What can be written after `npm run bench --`. */
import { parseArgs } from 'node:util'

export interface Options {
  /** What to do: the comparison, memory over a million requests, or the time to the first byte. */
  readonly what: 'compare' | 'memory' | 'first-byte'
  readonly rounds: number
  /** Of one contender in one round. */
  readonly seconds: number
  /** Names of workloads and of contenders; null for all. */
  readonly only: readonly string[] | null
  readonly contenders: readonly string[] | null
  /** Where the figures go as JSON; null for nowhere. */
  readonly json: string | null
  readonly check: boolean
  /** The folder of another build of ours to measure beside this one. */
  readonly before: string | null
}

export const usage = `npm run bench -- [options]

  --quick             12 rounds instead of 40
  --rounds n          rounds
  --seconds n         seconds of each contender in each round, 0.3 unless given
  --only a,b          these workloads
  --contenders a,b    these contenders
  --before folder     another build of this package (its dist), as one more contender
  --json file         the figures as JSON; "-" prints them instead of the table
  --check             end with 1 when a target is missed for sure
  --memory            instead: the heap over a million requests
  --first-byte        instead: when headers and first bytes of slow answers come`

const list = (text: string | undefined): string[] | null => text === undefined ? null : text.split(',').filter(name => name !== '')

function count (name: string, text: string | undefined, otherwise: number): number {
  if (text === undefined) return otherwise
  const value = Number(text)
  if (!Number.isInteger(value) || value < 1 || value > 1000) throw new Error(`--${name}: expected a whole number from 1 to 1000, got "${text}"`)
  return value
}

function duration (text = '0.3'): number {
  const value = Number(text)
  if (!(value >= 0.1 && value <= 600)) throw new Error(`--seconds: expected a number from 0.1 to 600, got "${text}"`)
  return value
}

/** Reads the arguments; throws what is wrong in a sentence. */
export function readOptions (args: readonly string[]): Options | 'help' {
  const flag = { type: 'boolean', default: false } as const
  const text = { type: 'string' } as const
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      quick: flag, rounds: text, seconds: text, only: text, contenders: text, before: text, json: text, check: flag, memory: flag, 'first-byte': flag, help: flag
    }
  })
  if (values.help) return 'help'
  const unknown = positionals.find(word => word !== 'memory' && word !== 'first-byte')
  if (unknown !== undefined) throw new Error(`${unknown}: expected "memory", "first-byte" or options\n\n${usage}`)
  const asked = (name: 'memory' | 'first-byte'): boolean => values[name] || positionals.includes(name)
  return {
    what: asked('memory') ? 'memory' : asked('first-byte') ? 'first-byte' : 'compare',
    rounds: count('rounds', values.rounds, values.quick ? 12 : 40),
    seconds: duration(values.seconds),
    only: list(values.only),
    contenders: list(values.contenders),
    json: values.json ?? null,
    check: values.check,
    before: values.before ?? null
  }
}

/** Those of `items` that were named; throws for a name that there is not. */
export function choose<T> (option: string, names: readonly string[] | null, items: readonly T[], nameOf: (item: T) => string): T[] {
  const known = new Set(items.map(nameOf))
  const unknown = names?.find(name => !known.has(name))
  if (unknown !== undefined) throw new Error(`--${option}: there is no "${unknown}"; there are ${[...known].join(', ')}`)
  return items.filter(item => names === null || names.includes(nameOf(item)))
}
