/** Which machine this is, and which of its cores do what. */
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { cpus, loadavg, release, totalmem } from 'node:os'

/** Cores as taskset names them; null where processes cannot be held to cores. */
export interface Cores {
  readonly contender: string
  readonly others: string
}

/** What has to stand beside any figure. */
export interface Machine {
  readonly cpu: string
  readonly cores: number
  readonly memoryGiB: number
  readonly system: string
  readonly node: string
  readonly pinned: Cores | null
  readonly versions: Record<string, string>
  /** Mean of runnable processes over the minute before the start: above 0.5 somebody else is working here. */
  readonly load: number
}

const packages = ['fastify', '@fastify/reply-from', 'undici', '@fastify/http-proxy', 'http-proxy', 'httpxy', 'fast-gateway']

/** The numbers in a list like `0-2,5`. */
function numbersOf (list: string): number[] {
  return list.trim().split(',').flatMap(part => {
    const [first = 0, last = first] = part.split('-').map(Number)
    return Array.from({ length: last - first + 1 }, (_, i) => first + i)
  })
}

/** The last core that we may use is the contender's, all the others are the generator's and the backends'. */
export function findCores (): Cores | null {
  if (spawnSync('taskset', ['--version']).status !== 0) return null
  const allowed = /^Cpus_allowed_list:(.*)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? ''
  const cores = numbersOf(allowed)
  const last = cores.pop()
  if (last === undefined || cores.length === 0) return null
  const pinned = { contender: String(last), others: cores.join(',') }
  // All threads of this process, which is not to be in the contender's way either.
  spawnSync('taskset', ['-a', '-p', '-c', pinned.others, String(process.pid)])
  return pinned
}

/** Versions of packages; what cannot be found is left out. */
function versionsOf (names: readonly string[]): Record<string, string> {
  const { resolve } = createRequire(import.meta.url)
  const found: Record<string, string> = {}
  for (const name of names) {
    for (const folder of resolve.paths(name) ?? []) {
      try {
        found[name] ??= JSON.parse(readFileSync(`${folder}/${name}/package.json`, 'utf8')).version
      } catch {}
    }
  }
  return found
}

/** `natives` are versions of what is no package. */
export function describe (pinned: Cores | null, natives: Record<string, string>): Machine {
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    system: `Linux ${release()}`,
    node: process.version,
    pinned,
    versions: { ...versionsOf(packages), ...natives },
    load: loadavg()[0] ?? 0
  }
}

/** The machine in a few lines. */
export function tell (machine: Machine): string {
  const { cpu, cores, memoryGiB, system, node, pinned, versions, load } = machine
  const where = pinned === null
    ? 'not pinned to cores (taskset, or a second core, is missing): take the figures with care'
    : `contender on core ${pinned.contender}, load generator and backends on ${pinned.others}`
  const lines = [
    `${cpu}, ${cores} cores, ${memoryGiB} GiB, ${system}, Node ${node.slice(1)}; ${where}`,
    Object.entries(versions).map(([name, version]) => `${name} ${version}`).join(', ')
  ]
  if (load > 0.5) lines.push(`The machine was busy before the start (load ${load.toFixed(2)}): the intervals will be wide.`)
  return lines.join('\n')
}
