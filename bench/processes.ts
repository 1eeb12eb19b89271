/** Processes of the benchmark: started on their core, asked what CPU they took, ended by their own id. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, readdirSync } from 'node:fs'
import { atEnd } from '../example/demo/ending.js'

/** Clock ticks of `/proc` in a second; Linux shows 100 of them on every platform. */
const TICKS = 100
const START_WITHIN = 15_000
const ANSWER_WITHIN = 15_000
const END_WITHIN = 2000
/** What is kept of a process's complaints, in characters. */
const KEPT = 2000

const running = new Set<Process>()

/** All at the same time: the end of the benchmark does not wait long. */
async function endAll (): Promise<void> {
  await Promise.all([...running].map(process => process.end()))
}

/** One process that was started. */
export class Process {
  readonly name: string
  readonly child: ChildProcess
  #complaints = ''

  /** Starts `command`, held to `cores` when they are given. With `channel` it must be Node, and can be asked things. */
  constructor (name: string, command: readonly string[], cores: string | null, channel: boolean) {
    this.name = name
    const [file = '', ...args] = cores === null ? command : ['taskset', '-c', cores, ...command]
    const env = { ...process.env, NODE_ENV: 'production', NODE_OPTIONS: '', GOMAXPROCS: '1' }
    this.child = spawn(file, args, { env, stdio: ['ignore', 'pipe', 'pipe', ...(channel ? ['ipc' as const] : [])] })
    for (const stream of [this.child.stdout, this.child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => { this.#complaints = (this.#complaints + text).slice(-KEPT) })
    }
    this.child.on('error', error => { this.#complaints += error.message })
    this.child.on('exit', () => running.delete(this))
    running.add(this)
    atEnd(endAll)
  }

  get isOver (): boolean {
    return this.child.pid === undefined || this.child.exitCode !== null || this.child.signalCode !== null
  }

  /** An error of this process, with what it last said. */
  failure (what: string): Error {
    return new Error(`${this.name} ${what}${this.#complaints === '' ? '' : `; it said:\n${this.#complaints.trim()}`}`)
  }

  /** The first thing that a process in Node says. */
  async ready<T> (): Promise<T> {
    return await this.#heard(START_WITHIN, 'did not start') as T
  }

  /** What a contender in Node says of its memory, after a collection when it may collect. */
  async memory (): Promise<NodeJS.MemoryUsage> {
    this.child.send('memory')
    return await this.#heard(ANSWER_WITHIN, 'did not answer') as NodeJS.MemoryUsage
  }

  /** Seconds of CPU that it and its children have taken, user and system. */
  cpu (): number {
    return familyOf(this.child.pid ?? 0).reduce((sum, pid) => sum + (statOf(pid)?.cpu ?? 0), 0)
  }

  /** Asks it to end, and makes it after 2 s. */
  async end (): Promise<void> {
    if (this.isOver) return
    const gone = once(this.child, 'exit')
    const impatient = setTimeout(() => this.child.kill('SIGKILL'), END_WITHIN)
    this.child.kill('SIGTERM')
    await gone
    clearTimeout(impatient)
  }

  async #heard (within: number, otherwise: string): Promise<unknown> {
    const over = new AbortController()
    const options = { signal: AbortSignal.any([over.signal, AbortSignal.timeout(within)]) }
    const ended = once(this.child, 'exit', options).then(() => { throw this.failure(otherwise) })
    try {
      const [message] = await Promise.race([once(this.child, 'message', options), ended])
      return message
    } catch (error) {
      throw this.isOver ? error : this.failure(`${otherwise} within ${within / 1000} s`)
    } finally {
      ended.catch(() => {})
      over.abort()
    }
  }
}

/** Seconds in which a core was not idle, whoever it worked for; those that its host took from it too. */
export function coreTime (core: string): number {
  const line = new RegExp(`^cpu${core} (.*)$`, 'm').exec(readFileSync('/proc/stat', 'latin1'))?.[1] ?? ''
  const [user = NaN, nice = 0, system = 0, , , irq = 0, softirq = 0, steal = 0] = line.split(' ').map(Number)
  return (user + nice + system + irq + softirq + steal) / TICKS
}

interface Stat {
  readonly parent: number
  readonly cpu: number
}

/** A line of `/proc/<pid>/stat`; undefined when the process is gone. The times are those of all threads, ended ones too. */
function statOf (pid: number): Stat | undefined {
  try {
    const line = readFileSync(`/proc/${pid}/stat`, 'latin1')
    // The name in brackets may hold anything, so fields are counted after its end.
    const fields = line.slice(line.lastIndexOf(')') + 2).split(' ').map(Number)
    return { parent: fields[1] ?? 0, cpu: ((fields[11] ?? 0) + (fields[12] ?? 0)) / TICKS }
  } catch {
    return undefined
  }
}

/** A process and all that descend from it. */
function familyOf (pid: number): number[] {
  const parents = readdirSync('/proc').filter(name => /^\d+$/.test(name)).map(name => [Number(name), statOf(Number(name))?.parent] as const)
  const family = [pid]
  for (const member of family) family.push(...parents.filter(([, parent]) => parent === member).map(([child]) => child))
  return family
}
