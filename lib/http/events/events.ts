import type { ServerHttp2Stream } from 'node:http2'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { failure } from '../inspect/bad-request.js'
import type { Gateway } from '../gateway.js'
import type { Numbered } from '../news/journal.js'
import { numberOf, recordOf } from '../news/records.js'
import { inSlices } from '../inspect/slices.js'
import { Stats } from './stats.js'
import { iso } from '../as-json.js'
import { Viewer, type Line } from './viewer.js'

/** No more than so many look at the same time, so that what lies unread for all of them stays bounded. */
export const VIEWERS = 64
/** After how long a browser comes back, ms. */
const RETRY = 1000
/** How long the last bytes may take when the gateway closes, ms. */
const FAREWELL = 500

/** The route of the event stream. */
export function events (app: FastifyInstance, gateway: Gateway): void {
  const stream = new EventStream(gateway, error => app.log.error(error))
  gateway.ticking.add(at => stream.tick(at))
  app.addHook('preClose', async () => stream.close())
  // A HEAD would be a stream that nobody reads.
  app.get('/events', { exposeHeadRoute: false }, (request, reply) => stream.join(request, reply))
}

/**
 * The event stream: `hello`, the records that a viewer has missed since the one named by `Last-Event-ID`, `snapshot`, and from
 * then on records as they come and `stats` once a second. Nothing is worked out while nobody looks, and all who look get the
 * same bytes.
 */
class EventStream {
  readonly #gateway: Gateway
  readonly #stats: Stats
  readonly #viewers = new Set<Viewer>()
  readonly #failed: (error: unknown) => void
  /** The last snapshot, until there are newer figures: it holds all up to record `n`. */
  #snapshot: { readonly chunk: Buffer, readonly n: number } | null = null
  #second = 0
  #isDue = false
  #isWorking = false
  #isClosed = false

  /** What should never fail is told to `failed`. */
  constructor (gateway: Gateway, failed: (error: unknown) => void) {
    this.#gateway = gateway
    this.#stats = new Stats(gateway)
    this.#failed = failed
    gateway.news.ears.add(happening => this.#tell(happening))
  }

  /** Answers with the stream. Throws (503) when too many look already. */
  join (request: FastifyRequest, reply: FastifyReply): FastifyReply {
    // One connection for one stream: what it leaves behind when it ends would keep a closing server waiting.
    if (request.raw.httpVersionMajor === 1) reply.header('connection', 'close')
    if (this.#viewers.size >= VIEWERS || this.#isClosed) {
      reply.header('retry-after', '5')
      throw failure(503, this.#isClosed ? 'the gateway is closing' : `${VIEWERS} look at the event stream already`)
    }
    const { journal, epoch } = this.#gateway
    const seen = numberOf(epoch, String(request.headers['last-event-id'] ?? ''))
    const missed = seen === null ? null : journal.after(seen)
    const viewer = new Viewer(seen === null || missed === null ? journal.last : seen, lineOf(reply.raw))
    this.#viewers.add(viewer)
    viewer.out.once('close', () => this.#leave(viewer))
    // Also when it is not the stream that is sent at last.
    reply.raw.once('close', () => { viewer.out.destroy() })
    viewer.send(this.#frame('hello', this.#hello(missed !== null), viewer.seen, `retry: ${RETRY}\n`))
    // At once: by the time that the snapshot is there some of it may be forgotten.
    for (const happening of missed ?? []) viewer.send(this.#record(happening))
    viewer.seen = journal.last
    setImmediate(() => this.#work())
    return reply.type('text/event-stream; charset=utf-8').header('cache-control', 'no-store, no-transform').header('x-accel-buffering', 'no').send(viewer.out)
  }

  /** Looks after the viewers; once a second their figures are due. */
  tick (at: number): void {
    if (this.#viewers.size === 0) return
    for (const viewer of this.#viewers) viewer.look(at)
    const second = Math.floor(at / 1000)
    this.#isDue ||= second !== this.#second
    this.#second = second
    this.#work()
  }

  /** Ends all streams, so that the server may close: what has not got through in a while will not. */
  close (): void {
    this.#isClosed = true
    for (const viewer of this.#viewers) viewer.end(FAREWELL)
  }

  #hello (resumed: boolean): string {
    const { node, now, settings: { inspect } } = this.#gateway
    const actions = inspect !== false && inspect.actions !== false
    return JSON.stringify({ now: iso(now()), node: { ...node, startedAt: iso(node.startedAt) }, resumed, actions })
  }

  #leave (viewer: Viewer): void {
    this.#viewers.delete(viewer)
    if (this.#viewers.size > 0) return
    this.#snapshot = null
    this.#isDue = false
    this.#stats.forget()
  }

  #tell (happening: Numbered): void {
    let chunk: Buffer | null = null
    const at = this.#gateway.now()
    for (const viewer of this.#viewers) {
      if (viewer.isLive && viewer.offer(chunk ??= this.#record(happening), at)) viewer.seen = happening.n
    }
  }

  /** Does what is due, one thing at a time: newer figures never overtake older ones. */
  #work (): void {
    if (this.#isWorking) return
    this.#isWorking = true
    this.#serve().catch(error => {
      this.#failed(error)
      for (const viewer of this.#viewers) viewer.drop()
    }).finally(() => { this.#isWorking = false })
  }

  async #serve (): Promise<void> {
    const { now } = this.#gateway
    const isWanted = (): boolean => this.#viewers.size > 0
    while (isWanted()) {
      const waiting = [...this.#viewers].filter(({ waits }) => waits)
      if (waiting.length > 0) {
        const snapshot = await this.#picture(Math.max(...waiting.map(({ seen }) => seen)), isWanted)
        // Nobody waits any more, or so much has happened meanwhile that the next tick is to try again.
        if (snapshot === null) return
        for (const viewer of waiting) this.#welcome(viewer, snapshot)
      } else if (this.#isDue) {
        this.#isDue = false
        const written = await inSlices(this.#stats.step(), now, isWanted)
        this.#snapshot = null
        if (written === null) return
        const chunk = this.#frame('stats', written())
        for (const viewer of this.#viewers) viewer.offer(chunk, now())
      } else return
    }
  }

  /** How all is, not before record `needed`; null when it is not wanted any more, or what has happened since is forgotten. */
  async #picture (needed: number, isWanted: () => boolean): Promise<{ readonly chunk: Buffer, readonly n: number } | null> {
    const { now, journal } = this.#gateway
    if (this.#snapshot !== null && this.#snapshot.n >= needed && journal.after(this.#snapshot.n) !== null) return this.#snapshot
    const n = journal.last
    this.#snapshot = null
    const text = await inSlices(this.#stats.snapshot(), now, isWanted)
    if (text === null || journal.after(n) === null) return null
    this.#snapshot = { n, chunk: this.#frame('snapshot', text, n) }
    return this.#snapshot
  }

  /** Brings one up to date: what it has missed, how all is, and what has happened since that was found out. */
  #welcome (viewer: Viewer, { chunk, n }: { readonly chunk: Buffer, readonly n: number }): void {
    const { journal } = this.#gateway
    for (const happening of journal.after(viewer.seen) ?? []) if (happening.n <= n) viewer.send(this.#record(happening))
    viewer.send(chunk)
    for (const happening of journal.after(n) ?? []) viewer.send(this.#record(happening))
    viewer.welcome(journal.last)
  }

  #record (happening: Numbered): Buffer {
    return this.#frame(happening.type, JSON.stringify(recordOf(this.#gateway.epoch, happening)), happening.n)
  }

  /** `JSON.stringify` leaves no line break in a text, so that it is one line of data. */
  #frame (event: string, data: string, n?: number, more = ''): Buffer {
    return Buffer.from(`${more}${n === undefined ? '' : `id: ${this.#gateway.epoch}-${n}\n`}event: ${event}\ndata: ${data}\n\n`)
  }
}

/** By HTTP/2 there may be other streams on the connection: it outlives this one, unless it is the last or nobody reads. */
function lineOf (raw: FastifyReply['raw'] & { readonly stream?: ServerHttp2Stream }): Line {
  const session = raw.stream?.session
  const cut = (): void => { raw.destroy() }
  if (session === undefined) return { cut, last: () => {}, hangUp: cut }
  let isOpen = true
  raw.once('close', () => { isOpen = false })
  return {
    cut,
    last: () => { raw.once('close', () => session.close()) },
    // One that is closed in order waits for a client that may never answer.
    hangUp: () => { if (isOpen) session.destroy() }
  }
}
