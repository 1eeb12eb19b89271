/**
 * The backends: one process that answers every request with the same bytes, on three ports. It looks for the end of each
 * request and nothing more, so that it costs less than what is measured. With `hosts` above 1 it listens on further
 * loopback addresses too, under the same ports, for registries of many peers.
 *
 * By hand: `node bench/backend.js '{"ports":[9001,9002,9003]}'`.
 */
import { createServer } from 'node:net'

const { ports = [0, 0, 0], hosts = 1, answer = 5 } = JSON.parse(process.argv[2] ?? '{}')

const body = Buffer.alloc(answer, 'x')
// What nginx sends with a file.
const head = 'HTTP/1.1 200 OK\r\n' +
  'Server: nginx\r\n' +
  'Date: Sun, 22 Nov 2026 12:00:00 GMT\r\n' +
  'Content-Type: text/plain\r\n' +
  `Content-Length: ${answer}\r\n` +
  'Last-Modified: Sat, 21 Nov 2026 12:00:00 GMT\r\n' +
  'Connection: keep-alive\r\n' +
  'ETag: "6741c1f0-5"\r\n' +
  'Accept-Ranges: bytes\r\n\r\n'
const response = Buffer.concat([Buffer.from(head), body])
const lengthLine = /\r\ncontent-length: *(\d+)/i
const chunkedLine = /\r\ntransfer-encoding: *chunked/i

/** Where the request that begins at `from` ends, or -1 when it has not come whole. */
function endOf (bytes, from) {
  const blank = bytes.indexOf('\r\n\r\n', from, 'latin1')
  if (blank === -1) return -1
  // A GET has no body here; that it is not looked for is most of the speed.
  if (bytes[from] === 0x47) return blank + 4
  const headers = bytes.latin1Slice(from, blank + 2)
  if (chunkedLine.test(headers)) {
    const last = bytes.indexOf('0\r\n\r\n', blank + 4, 'latin1')
    return last === -1 ? -1 : last + 5
  }
  const end = blank + 4 + Number(lengthLine.exec(headers)?.[1] ?? 0)
  return end > bytes.length ? -1 : end
}

function serve (socket) {
  let rest = null
  socket.setNoDelay(true)
  socket.on('error', () => {})
  socket.on('data', chunk => {
    const bytes = rest === null ? chunk : Buffer.concat([rest, chunk])
    let from = 0
    while (from < bytes.length) {
      const end = endOf(bytes, from)
      if (end === -1) break
      socket.write(response)
      from = end
    }
    rest = from === bytes.length ? null : bytes.subarray(from)
  })
}

function listen (host, port) {
  return new Promise((resolve, reject) => {
    const server = createServer(serve)
    server.once('error', reject)
    server.listen({ host, port, backlog: 4096 }, () => resolve(server.address().port))
  })
}

for (const signal of ['SIGINT', 'SIGTERM', 'disconnect']) process.on(signal, () => process.exit(0))

const addresses = []
const taken = []
for (const port of ports) taken.push(await listen('127.0.0.1', port))
for (const port of taken) addresses.push(`127.0.0.1:${port}`)
for (let i = 1; i < hosts; i++) {
  for (const port of taken) {
    await listen(`127.0.1.${i}`, port)
    addresses.push(`127.0.1.${i}:${port}`)
  }
}
if (process.send === undefined) console.log(addresses.join(' '))
else process.send({ addresses })
