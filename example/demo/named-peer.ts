import { createServer } from 'node:http'
import { atEnd } from './ending.js'
import { freePort } from './wait.js'

/** Starts a peer that answers with what `says` makes of the URL; resolves with its `host:port`. */
export async function startNamedPeer (says: (url: string | undefined) => string): Promise<string> {
  const [host, port] = ['127.0.0.1', await freePort()]
  const server = createServer((request, response) => response.end(says(request.url)))
  await new Promise<void>(resolve => server.listen(port, host, resolve))
  atEnd(() => {
    server.close()
    server.closeAllConnections()
  })
  return `${host}:${port}`
}
