import { ServerResponse, validateHeaderValue, type IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Upgrade } from '../picker/forwarding.js'
import { answerPlainly } from './plain-answer.js'
import { targetOf } from './target.js'

/** How long upgrades that are still being asked for may hold up the end of the server, ms. */
const CLOSE_WITHIN = 3000
/**
 * Other ways to speak HTTP, which are between the client and us. A peer that agreed would be given requests that no
 * route, hook or balancer sees.
 */
const HTTP_ITSELF = /^(?:h2c?|http\/|tls\/)/i

/** Where upgrades are forwarded: at and below these segments, each decoded; one with a colon is whatever the router says. */
interface Place {
  readonly segments: readonly string[]
  readonly methods: readonly string[]
}

/**
 * Takes requests for another protocol, where a route forwards them, through Fastify's router and its hooks like any
 * other request. Node has already given up their connections when it tells of them. All that no such route is there for
 * goes its way as if this were not here.
 */
export class Upgrades {
  readonly #app: FastifyInstance
  readonly #hangUp: () => void
  readonly #places: Place[] = []
  readonly #asked = new WeakMap<IncomingMessage, Asked>()
  readonly #sockets = new Set<Socket>()
  #cut: NodeJS.Timeout | undefined

  /** `hangUp` ends what was upgraded; it is called when the server is about to close, which would wait for that. */
  constructor (app: FastifyInstance, hangUp: () => void) {
    this.#app = app
    this.#hangUp = hangUp
  }

  /** Forwards upgrades at and below these segments. Listens from the first time on. */
  add (segments: readonly string[], methods: readonly string[]): void {
    if (this.#places.push({ segments: segments.map(segment => this.#written(segment)), methods }) === 1) this.#listen()
  }

  /** The protocol that a request asks for; null when it asks for none, or came another way. */
  of (request: FastifyRequest, reply: FastifyReply): Upgrade | null {
    const asked = this.#asked.get(request.raw)
    return asked === undefined ? null : { protocol: asked.protocol, accept: (protocol, fields) => accept(asked, reply, protocol, fields) }
  }

  #listen (): void {
    const { server } = this.#app
    const emit = server.emit
    // What is ours must not reach other listeners: each of them would answer it as well.
    const first = (event: string, ...told: [IncomingMessage, Socket, Buffer]): boolean => {
      const protocol = event === 'upgrade' ? this.#protocolOf(told[0]) : null
      if (protocol === null) return Reflect.apply(emit, server, [event, ...told])
      this.#take(protocol, ...told)
      return true
    }
    server.emit = first as typeof server.emit
    // Without a listener Node would not tell at all; with one it leaves all upgrades to it.
    server.on('upgrade', (request, _socket, head) => {
      if (server.listenerCount('upgrade') === 1) answerPlainly(server, request, head)
    })
    this.#app.addHook('preClose', done => {
      this.#hangUp()
      if (this.#sockets.size > 0) this.#cut = setTimeout(() => { for (const socket of this.#sockets) socket.destroy() }, CLOSE_WITHIN)
      done()
    })
  }

  /** What is asked for, where it is forwarded. A body stands in the way: Node would take it for the other protocol. */
  #protocolOf (request: IncomingMessage): string | null {
    const { method = '', httpVersion, headers } = request
    const { host, upgrade = '', 'content-length': length = '0', 'transfer-encoding': coding } = headers
    if (httpVersion !== '1.1' || host === undefined || length !== '0' || coding !== undefined) return null
    const path = this.#segmentsOf(targetOf({ raw: request }).path)
    const isPlace = ({ segments, methods }: Place): boolean => methods.includes(method) &&
      segments.every((segment, i) => segment === path[i] || (segment.includes(':') && path[i] !== undefined))
    if (!this.#places.some(isPlace)) return null
    return upgrade.split(',').map(token => token.trim()).filter(token => token !== '' && !HTTP_ITSELF.test(token)).join(', ') || null
  }

  #segmentsOf (path: string): string[] {
    const { routerOptions, ignoreDuplicateSlashes } = this.#app.initialConfig
    const segments = path.slice(1).split('/')
    const isOne = routerOptions?.ignoreDuplicateSlashes ?? ignoreDuplicateSlashes
    return (isOne === true ? segments.filter(segment => segment !== '') : segments).map(segment => this.#written(decoded(segment)))
  }

  #written (segment: string): string {
    const { routerOptions, caseSensitive } = this.#app.initialConfig
    return (routerOptions?.caseSensitive ?? caseSensitive) === false ? segment.toLowerCase() : segment
  }

  #take (protocol: string, request: IncomingMessage, socket: Socket, head: Buffer): void {
    this.#sockets.add(socket)
    socket.on('close', () => {
      this.#sockets.delete(socket)
      if (this.#sockets.size === 0) clearTimeout(this.#cut)
    })
    const asked = new Asked(protocol, request, socket, head)
    this.#asked.set(request, asked)
    asked.route(this.#app)
  }
}
