import { ServerResponse, validateHeaderValue, type IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import type { FastifyInstance, FastifyReply } from 'fastify'
import { whenFree } from './connection.js'

/** After how long without a byte the system asks whether a client is still there, ms. */
const KEEP_ALIVE = 60_000

/**
 * One request for another protocol whose connection Node has given up. Until somebody agrees to the protocol it is
 * answered like any other, and its connection then closes.
 */
export class Asked {
  readonly protocol: string
  readonly #request: IncomingMessage
  readonly #socket: Socket
  readonly #response: ServerResponse
  readonly #watch = (): void => {
    // Nothing may be read yet but the end: a client that has left is no longer to be waited for.
    if (this.#socket.readableLength === 0) this.#socket.read()
  }

  readonly #left = (): void => { this.#socket.destroy() }

  /** `head` is what came behind the request's header. */
  constructor (protocol: string, request: IncomingMessage, head: Buffer) {
    const { socket } = request
    this.protocol = protocol
    this.#request = request
    this.#socket = socket
    this.#response = new ServerResponse(request)
    this.#response.shouldKeepAlive = false
    socket.on('error', () => {})
    if (head.length > 0) socket.unshift(head)
  }

  /** Has Fastify find the route and run its hooks. */
  route (app: FastifyInstance): void {
    const response = this.#response
    const socket = this.#socket
    whenFree(socket, () => {
      socket.setTimeout(0)
      socket.on('readable', this.#watch)
      socket.on('end', this.#left)
      // What Node does for the answers on connections that it has not given up.
      socket.on('drain', () => response.emit('drain'))
      response.on('finish', () => { if (response.statusCode !== 101) socket.destroySoon() })
      response.assignSocket(socket)
      app.routing(this.#request, response)
    })
  }

  /** Answers 101 and gives the connection away; null when the client has left. Throws for fields that cannot be sent. */
  accept (reply: FastifyReply, protocol: string, fields: Record<string, string | string[] | undefined>): Socket | null {
    const socket = this.#socket
    if (socket.destroyed) return null
    const headers = Object.entries({ ...reply.headers(fields).getHeaders(), connection: 'Upgrade', upgrade: protocol })
    for (const [name, values] of headers) for (const value of [values].flat()) validateHeaderValue(name, String(value))
    reply.hijack()
    this.#response.writeHead(101, Object.fromEntries(headers)).end()
    socket.off('readable', this.#watch)
    socket.off('end', this.#left)
    socket.setKeepAlive(true, KEEP_ALIVE)
    return socket
  }
}
