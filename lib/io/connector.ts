import { isIP } from 'node:net'
import { buildConnector } from 'undici'

/**
 * Connects to a peer within `timeout` ms and, by TLS, expects the certificate of the peer's own host. Left to itself
 * undici would take the name from the Host header, which is the client's to choose. An address is no server name
 * (RFC 6066) and is checked as an address.
 */
export function connector (timeout: number): buildConnector.connector {
  const connect = buildConnector({ timeout })
  return (options, callback) => {
    const host = options.hostname.replace(/^\[(.*)\]$/, '$1')
    connect({ ...options, servername: isIP(host) === 0 ? host : '' }, callback)
  }
}
