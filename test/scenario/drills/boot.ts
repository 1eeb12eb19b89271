/** etcd that is not there when the gateway starts, with and without a file that remembers what it held. */
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startEtcd } from '../../fixtures/etcd.js'
import type { TestGateway } from '../../fixtures/gateway.js'
import { freePort } from '../../fixtures/port.js'
import { startTcpProxy } from '../../fixtures/tcp-proxy.js'
import { until } from '../../fixtures/wait.js'
import { Ledger } from './ledger.js'
import { check, pause, registry, type Drill, type Stage } from './stage.js'
import { churn } from './stream.js'
import { weightsOf } from './witness.js'

const OTHER = ['other/127.0.0.1:1', 'other/127.0.0.1:2', 'other/127.0.0.1:3']
/** A backoff of 5 s and what a session takes (ms). */
const BACK_WITHIN = 10_000

/** Without anything known a request gets 503 at once. */
async function isNotReady (stage: Stage, gateway: TestGateway, port: number, cause: RegExp): Promise<void> {
  await stage.told(gateway, port, cause, new Map())
  check(registry(gateway).state === 'syncing', `is ${registry(gateway).state}`)
  const { status, body } = await gateway.send('/shop/x')
  check(status === 503 && JSON.parse(body).code === 'FST_UPSTREAM_NOT_READY', `answered ${status} ${body}`)
}

const down: Drill = {
  name: 'etcd down at start',
  bound: 60,
  run: async stage => {
    const port = await freePort()
    const gateway = await stage.gateway({ etcd: `http://127.0.0.1:${port}`, start: { wait: 50 } })
    await isNotReady(stage, gateway, port, /refused/i)
    // Long enough for the pauses between attempts to have become long.
    await pause(8000)
    await isNotReady(stage, gateway, port, /refused/i)
    const etcd = await startEtcd(stage, { port })
    const ledger = new Ledger(etcd)
    await stage.register(ledger)
    await until(() => weightsOf(gateway).size === 3, { what: 'peers', timeout: BACK_WITHIN })
    stage.watch(gateway, ledger)
    await churn(ledger, OTHER, 20)
    await stage.settle(gateway, { etcd: etcd.endpoint })
  }
}

const blackHole: Drill = {
  name: 'etcd black-holed at start',
  bound: 80,
  run: async stage => {
    const etcd = await startEtcd(stage)
    const proxy = await startTcpProxy(stage, etcd.port)
    const ledger = new Ledger(etcd)
    await stage.register(ledger)
    proxy.stall()
    const gateway = await stage.gateway({ etcd: `http://127.0.0.1:${proxy.port}`, start: { wait: 50 } })
    await isNotReady(stage, gateway, proxy.port, /deadline|did not answer/i)
    await pause(8000)
    // What has hung so long stays lost; only new connections get through.
    for (const line of proxy.lines) line.strand()
    proxy.flow()
    await until(() => weightsOf(gateway).size === 3, { what: 'peers', timeout: 20_000 })
    stage.watch(gateway, ledger)
    await churn(ledger, OTHER, 20)
    await stage.settle(gateway, { etcd: etcd.endpoint }, 20_000)
  }
}

/** Starts from what an earlier gateway has left behind, while etcd cannot be reached. */
function fromFile (name: string, cause: RegExp, break_: (proxy: Awaited<ReturnType<typeof startTcpProxy>>) => void): Drill {
  return {
    name,
    bound: 80,
    run: async stage => {
      const folder = await mkdtemp(join(tmpdir(), 'drill-'))
      stage.teardown(() => rm(folder, { recursive: true, force: true }))
      const file = { snapshotFile: join(folder, 'snapshot') }
      const etcd = await startEtcd(stage)
      const proxy = await startTcpProxy(stage, etcd.port)
      const ledger = new Ledger(etcd)
      await stage.register(ledger)
      const before = await stage.gateway({ etcd: `http://127.0.0.1:${proxy.port}`, ...file })
      await ledger.put('other/127.0.0.1:1', 7)
      await until(() => weightsOf(before).size === 4 && existsSync(file.snapshotFile), { what: 'file' })
      // It is written within a second of a change.
      await pause(1500)
      const kept = weightsOf(before)
      await stage.close(before)
      break_(proxy)
      const gateway = await stage.gateway({ etcd: `http://127.0.0.1:${proxy.port}`, start: { wait: 50 }, ...file })
      stage.watch(gateway, ledger)
      check(registry(gateway).state === 'snapshot', `is ${registry(gateway).state}`)
      await churn(ledger, OTHER, 20)
      await stage.told(gateway, proxy.port, cause, kept)
      await pause(8000)
      await stage.told(gateway, proxy.port, cause, kept)
      for (const line of proxy.lines) line.strand()
      proxy.flow()
      await proxy.accept()
      await stage.settle(gateway, { etcd: etcd.endpoint }, 20_000)
    }
  }
}

export const boot = [
  down, blackHole,
  fromFile('etcd down at start, with a snapshot file', /refused/i, proxy => { proxy.close() }),
  fromFile('etcd black-holed at start, with a snapshot file', /deadline|did not answer/i, proxy => { proxy.stall() })
]
