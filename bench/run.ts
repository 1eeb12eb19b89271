/** `npm run bench`: see README.md here for what is measured and how. */
import { existsSync, writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { run } from '../example/demo/ending.js'
import { compare } from './compare.js'
import { contenders, type Contender } from './contenders.js'
import { firstByte } from './first-byte.js'
import { describe, findCores, tell, type Machine } from './machine.js'
import { memory } from './memory.js'
import { nativeVersions } from './natives.js'
import { choose, readOptions, usage, type Options } from './options.js'
import { digest, table, type Result } from './report.js'
import { workloads, type Workload } from './workloads.js'
import { needWrk } from './wrk.js'

/** What goes on, for who waits; figures alone go to the standard output. */
const say = (line: string): void => { process.stderr.write(`${line}\n`) }

interface Work {
  readonly workload: Workload
  readonly contenders: readonly Contender[]
}

function planned (options: Options, before: string | null): Work[] {
  const there = contenders(before)
  const chosen = choose('contenders', options.contenders, there, ({ chosenAs }) => chosenAs)
  return choose('only', options.only, workloads, ({ name }) => name)
    .map(workload => ({
      workload,
      contenders: chosen.filter(({ name, chosenAs }) => workload.only === null ? name === chosenAs : workload.only.includes(name))
    }))
    .filter(work => work.contenders.length > 0)
}

/** What the targets come to when they are to be checked: 1 when one is missed by its whole interval. */
function verdict (results: readonly Result[]): number {
  const judged = results.flatMap(({ figures }) => figures.flatMap(({ targets }) => targets))
  if (judged.length === 0) {
    say('--check: nothing measured here has a target; ours and bare have to take part.')
    return 1
  }
  return judged.some(({ verdict }) => verdict === 'missed') ? 1 : 0
}

/** The comparison; printed workload by workload when `print`. */
async function measure (options: Options, { pinned }: Machine, before: string | null, print: boolean): Promise<Result[]> {
  const { rounds, seconds } = options
  const results: Result[] = []
  for (const { workload, contenders } of planned(options, before)) {
    const samples = await compare(workload, contenders, { rounds, seconds, cores: pinned, before, say })
    const result = digest(workload, contenders, samples)
    results.push(result)
    if (print) console.log(`\n${table(result)}`)
  }
  return results
}

async function main (): Promise<number> {
  const options = readOptions(process.argv.slice(2))
  if (options === 'help') {
    console.log(usage)
    return 0
  }
  if (!existsSync('/proc/self/stat')) throw new Error('The benchmark reads CPU times from /proc, so it runs on Linux.')
  const before = options.before === null ? null : resolve(options.before)
  if (before !== null && !existsSync(`${before}/index.js`)) throw new Error(`--before: there is no index.js in ${before}`)
  // What is wrong is said now, not after minutes.
  planned(options, before)
  if (options.what !== 'first-byte') needWrk(say)
  const startedAt = new Date().toISOString()
  const machine = describe(findCores(), nativeVersions())
  say(tell(machine))
  const { what, json, rounds, seconds } = options
  const print = json !== '-'
  const keep = (figures: object): void => {
    const text = JSON.stringify({ schema: 1, what, startedAt, machine, ...figures }, null, 2)
    if (json === '-') console.log(text)
    else if (json !== null) writeFileSync(json, `${text}\n`)
  }
  if (what === 'memory') keep(await memory(machine.pinned, print))
  else if (what === 'first-byte') keep({ results: await firstByte(machine.pinned, print) })
  else {
    const results = await measure(options, machine, before, print)
    keep({ rounds, seconds, results })
    if (options.check) return verdict(results)
  }
  return 0
}

run(main)
