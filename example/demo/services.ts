/** The three services, each a process of its own. */
import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { atEnd } from './ending.js'
import { freePort } from './wait.js'

export const SERVICE = 'my_test_service'
export const KEY_PREFIX = '/v1/testing/services/'

/** A registration as the README writes it; `slow_start` in seconds. */
export interface Value {
  weight: number
  slow_start: number
  checkurl: string
  status?: 'up' | 'down'
}

const running = new Set<DemoService>()

/** All at the same time: one that cannot reach etcd takes a second to leave. */
async function endAll (): Promise<void> {
  await Promise.all([...running].map(service => service.end('SIGTERM')))
}

/** One service: where it is, what it says of itself, and its process. */
export class DemoService {
  readonly id: string
  readonly key: string
  readonly value: Value
  readonly #port: number
  readonly #etcd: string | null
  #child: ChildProcess | null = null

  constructor (port: number, etcd: string | null, value: Value) {
    this.#port = port
    this.#etcd = etcd
    this.id = `127.0.0.1:${port}`
    this.key = `${KEY_PREFIX}${SERVICE}/${this.id}`
    this.value = value
  }

  /** Resolves when it serves and is registered. */
  async start (): Promise<void> {
    const registration = this.#etcd === null ? [] : [this.#etcd, this.key, JSON.stringify(this.value)]
    const file = fileURLToPath(new URL('service.ts', import.meta.url))
    const child = this.#child = fork(file, [String(this.#port), ...registration], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
    running.add(this)
    atEnd(endAll)
    const ended = once(child, 'exit').then(() => { throw new Error(`the service at ${this.id} ended at its start`) })
    await Promise.race([once(child, 'message'), ended])
    ended.catch(() => {})
  }

  /** SIGTERM asks it to leave, and makes it go when it has not; resolves when it is gone. */
  async end (signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    const child = this.#child
    if (child === null || child.exitCode !== null || child.signalCode !== null) return
    const impatient = setTimeout(() => child.kill('SIGKILL'), 2000)
    const gone = once(child, 'exit')
    child.kill(signal)
    await gone
    clearTimeout(impatient)
  }
}

export type Three = readonly [DemoService, DemoService, DemoService]

/** Starts three services with weights 3, 4 and 5; with `etcd` they register themselves there. `slowStart` in seconds. */
export async function startServices (etcd: string | null, slowStart: number): Promise<Three> {
  const ports = [await freePort(), await freePort(), await freePort()].sort((a, b) => a - b)
  const service = (i: number): DemoService =>
    new DemoService(ports[i] ?? 0, etcd, { weight: 3 + i, slow_start: slowStart, checkurl: '/health' })
  const services = [service(0), service(1), service(2)] as const
  await Promise.all(services.map(service => service.start()))
  return services
}
