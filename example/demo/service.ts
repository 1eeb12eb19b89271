/** A small service that registers itself: `service.ts <port> [<etcd> <key> <value>]`, without etcd it just serves. */
import Fastify from 'fastify'
import { Registration } from './registration.js'

const [port, etcd, key = '', value = ''] = process.argv.slice(2)
const host = '127.0.0.1'

const app = Fastify()
app.get('/health', async () => ({ status: 'ok' }))
app.all('/*', async () => ({ from: `${host}:${port}` }))

await app.listen({ host, port: Number(port) })
const registration = etcd ? new Registration(etcd, key, value) : null

let isEnding = false

/** First nobody is sent here any more, then the requests under way are answered. */
async function end (): Promise<void> {
  if (isEnding) return
  isEnding = true
  setTimeout(() => process.exit(1), 2000)
  await registration?.leave()
  await app.close()
  process.exit(0)
}

process.on('SIGTERM', end)
// Ctrl-C goes to all processes of a terminal; the demo ends this one in its turn.
process.on('SIGINT', () => {})
process.on('SIGHUP', () => {})
// The demo is gone; perhaps since before anybody listened.
process.on('disconnect', end)
if (process.send !== undefined && !process.connected) await end()

await registration?.done
if (process.connected) process.send?.('ready')
