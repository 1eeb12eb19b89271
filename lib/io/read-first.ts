import type { Socket } from 'node:net'

type Write = Socket['_write']
type Writev = NonNullable<Socket['_writev']>

/**
 * A peer may answer an upload and close although it has not read all of it. Writing then fails while its answer waits to
 * be read, and a failed write ends a socket at once; so the failure is told two turns of the loop later. It costs a
 * closure for each write.
 */
export function readFirst (socket: Socket): void {
  const write: Write = socket._write.bind(socket)
  const writev: Writev | undefined = socket._writev?.bind(socket)
  socket._write = (chunk, encoding, done) => write(chunk, encoding, error => tell(error, done))
  if (writev !== undefined) socket._writev = (chunks, done) => writev(chunks, error => tell(error, done))
}

function tell (error: Error | null | undefined, done: (error?: Error | null) => void): void {
  if (error === null || error === undefined) done()
  else setImmediate(() => setImmediate(done, error))
}
