/** The load generator: wrk, with a script that says what to send and prints the figures as JSON. */
import { execFile, spawnSync, type ChildProcess } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { atEnd } from '../example/demo/ending.js'
import type { Workload } from './workloads.js'

/** What one run came to. */
export interface Load {
  /** Requests that were answered whole. */
  readonly requests: number
  readonly seconds: number
  /** Milliseconds. */
  readonly p50: number
  readonly p99: number
}

interface Told extends Load {
  readonly bytes: number
  readonly errors: Record<string, number>
}

/** Longer than that after its time wrk may not take (s). */
const PATIENCE = 10
/** No answer may take longer (s); wrk counts those as time-outs, and they stop the benchmark. */
const SLOWEST = 5

const isThere = (): boolean => spawnSync('wrk', ['-v']).error === undefined

/** Installs wrk on Debian and Ubuntu when run as root, and says so; throws when there is none afterwards. */
export function needWrk (say: (line: string) => void): void {
  if (isThere()) return
  if (process.getuid?.() === 0 && existsSync('/etc/debian_version')) {
    const apt = (...args: string[]): boolean => {
      return spawnSync('apt-get', args, { env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }, timeout: 180_000 }).status === 0
    }
    const install = ['install', '-y', '--no-install-recommends', 'wrk']
    if (apt(...install) || (apt('update') && apt(...install))) say('Installed the load generator: apt-get install wrk.')
  }
  if (!isThere()) throw new Error('The benchmark needs the load generator wrk: install it with `apt-get install wrk` or from https://github.com/wg/wrk.')
}

/** What wrk runs: one thread, so one list of requests that is gone through in turn. */
function scriptFor ({ method, sent, path, paths }: Workload): string {
  const body = sent === 0 ? '' : `wrk.body = string.rep("x", ${sent})\nwrk.headers["Content-Type"] = "application/octet-stream"\n`
  const many = `local made, at = {}, 0
init = function () for i = 1, ${paths} do made[i] = wrk.format(nil, "${path}" .. i) end end
request = function () at = at % ${paths} + 1 return made[at] end
`
  return `wrk.method = "${method}"
${body}${paths > 1 ? many : `wrk.path = "${path}"\n`}done = function (summary, latency)
  local e = summary.errors
  io.write(string.format('\\n{"requests":%d,"seconds":%.6f,"bytes":%.0f,"p50":%.3f,"p99":%.3f,',
    summary.requests, summary.duration / 1e6, summary.bytes, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3))
  io.write(string.format('"errors":{"connect":%d,"read":%d,"write":%d,"status":%d,"timeout":%d}}\\n',
    e.connect, e.read, e.write, e.status, e.timeout))
end
`
}

/** wrk for one workload. */
export class Wrk {
  readonly #workload: Workload
  readonly #script: string
  readonly #cores: string | null
  #running: ChildProcess | null = null

  constructor (workload: Workload, cores: string | null) {
    this.#workload = workload
    this.#cores = cores
    const folder = mkdtempSync(join(tmpdir(), 'bench-'))
    atEnd(() => {
      if (this.#running?.exitCode === null) this.#running.kill('SIGKILL')
      rmSync(folder, { recursive: true, force: true })
    })
    this.#script = join(folder, `${workload.name}.lua`)
    writeFileSync(this.#script, scriptFor(workload))
  }

  /** Puts load on a port of 127.0.0.1, for parts of a second too. Throws when any request failed. */
  async run (port: number, seconds: number): Promise<Load> {
    const { connections, answer } = this.#workload
    const wrk = ['wrk', '-t', '1', '-c', String(connections), '-d', `${Math.ceil(seconds)}s`, '--timeout', `${SLOWEST}s`, '-s', this.#script, `http://127.0.0.1:${port}`]
    const [file = '', ...args] = this.#cores === null ? wrk : ['taskset', '-c', this.#cores, ...wrk]
    const printed = await new Promise<string>((resolve, reject) => {
      const child = execFile(file, args, { timeout: (seconds + PATIENCE) * 1000, killSignal: 'SIGKILL' }, (error, stdout) => {
        clearTimeout(shorter)
        if (error === null) resolve(stdout)
        else reject(new Error(`wrk failed: ${error.message}`))
      })
      // wrk counts in whole seconds; an interrupt makes it tell what it has by then.
      const shorter = Number.isInteger(seconds) ? undefined : setTimeout(() => child.kill('SIGINT'), seconds * 1000)
      this.#running = child
    })
    const told: Told = JSON.parse(printed.slice(printed.lastIndexOf('\n{')))
    const failed = Object.entries(told.errors).filter(([, count]) => count > 0)
    if (failed.length > 0) throw new Error(`requests failed: ${failed.map(([kind, count]) => `${count} × ${kind}`).join(', ')}`)
    if (told.bytes < told.requests * answer) throw new Error('answers were too short')
    return told
  }
}
