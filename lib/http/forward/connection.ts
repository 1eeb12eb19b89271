import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

/** Node's own mark on a connection: the answer that is being written to it. It has no public name. */
type Busy = Socket & { readonly _httpMessage?: ServerResponse | null }

const ignore = (): void => {}

/**
 * Calls `then` once the answers to earlier requests on this connection are written, which a client that does not wait
 * for them may have outrun; never when the connection ends with them.
 */
export function whenFree (socket: Socket, then: () => void): void {
  const busy = (socket as Busy)._httpMessage
  if (busy !== undefined && busy !== null) busy.once('close', () => whenFree(socket, then))
  else if (!socket.destroyed && socket.writable) then()
}

/**
 * Has Node answer a request for another protocol as plain HTTP, as it does when nobody listens for such requests. By the
 * time it tells, it has given the connection up; so it is given it anew, with the request written again without the
 * word that made it an upgrade. `head` is what came behind the request's header.
 */
export function answerPlainly (server: Server, request: IncomingMessage, head: Buffer): void {
  const { socket, rawHeaders, headers } = request
  socket.on('error', ignore)
  // The parser that has read the request is still at work.
  process.nextTick(() => whenFree(socket, () => {
    socket.off('error', ignore)
    const text = written(request)
    socket.unshift(Buffer.concat([Buffer.from(text, 'latin1'), head]))
    // Whoever is asked sees what the client sent. Node may have refused it meanwhile, and this is the next one.
    const restore = (again: IncomingMessage): void => {
      if (again.socket !== socket) return
      forget()
      if (written(again) !== text) return
      again.rawHeaders = rawHeaders
      again.headers = headers
    }
    const forget = (): void => {
      server.off('request', restore)
      socket.off('close', forget)
    }
    server.prependListener('request', restore)
    socket.on('close', forget)
    server.emit('encrypted' in socket ? 'secureConnection' : 'connection', socket)
  }))
}

function written ({ method, url, httpVersion, rawHeaders }: IncomingMessage): string {
  let text = `${method} ${url} HTTP/${httpVersion}\r\n`
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] ?? ''
    const value = rawHeaders[i + 1] ?? ''
    text += `${name}: ${name.toLowerCase() === 'connection' ? withoutUpgrade(value) : value}\r\n`
  }
  return `${text}\r\n`
}

function withoutUpgrade (connection: string): string {
  return connection.split(',').filter(token => token.trim().toLowerCase() !== 'upgrade').join(',')
}
