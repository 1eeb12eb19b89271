import { isIP, Socket } from 'node:net'
import { buildConnector } from 'undici'
import type { TlsSettings } from '../store/settings.js'
import { readFirst } from './read-first.js'

/** How to connect to a peer. */
export interface ConnectSettings {
  /** Within this, ms; to the millisecond, which undici's own time-out is not. */
  readonly timeout: number
  readonly tls: TlsSettings
  readonly allowH2: boolean
}

/** Connects, and tells once and later of a socket or an error. */
export type Connect = (callback: (...told: [error: null, socket: Socket] | [error: Error, socket: null]) => void) => void

/**
 * Connects to a peer and, by TLS, expects the certificate of the peer's own host, or of `tls.serverName`. Left to itself
 * undici would take the name from the Host header, which is the client's to choose. An address is no server name
 * (RFC 6066) and is checked as an address. With `onread` (as `net.connect` has it) nothing can be read from the socket,
 * and who uses it sees to `readFirst`.
 */
export function connector ({ timeout, tls, allowH2 }: ConnectSettings, onread?: object): buildConnector.connector {
  const { rejectUnauthorized, ca, cert, key, serverName } = tls
  const connect = buildConnector({
    timeout: 0,
    allowH2,
    rejectUnauthorized,
    ...(onread === undefined ? {} : { onread }),
    ...(ca === null ? {} : { ca }),
    ...(cert === null ? {} : { cert }),
    ...(key === null ? {} : { key })
  })
  return (options, callback) => {
    const host = options.hostname.replace(/^\[(.*)\]$/, '$1')
    const servername = serverName ?? (isIP(host) === 0 ? host : '')
    let socket: { destroy: (error: Error) => void } | undefined
    const timer = setTimeout(() => socket?.destroy(new Error(`no connection within ${timeout} ms`)), timeout)
    try {
      // Its types promise nothing, and it returns the socket.
      socket = connect({ ...options, servername }, (...told) => {
        clearTimeout(timer)
        const [, connection] = told
        if (onread === undefined && connection instanceof Socket && !('alpnProtocol' in connection && connection.alpnProtocol === 'h2')) readFirst(connection)
        callback(...told)
      }) as unknown as typeof socket
    } catch (error) {
      // TLS throws what it cannot work with. Told later, as of any connection that fails, and not from within the call.
      clearTimeout(timer)
      queueMicrotask(() => callback(error instanceof Error ? error : new Error(String(error)), null))
    }
  }
}
