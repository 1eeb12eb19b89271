import type { TestGateway } from '../../fixtures/gateway.js'
import { until } from '../../fixtures/wait.js'

/** Requests a second. */
const RATE = 80
/** An answer that takes longer (ms) is a failure. */
const LATE = 10_000

/** Clients that ask at a steady rate, whatever becomes of it. Every answer has to be 200, and a peer's. */
export class Traffic {
  made = 0
  failed = 0
  /** The first failure in words. */
  complaint: string | null = null
  readonly #gateway: TestGateway
  readonly #path: string
  readonly #names: ReadonlySet<string>
  readonly #timer: NodeJS.Timeout
  #begun = performance.now()
  #due = 0
  #inflight = 0

  constructor (gateway: TestGateway, path: string, names: readonly string[]) {
    this.#gateway = gateway
    this.#path = path
    this.#names = new Set(names)
    this.#timer = setInterval(() => this.#catchUp(), 10)
  }

  /** Resolves when all answers are there. */
  async end (): Promise<void> {
    clearInterval(this.#timer)
    await until(() => this.#inflight === 0, { what: 'answers to all requests', timeout: LATE }).catch((error: Error) => {
      this.#fail(error.message)
      this.failed += this.#inflight - 1
    })
  }

  #catchUp (): void {
    // What this process could not send because it was busy is not sent all at once.
    if (performance.now() - this.#begun > 1000) {
      this.#begun = performance.now()
      this.#due = 0
    }
    for (const due = (performance.now() - this.#begun) * RATE / 1000; this.#due < due; this.#due++) {
      this.made++
      this.#inflight++
      this.#ask().catch(error => this.#fail(String(error))).finally(() => { this.#inflight-- })
    }
  }

  async #ask (): Promise<void> {
    const started = performance.now()
    const { status, body } = await this.#gateway.send(this.#path)
    const ms = performance.now() - started
    if (status !== 200 || !this.#names.has(body)) this.#fail(`answered ${status} ${body}`)
    else if (ms > LATE) this.#fail(`answered after ${Math.round(ms)} ms`)
  }

  #fail (complaint: string): void {
    this.failed++
    this.complaint ??= complaint
  }
}
