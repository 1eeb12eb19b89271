import { connect } from 'node:net'
import { Agent } from 'undici'
import type { CheckAnswer, CheckTask } from '../health/checks.js'
import { now } from './clock.js'
import { connector } from './connector.js'
import { originOf } from './pools.js'

/** Carries out active checks, each on a connection of its own: whether a peer takes new ones is part of the question. */
export class Checker {
  /** The check's own time-out ends a connection that does not come about; this one only bounds what it leaves behind. */
  readonly #agent = new Agent({ pipelining: 0, connect: connector(60_000) })

  /** One check. Never rejects; a check that cannot be made has failed. */
  async run (task: CheckTask): Promise<CheckAnswer> {
    const startedAt = now()
    try {
      const status = task.path === null ? await tcp(task) : await this.#http(task, task.path)
      const accepted = status === null || task.settings.status.some(([from, to]) => status >= from && status <= to)
      return { ok: accepted, status, ms: now() - startedAt, error: accepted ? null : `GET ${task.path} answered ${status}` }
    } catch (error) {
      return { ok: false, status: null, ms: now() - startedAt, error: worded(error, task) }
    }
  }

  async close (): Promise<void> {
    await this.#agent.destroy()
  }

  async #http ({ service, peer, settings }: CheckTask, path: string): Promise<number> {
    const { host } = service.settings
    const signal = AbortSignal.timeout(settings.timeout)
    const { statusCode, body } = await this.#agent.request({
      origin: originOf(peer),
      path,
      method: 'GET',
      headers: { host: host === 'client' || host === 'peer' ? peer.id : host, 'user-agent': settings.userAgent },
      signal
    })
    // The status is the answer; the body is read away, or cut when it is long or late.
    body.dump({ limit: 65_536, signal }).catch(() => {})
    return statusCode
  }
}

async function tcp ({ peer, settings }: CheckTask): Promise<null> {
  const socket = connect({ host: peer.host, port: peer.port, timeout: settings.timeout })
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve)
      socket.once('error', reject)
      socket.once('timeout', () => reject(new DOMException('', 'TimeoutError')))
    })
    return null
  } finally {
    socket.destroy()
  }
}

function worded (error: unknown, { settings, path }: CheckTask): string {
  const what = path === null ? 'connecting' : `GET ${path}`
  if (error instanceof DOMException && error.name === 'TimeoutError') return `${what} took over ${settings.timeout} ms`
  return `${what}: ${error instanceof Error ? error.message : String(error)}`
}
