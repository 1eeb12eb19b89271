/** The stream of changes: that none is lost, whatever cuts it. */
import type { TcpProxy } from '../../fixtures/tcp-proxy.js'
import { until } from '../../fixtures/wait.js'
import { createdAt } from './frames.js'
import type { Ledger } from './ledger.js'
import { random } from './random.js'
import { check, pause, registry, resyncsOf, type Drill, type Scene } from './stage.js'
import { weightsOf } from './witness.js'

const ids = (count: number): string[] => Array.from({ length: count }, (_, i) => `other/127.0.0.1:${i + 1}`)

/** Writes each id in turn, `count` times in all and `width` at a time, some of them by deleting. */
export async function churn (ledger: Ledger, names: readonly string[], count: number, { width = 1, pad = 0 } = {}): Promise<void> {
  let next = 0
  const write = async (): Promise<void> => {
    while (next < count) {
      const i = next++
      const id = names[i % names.length] ?? ''
      if (i % 7 === 6) await ledger.del(id)
      else await ledger.put(id, 1 + i, pad)
    }
  }
  await Promise.all(Array.from({ length: width }, write))
}

export function away (proxy: TcpProxy): void {
  proxy.refuse()
  proxy.cut()
}

/** Nothing was lost, so nothing had to be listed again. */
function wasResumed ({ gateway }: Scene): void {
  const resyncs = resyncsOf(gateway)
  check(resyncs === 0, `listed again ${resyncs} times instead of going on from where it stood`)
}

const live: Drill = {
  name: 'start and live updates',
  bound: 30,
  run: async stage => {
    const scene = await stage.open()
    const { gateway, ledger, etcd } = scene
    const names = [...ids(20), ...stage.real]
    for (let i = 0; i < 200; i++) {
      const id = names[i % names.length] ?? ''
      const gone = i % 5 === 4 && !stage.real.includes(id)
      if (gone) await ledger.del(id)
      else await ledger.put(id, 1 + i)
      await until(() => weightsOf(gateway).get(id) === (gone ? undefined : 1 + i), { what: `change of ${id}`, timeout: 1000 })
    }
    await stage.settle(gateway, { etcd: etcd.endpoint })
    wasResumed(scene)
    check(registry(gateway).reconnects === 0, 'the watch was opened again')
  }
}

const afterCreated: Drill = {
  name: 'cut right after created',
  bound: 60,
  run: async stage => {
    const scene = await stage.open()
    const { gateway, ledger, etcd, proxy } = scene
    for (let round = 1; round <= 4; round++) {
      away(proxy)
      await churn(ledger, ids(100), 125, { width: 8 })
      let cuts = 0
      proxy.joined(line => {
        const find = createdAt()
        let isCreated = false
        line.listen(chunk => {
          if (isCreated) return 0
          const end = find(chunk)
          if (end === null) return chunk.length
          isCreated = true
          // The client is given what says so, and some time to read it.
          setTimeout(() => { line.cut(); cuts++ }, 30)
          return end
        })
      })
      await proxy.accept()
      await until(() => cuts === 2, { what: 'second cut', timeout: 15_000 })
      proxy.joined(null)
    }
    await stage.settle(gateway, { etcd: etcd.endpoint })
    wasResumed(scene)
  }
}

const catchUp: Drill = {
  name: 'cut in mid catch-up of 5,000 revisions',
  bound: 60,
  run: async stage => {
    const scene = await stage.open()
    const { gateway, ledger, etcd, proxy } = scene
    away(proxy)
    await churn(ledger, ids(300), 5000, { width: 32 })
    const cutAfter = [60_000, 60_000, 150_000]
    let cuts = 0
    proxy.joined(line => {
      line.listen(chunk => {
        const allowed = cutAfter[cuts] ?? Infinity
        if (line.received < allowed) return chunk.length
        cuts++
        setTimeout(() => line.cut(), 30)
        return Math.max(0, chunk.length - (line.received - allowed))
      })
    })
    await proxy.accept()
    await until(() => cuts === cutAfter.length, { what: 'cut in mid catch-up', timeout: 20_000 })
    await stage.settle(gateway, { etcd: etcd.endpoint })
    wasResumed(scene)
  }
}

const backlog: Drill = {
  name: '6 MB backlog',
  bound: 60,
  run: async stage => {
    const scene = await stage.open()
    const { gateway, ledger, etcd, proxy } = scene
    away(proxy)
    await churn(ledger, ids(20), 600, { width: 8, pad: 10_000 })
    await proxy.accept()
    await stage.settle(gateway, { etcd: etcd.endpoint })
    wasResumed(scene)
  }
}

const randomCuts: Drill = {
  name: '12 s of random cuts under a writer',
  bound: 60,
  run: async stage => {
    const scene = await stage.open()
    const { gateway, ledger, etcd, proxy } = scene
    const end = performance.now() + 12_000
    const chance = random(7)
    const writing = (async () => {
      while (performance.now() < end) await churn(ledger, ids(40), 40)
    })()
    let cuts = 0
    while (performance.now() < end) {
      await pause(50 + chance() * 300)
      proxy.cut()
      cuts++
    }
    await writing
    check(cuts > 30, `only ${cuts} cuts`)
    await stage.settle(gateway, { etcd: etcd.endpoint })
    wasResumed(scene)
  }
}

const compaction: Drill = {
  name: 'compaction while cut',
  bound: 40,
  run: async stage => {
    const { gateway, ledger, etcd, proxy } = await stage.open({ before: ledger => churn(ledger, ids(30), 60) })
    away(proxy)
    await churn(ledger, ids(40), 200, { width: 8 })
    await etcd.etcdctl('compact', String(await ledger.put('other/127.0.0.1:1', 5)))
    await proxy.accept()
    await stage.settle(gateway, { etcd: etcd.endpoint })
    check(registry(gateway).resyncs.compacted > 0, 'not listed again: then it did not have to')
  }
}

export const stream = [live, afterCreated, catchUp, backlog, randomCuts, compaction]
