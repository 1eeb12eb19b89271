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

/** Carries out active checks, each on a connection of its own: whether a peer takes new ones is part of the question. */
export class Checker {
  readonly #open = new Set<Question>()

  /** One check, within its time whatever it hangs on. Never rejects; a check that cannot be made has failed. */
  async run (task: CheckTask): Promise<CheckAnswer> {
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
