/** Much at once, and often. */
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { check, registry, resyncsOf, type Drill } from './stage.js'
import { churn } from './stream.js'
import { weightsOf } from './witness.js'

/** Operations that etcd takes in one transaction. */
const OPERATIONS = 128

const keys: Drill = {
  name: '100,000 keys',
  bound: 120,
  run: async stage => {
    const all = Array.from({ length: 100_000 }, (_, i) => `s${i % 100}/10.${i >> 16}.${(i >> 8) & 255}.${i & 255}:80`)
    let began = 0
    const { gateway, ledger, etcd } = await stage.open({
      // To list and to compare takes long enough.
      every: 4000,
      before: async ledger => {
        let next = 0
        const write = async (): Promise<void> => {
          while (next < all.length) await ledger.putAll(all.slice(next, next += OPERATIONS), 2)
        }
        await Promise.all([write(), write(), write(), write()])
        began = performance.now()
      }
    })
    const ms = performance.now() - began
    check(ms < 10_000, `in step after ${Math.round(ms)} ms`)
    check(weightsOf(gateway).size === 100_003, `shows ${weightsOf(gateway).size}`)
    await churn(ledger, all.slice(0, 500), 1000, { width: 8 })
    await stage.settle(gateway, { etcd: etcd.endpoint }, 30_000)
    const [{ reconnects }, resyncs] = [registry(gateway), resyncsOf(gateway)]
    check(reconnects === 0 && resyncs === 0 && stage.requests.stale === 0, `reconnected ${reconnects} times, listed again ${resyncs} times, stale for ${stage.requests.stale} ms`)
  }
}

const burst: Drill = {
  name: '10,000 puts in a burst',
  bound: 60,
  run: async stage => {
    const { gateway, ledger, etcd } = await stage.open()
    await churn(ledger, Array.from({ length: 200 }, (_, i) => `other/127.0.0.1:${i + 1}`), 10_000, { width: 64 })
    await stage.settle(gateway, { etcd: etcd.endpoint })
    const [{ reconnects }, resyncs] = [registry(gateway), resyncsOf(gateway)]
    check(reconnects === 0 && resyncs === 0, `reconnected ${reconnects} times, listed again ${resyncs} times`)
  }
}

const transaction: Drill = {
  name: 'a 128-operation transaction seen whole',
  bound: 60,
  run: async stage => {
    const { gateway, ledger, etcd } = await stage.open()
    const ids = Array.from({ length: OPERATIONS }, (_, i) => `whole/127.0.0.1:${i + 1}`)
    await ledger.putAll(ids, 1)
    let seen = 0
    const complaints: string[] = []
    let isOver = false
    const look = (): void => {
      const { peers } = gateway.app.upstreams.show('whole')
      const weights = new Set(peers.map(({ weight }) => weight))
      seen++
      if (weights.size !== 1 || peers.length !== OPERATIONS) complaints.push(`${peers.length} peers with the weights ${[...weights].join()}`)
      if (!isOver) setImmediate(look)
    }
    await stage.settle(gateway, { etcd: etcd.endpoint })
    look()
    for (let weight = 2; weight <= 200; weight++) await ledger.putAll(ids, weight)
    isOver = true
    await stage.settle(gateway, { etcd: etcd.endpoint })
    check(seen > 1000, `looked only ${seen} times`)
    check(complaints.length === 0, `in part, ${complaints.length} times: ${complaints[0]}`)
  }
}

interface Told {
  readonly left: readonly string[]
  readonly alive: number
}

const cycles: Drill = {
  name: '200 open/close cycles and a clean exit',
  bound: 120,
  run: async stage => {
    const { gateway, etcd } = await stage.open()
    const script = fileURLToPath(new URL('../../fixtures/cycles.ts', import.meta.url))
    const stdout = await new Promise<string>((resolve, reject) => {
      // It has to end by itself; when it does not, it is killed, which rejects.
      const child = execFile(process.execPath, [...process.execArgv, '--expose-gc', script, etcd.endpoint, '200'],
        { timeout: 90_000, killSignal: 'SIGKILL' }, (error, stdout) => error === null ? resolve(stdout) : reject(error))
      stage.teardown(() => child.kill('SIGKILL'))
    })
    const told: Told[] = stdout.trim().split('\n').map(line => JSON.parse(line))
    check(told.length === 200, `${told.length} cycles`)
    const left = told.find(each => each.left.length > 0)?.left ?? []
    check(left.length === 0, `left after a cycle: ${left.join()}`)
    const counts = told.map(({ alive }) => alive)
    check(Math.max(...counts.slice(-10)) <= Math.max(...counts.slice(0, 10)), `timers and sockets: ${counts.join(' ')}`)
    await stage.settle(gateway, { etcd: etcd.endpoint })
  }
}

export const size = [keys, burst, transaction, cycles]
