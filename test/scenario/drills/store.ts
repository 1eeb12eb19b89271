/** The store itself: another one, or an older one, in the place of the one that was followed. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { environment } from '../../fixtures/etcd-process.js'
import { find } from '../../fixtures/find-etcd.mjs'
import { until } from '../../fixtures/wait.js'
import { PREFIX } from './ledger.js'
import { pause, type Drill } from './stage.js'
import { away, churn } from './stream.js'
import { weightsOf } from './witness.js'

const OTHER = Array.from({ length: 10 }, (_, i) => `other/127.0.0.1:${i + 1}`)

const empty: Drill = {
  name: 'empty data dir',
  bound: 60,
  run: async stage => {
    const { gateway, ledger, etcd, proxy } = await stage.open({ before: ledger => churn(ledger, OTHER, 30) })
    const kept = weightsOf(gateway)
    await etcd.replace()
    await stage.told(gateway, proxy.port, /not the one|another store/i, kept)
    // It stays that way as long as nobody is registered there.
    await pause(3000)
    await stage.told(gateway, proxy.port, /names no peer/i, kept)
    await ledger.putAll(stage.real, 3)
    await churn(ledger, OTHER, 10)
    await stage.settle(gateway, { etcd: etcd.endpoint })
  }
}

const passed: Drill = {
  name: 'empty data dir that has passed the old cursor',
  bound: 60,
  run: async stage => {
    const { gateway, ledger, etcd, proxy } = await stage.open({ before: ledger => churn(ledger, OTHER, 30) })
    away(proxy)
    await etcd.replace()
    await ledger.putAll(stage.real, 3)
    // The same keys once more, by the same script and in another order.
    await churn(ledger, [...OTHER].reverse(), 60)
    await proxy.accept()
    await stage.settle(gateway, { etcd: etcd.endpoint })
  }
}

const restored: Drill = {
  name: 'older snapshot restored',
  bound: 60,
  run: async stage => {
    const { gateway, ledger, etcd } = await stage.open({ before: ledger => churn(ledger, OTHER, 30) })
    const folder = await mkdtemp(join(tmpdir(), 'drill-'))
    stage.teardown(() => rm(folder, { recursive: true, force: true }))
    const file = join(folder, 'snapshot')
    const saved = await ledger.list(5000)
    await etcd.etcdctl('snapshot', 'save', file)
    await churn(ledger, OTHER, 25)
    await ledger.putAll(stage.real, 5)
    const peerUrl = `http://127.0.0.1:${etcd.peerPort}`
    // As the same member of the same cluster: its ids are what they were.
    await promisify(execFile)(find('etcdctl') ?? '', ['snapshot', 'restore', file, `--data-dir=${join(folder, 'data')}`, '--name=test',
      `--initial-cluster=test=${peerUrl}`, `--initial-advertise-peer-urls=${peerUrl}`], { env: environment(), timeout: 30_000 })
    ledger.goesBackTo(saved)
    await etcd.replace(join(folder, 'data'))
    await churn(ledger, OTHER.slice(0, 3), 6)
    await stage.settle(gateway, { etcd: etcd.endpoint })
  }
}

const lease: Drill = {
  name: 'lease lost and granted again',
  bound: 60,
  run: async stage => {
    const { gateway, ledger, etcd, proxy } = await stage.open()
    const id = 'other/127.0.0.1:9'
    const isThere = (): boolean => weightsOf(gateway).has(id)
    ledger.mayBecome(id, null)
    for (let round = 1; round <= 3; round++) {
      // As `lease 694d8a1c2b3c4d5e granted with TTL(2s)`.
      const [, granted = ''] = (await etcd.etcdctl('lease', 'grant', '2')).split(' ')
      ledger.mayBecome(id, round)
      await etcd.etcdctl('put', `--lease=${granted}`, PREFIX + id, `{"weight":${round}}`)
      await until(isThere, { what: `registration ${round}`, timeout: 5000 })
      // The last one runs out while nobody can tell the gateway.
      if (round === 3) away(proxy)
      await until(async () => !(await ledger.list(2000)).has(id), { what: `end of lease ${round}`, timeout: 10_000 })
      if (round === 3) await proxy.accept()
      await until(() => !isThere(), { what: `end of registration ${round}`, timeout: 10_000 })
    }
    await stage.settle(gateway, { etcd: etcd.endpoint })
  }
}

export const store = [empty, passed, restored, lease]
