/** The path to etcd, and an etcd that hangs: noticed without a reset, and healed. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { TestEtcd } from '../../fixtures/etcd.js'
import type { Line, TcpProxy } from '../../fixtures/tcp-proxy.js'
import { until } from '../../fixtures/wait.js'
import type { Ledger } from './ledger.js'
import { check, pause, registry, type Drill, type Stage } from './stage.js'
import { churn } from './stream.js'
import { weightsOf } from './witness.js'

const OTHER = ['other/127.0.0.1:1', 'other/127.0.0.1:2', 'other/127.0.0.1:3']
const LONG = 20_000

/** The line of a proxy over which the watch comes: only there do values pass while nothing is listed. */
export async function watchLine (proxies: readonly TcpProxy[], ledger: Ledger): Promise<{ line: Line, proxy: TcpProxy }> {
  let found: { line: Line, proxy: TcpProxy } | undefined
  const mark = 999_983
  const listen = (proxy: TcpProxy, line: Line): void => {
    line.listen(chunk => {
      if (chunk.includes(`"weight":${mark}`)) found = { line, proxy }
      return chunk.length
    })
  }
  // A watch that is being opened has no connection yet.
  const result = await until(async () => {
    for (const proxy of proxies) for (const line of proxy.lines) listen(proxy, line)
    await ledger.put('mark/127.0.0.1:1', mark)
    await pause(50)
    return found
  }, { what: 'watch among the connections', timeout: 5000 })
  for (const proxy of proxies) for (const line of proxy.lines) line.listen(null)
  return result
}

const stopped: Drill = {
  name: 'SIGSTOP 20 s',
  bound: 60,
  run: async stage => {
    const { gateway, ledger, etcd, proxy } = await stage.open()
    const kept = weightsOf(gateway)
    await etcd.kill('SIGSTOP')
    await stage.told(gateway, proxy.port, /deadline|did not answer/i, kept, 9000)
    await pause(LONG - 9000)
    await etcd.kill('SIGCONT')
    await churn(ledger, OTHER, 20)
    await stage.settle(gateway, { etcd: etcd.endpoint })
  }
}

/** A process that closes its gateway while etcd hangs has nothing left that holds it. */
async function endsByItself (stage: Stage, etcd: TestEtcd): Promise<void> {
  await etcd.kill('SIGCONT')
  const child = spawn(process.execPath, [...process.execArgv, fileURLToPath(new URL('../../fixtures/closes.ts', import.meta.url)), etcd.endpoint], { stdio: ['ignore', 'pipe', 'inherit'] })
  stage.teardown(() => child.kill('SIGKILL'))
  await once(child.stdout, 'data')
  await etcd.kill('SIGSTOP')
  child.kill('SIGTERM')
  const [code, signal] = await Promise.race([once(child, 'exit'), pause(6000).then(() => ['still there', null])])
  check(code === 0, `the process ended with ${code ?? signal}`)
}

const closing: Drill = {
  name: 'closed while etcd is stopped',
  bound: 40,
  run: async stage => {
    const { gateway, etcd, proxy } = await stage.open()
    const others = [await stage.gateway({ etcd: etcd.endpoint }), await stage.gateway({ etcd: etcd.endpoint })]
    await etcd.kill('SIGSTOP')
    // One that has not noticed, one in the middle of it; the first is closed when it has given up.
    for (const [i, other] of others.entries()) {
      await pause(i * 3000)
      await stage.close(other)
    }
    await endsByItself(stage, etcd)
    await stage.told(gateway, proxy.port, /deadline|did not answer/i, weightsOf(gateway))
  }
}

const halfOpen: Drill = {
  name: 'half-open path 20 s',
  bound: 80,
  run: async stage => {
    const { gateway, ledger, etcd, proxy } = await stage.open()
    // The connections are lost for good, and for a while new ones are no better.
    proxy.stall()
    for (const line of proxy.lines) line.strand()
    const end = performance.now() + LONG
    while (performance.now() < end) {
      await churn(ledger, OTHER, 5)
      await pause(200)
    }
    check(registry(gateway).state === 'stale', `is ${registry(gateway).state} after ${LONG} ms`)
    proxy.flow()
    await stage.settle(gateway, { etcd: etcd.endpoint }, 20_000)
  }
}

const starved: Drill = {
  name: 'only the watch socket starved',
  bound: 80,
  run: async stage => {
    const { gateway, ledger, etcd, proxy } = await stage.open()
    const { line } = await watchLine([proxy], ledger)
    line.strand()
    await churn(ledger, OTHER, 10)
    const last = await ledger.put('other/127.0.0.1:2', 77)
    await until(() => weightsOf(gateway).get('other/127.0.0.1:2') === 77, { what: `revision ${last} without the watch's connection`, timeout: 15_000 })
    // From then on a watch that lives is what brings the news.
    await until(async () => {
      const { reconnects } = registry(gateway)
      const weight = 1000 + reconnects
      await ledger.put('other/127.0.0.1:3', weight)
      return await until(() => weightsOf(gateway).get('other/127.0.0.1:3') === weight, { timeout: 500 }).catch(() => false)
    }, { what: 'watch on another connection', timeout: 30_000 })
    await stage.settle(gateway, { etcd: etcd.endpoint })
  }
}

const unary: Drill = {
  name: 'a unary time-out does not disturb the watch',
  bound: 60,
  run: async stage => {
    const { gateway, ledger, etcd, proxy } = await stage.open()
    const { line } = await watchLine([proxy], ledger)
    const calls = proxy.lines.filter(each => each !== line)
    check(calls.length > 0, 'no connection for the calls')
    for (const each of calls) each.stall()
    const end = performance.now() + 12_000
    let isTold = false
    for (let weight = 1; performance.now() < end; weight++) {
      await ledger.put('other/127.0.0.1:1', weight)
      await until(() => weightsOf(gateway).get('other/127.0.0.1:1') === weight, { what: `weight ${weight} by the watch`, timeout: 1000 })
      isTold ||= registry(gateway).lastError !== null
      await pause(100)
    }
    check(isTold, 'no call has failed')
    for (const each of calls) each.flow()
    await stage.settle(gateway, { etcd: etcd.endpoint }, 20_000)
    check(registry(gateway).reconnects === 0, `the watch was opened again ${registry(gateway).reconnects} times`)
  }
}

export const path = [stopped, closing, halfOpen, starved, unary]
