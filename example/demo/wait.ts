import { createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

/** Looks every few ms until `look` gives something true, and resolves with that. Rejects after `ms`, naming `what`. */
export async function until<T> (what: string, look: () => T | Promise<T>, ms = 5000): Promise<NonNullable<T>> {
  const deadline = performance.now() + ms
  for (;;) {
    const seen = await look()
    if (seen) return seen
    if (performance.now() > deadline) throw new Error(`${what}: not within ${ms / 1000} s`)
    await sleep(2)
  }
}

const given = new Set<number>()

/**
 * A free port of 127.0.0.1, below those that the system gives to outgoing connections: somebody who is away for a
 * moment has to find his port free when he comes back. Never the same one twice.
 */
export async function freePort (): Promise<number> {
  for (let attempt = 0; attempt < 100; attempt++) {
    const port = 20_000 + Math.floor(Math.random() * 12_000)
    if (given.has(port) || !await isFree(port)) continue
    given.add(port)
    return port
  }
  throw new Error('no free port on 127.0.0.1')
}

function isFree (port: number): Promise<boolean> {
  return new Promise(resolve => {
    const server = createServer()
    server.once('error', () => { resolve(false) })
    server.listen(port, '127.0.0.1', () => { server.close(() => { resolve(true) }) })
  })
}
