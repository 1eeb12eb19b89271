import { connect } from 'node:net'
import { Client } from 'undici'
import type { CheckAnswer, CheckTask } from '../health/checks.js'
import { now } from './clock.js'
import { connector } from './connector.js'
import { originOf } from './pools.js'

/** One question under way: what it resolves to, and how to end it. */
interface Question {
  readonly answer: Promise<number | null>
  readonly end: () => void
}

/** How many checks are under way at once in all: `concurrency` is of one service, and there may be thousands of those. */
const AT_ONCE = 1000

/** Carries out active checks, each on a connection of its own: whether a peer takes new ones is part of the question. */
export class Checker {
  readonly #atOnce: number
  readonly #open = new Set<Question>()
  /** Those that wait for their turn, who came first goes first. */
  readonly #waiting: Array<() => void> = []
  #running = 0
  #closed = false

  constructor (atOnce = AT_ONCE) {
    this.#atOnce = atOnce
  }

  /**
   * One check, within its time whatever it hangs on; that counts from when it is its turn. Never rejects; a check that cannot
   * be made has failed.
   */
  async run (task: CheckTask): Promise<CheckAnswer> {
    if (this.#running === this.#atOnce) await new Promise<void>(resolve => this.#waiting.push(resolve))
    else this.#running++
    if (this.#closed) return { ok: false, status: null, ms: 0, error: 'the gateway was closed' }
    try {
      return await this.#ask(task)
    } finally {
      // Whose turn it is next takes over this one's.
      const next = this.#waiting.shift()
      if (next === undefined) this.#running--
      else next()
    }
  }

  async #ask (task: CheckTask): Promise<CheckAnswer> {
    const startedAt = now()
    const { timeout, status: accepted } = task.settings
    const question = task.path === null ? tcp(task) : http(task, task.path)
    // It is ended when its time is over, and what that makes of it is no news then.
    question.answer.catch(() => {})
    this.#open.add(question)
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(() => reject(new DOMException('', 'TimeoutError')), timeout)
    })
    try {
      const status = await Promise.race([question.answer, late])
      const ok = status === null || accepted.some(([from, to]) => status >= from && status <= to)
      return { ok, status, ms: now() - startedAt, error: ok ? null : `GET ${task.path} answered ${status}` }
    } catch (error) {
      return { ok: false, status: null, ms: now() - startedAt, error: worded(error, task) }
    } finally {
      clearTimeout(timer)
      this.#open.delete(question)
      question.end()
    }
  }

  /** Ends the checks under way. */
  close (): void {
    this.#closed = true
    for (const resolve of this.#waiting.splice(0)) resolve()
    for (const question of this.#open) question.end()
  }
}

function http ({ service, peer, settings }: CheckTask, path: string): Question {
  const { host, tls } = service.settings
  const client = new Client(originOf(peer), { connect: connector({ timeout: settings.timeout, tls, allowH2: false }), headersTimeout: 0, bodyTimeout: 0 })
  const headers = { host: host === 'client' || host === 'peer' ? peer.id : host, 'user-agent': settings.userAgent }
  const answer = client.request({ path, method: 'GET', headers, reset: true }).then(({ statusCode, body }) => {
    // The status is the answer. What the body makes of being cut off is no news.
    body.on('error', () => {})
    return statusCode
  })
  return { answer, end: () => { client.destroy().catch(() => {}) } }
}

function tcp ({ peer }: CheckTask): Question {
  const socket = connect({ host: peer.host, port: peer.port })
  const answer = new Promise<null>((resolve, reject) => {
    socket.once('connect', () => resolve(null))
    socket.on('error', reject)
    socket.once('close', () => reject(new Error('closed')))
  })
  return { answer, end: () => { socket.destroy() } }
}

function worded (error: unknown, { settings, path }: CheckTask): string {
  const what = path === null ? 'connecting' : `GET ${path}`
  if (error instanceof DOMException && error.name === 'TimeoutError') return `${what} took over ${settings.timeout} ms`
  return `${what}: ${error instanceof Error ? error.message : String(error)}`
}
