import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import t from 'tap'
import { startEtcd } from '../fixtures/etcd.js'
import { startPeer } from '../fixtures/peer.js'

t.test('registering, serving and closing 50 times leaves nothing, and the process ends by itself', async t => {
  const etcd = await startEtcd(t)
  const peer = await startPeer(t)
  await etcd.put(`/services/shop/${peer.id}`, '{}')
  const script = fileURLToPath(new URL('../fixtures/cycles.ts', import.meta.url))
  const started = performance.now()
  // Transpiled as this file is, or what it covers would be counted in the wrong places. Killed after a minute if it does not end, which rejects.
  const { stdout } = await promisify(execFile)(process.execPath, [...process.execArgv, '--expose-gc', script, etcd.endpoint, '50'], { timeout: 60_000, killSignal: 'SIGKILL' })
  t.comment(`50 cycles in ${Math.round(performance.now() - started)} ms`)
  const told: Array<{ left: string[], alive: number, listeners: number }> = stdout.trim().split('\n').map(line => JSON.parse(line))
  t.equal(told.length, 50)
  t.same(told.map(({ left }) => left), told.map(() => []), 'no timer, socket or listener is left')
  // A library may keep a timer of its own for good, but not one more each time.
  const counts = told.map(({ alive }) => alive)
  t.ok(Math.max(...counts.slice(-10)) <= Math.max(...counts.slice(0, 10)), `${counts.join(' ')} timers and sockets`)
  t.equal(told.at(-1)?.listeners, told[0]?.listeners)
  t.equal(peer.connections, 0)
})
