import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Upgrade } from '../../picker/forwarding.js'
import { Asked } from './asked.js'
import { answerPlainly } from './connection.js'
import { targetOf } from './target.js'

/** How long upgrades that nobody has agreed to yet may hold up the end of the server, ms. */
const CLOSE_WITHIN = 3000
/**
 * Other ways to speak HTTP, which are a matter between the client and us. A peer that agreed would be sent requests that
 * no route, hook or balancer sees.
 */
const HTTP_ITSELF = /^(?:h2c?$|http\/|tls\/)/i

/** Where upgrades are forwarded: at and below these segments. What a segment with a colon matches is the router's to say. */
interface Place {
  readonly segments: readonly string[]
  readonly methods: readonly string[]
}

/**
 * Takes requests for another protocol through Fastify's router and its hooks like any other request, where a route may
 * forward them. All other requests go their way as if this were not here.
 */
export class Upgrades {
  readonly #app: FastifyInstance
  readonly #tunnels: { hangUp: () => void }
  readonly #places: Place[] = []
  readonly #asked = new WeakMap<IncomingMessage, Asked>()
  readonly #sockets = new Set<Socket>()
  #cut: NodeJS.Timeout | undefined

  /** `tunnels.hangUp` ends what was upgraded: a server that is to close would wait for it. */
  constructor (app: FastifyInstance, tunnels: { hangUp: () => void }) {
    this.#app = app
    this.#tunnels = tunnels
  }

  /** Upgrades by these methods at and below these segments are forwarded. Listens from the first time on. */
  add (segments: readonly string[], methods: readonly string[]): void {
    if (this.#places.push({ segments: segments.map(segment => this.#cased(segment)), methods }) === 1) this.#listen()
  }

  /** What a request asks for besides an answer; null for nothing, or for what cannot be forwarded. */
  of (request: FastifyRequest, reply: FastifyReply): Upgrade | null {
    const asked = this.#asked.get(request.raw)
    if (asked === undefined) return null
    return { protocol: asked.protocol, accept: (protocol, fields) => asked.accept(reply, protocol, fields) }
  }

  #listen (): void {
    const { server } = this.#app
    const emit = server.emit
    // What is taken here must not reach other listeners, each of which would answer it as well.
    const first = (...told: unknown[]): boolean => {
      if (told[0] === 'upgrade' && this.#take(told[1] as IncomingMessage, told[3] as Buffer)) return true
      return Reflect.apply(emit, server, told)
    }
    server.emit = first as typeof emit
    // With any listener Node answers no such request itself, and without one it tells nobody.
    server.on('upgrade', (request: IncomingMessage, _socket: Socket, head: Buffer) => {
      if (server.listenerCount('upgrade') === 1) answerPlainly(server, request, head)
    })
    this.#app.addHook('preClose', done => {
      this.#tunnels.hangUp()
      if (this.#sockets.size > 0) this.#cut = setTimeout(() => { for (const socket of this.#sockets) socket.destroy() }, CLOSE_WITHIN)
      done()
    })
  }

  #take (request: IncomingMessage, head: Buffer): boolean {
    const protocol = this.#isPlace(request) ? protocolOf(request) : ''
    if (protocol === '') return false
    const { socket } = request
    this.#sockets.add(socket)
    socket.on('close', () => {
      this.#sockets.delete(socket)
      if (this.#sockets.size === 0) clearTimeout(this.#cut)
    })
    const asked = new Asked(protocol, request, head)
    this.#asked.set(request, asked)
    asked.route(this.#app)
    return true
  }

  #isPlace (request: IncomingMessage): boolean {
    const { initialConfig } = this.#app
    let path = pathOf(request).slice(1).split('/')
    if (setting(initialConfig, 'ignoreDuplicateSlashes') === true) path = path.filter(segment => segment !== '')
    const came = path.map(segment => this.#cased(decoded(segment)))
    return this.#places.some(({ segments, methods }) => methods.includes(request.method ?? '') &&
      segments.every((segment, i) => segment === came[i] || (segment.includes(':') && came[i] !== undefined)))
  }

  #cased (segment: string): string {
    return setting(this.#app.initialConfig, 'caseSensitive') === false ? segment.toLowerCase() : segment
  }
}

/** Fastify keeps the router's settings in two places. */
function setting (config: FastifyInstance['initialConfig'], name: 'caseSensitive' | 'ignoreDuplicateSlashes'): unknown {
  return config.routerOptions?.[name] ?? config[name]
}

/**
 * The protocols that may be forwarded; empty for none. A request with a body is none of these: Node would take its body
 * for the other protocol.
 */
function protocolOf ({ httpVersion, headers }: IncomingMessage): string {
  const { host, upgrade = '', 'content-length': length = '0', 'transfer-encoding': coding } = headers
  if (httpVersion !== '1.1' || host === undefined || length !== '0' || coding !== undefined) return ''
  return upgrade.split(',').map(token => token.trim()).filter(token => token !== '' && !HTTP_ITSELF.test(token)).join(', ')
}

function pathOf (raw: IncomingMessage): string {
  try {
    return targetOf({ raw }).path
  } catch {
    // No path at all: the router's matter.
    return ''
  }
}

/** Escapes that mean nothing stay: no place is written so. */
function decoded (segment: string): string {
  try {
    return decodeURIComponent(segment)
  } catch {
    return segment
  }
}
