import { readdirSync, readFileSync } from 'node:fs'
import { isDeepStrictEqual } from 'node:util'
import type { UpstreamEtcdOptions } from '../../../lib/index.js'
import { now } from '../../../lib/io/clock.js'
import { startEtcd, type EtcdOptions, type TestEtcd } from '../../fixtures/etcd.js'
import { startGateway, type TestGateway } from '../../fixtures/gateway.js'
import { startPeer } from '../../fixtures/peer.js'
import { startTcpProxy, type TcpProxy } from '../../fixtures/tcp-proxy.js'
import { until } from '../../fixtures/wait.js'
import { Ledger } from './ledger.js'
import { Traffic } from './traffic.js'
import { differences, weightsOf, Witness } from './witness.js'

/** A gateway has to be closed within this time (ms), also when etcd hangs. */
const CLOSED_WITHIN = 3000
/** What a drill has started may take this long to stop (ms), each. */
const STOPPED_WITHIN = 8000

export interface Drill {
  /** Said when it runs, and the words to select it by. */
  readonly name: string
  /** Seconds after which it has failed. */
  readonly bound: number
  readonly run: (stage: Stage) => Promise<void>
}

export interface Scene {
  readonly etcd: TestEtcd
  /** Between the gateway and etcd. */
  readonly proxy: TcpProxy
  readonly gateway: TestGateway
  readonly ledger: Ledger
}

type Options = Partial<UpstreamEtcdOptions>

/** What one drill has started, and what has to hold whatever it does. */
export class Stage {
  /** The ids of the real peers, with the service. */
  real: readonly string[] = []
  readonly #stops: Array<() => unknown> = []
  readonly #gateways: TestGateway[] = []
  readonly #traffics: Traffic[] = []
  readonly #witnesses: Witness[] = []
  /** How often to look (ms): what a gateway says of itself may cost it a second when it knows very many. */
  #every = 50
  #ending: Promise<void> | null = null

  teardown (stop: () => unknown): void {
    this.#stops.push(stop)
  }

  get requests (): { made: number, failed: number, stale: number } {
    const sum = (numbers: number[]): number => numbers.reduce((a, b) => a + b, 0)
    return {
      made: sum(this.#traffics.map(({ made }) => made)),
      failed: sum(this.#traffics.map(({ failed }) => failed)),
      stale: sum(this.#witnesses.map(({ stale }) => stale))
    }
  }

  /** etcd with three peers of `shop` that answer, a gateway that follows it through a proxy, and traffic to them. */
  async open ({ etcd: etcdOptions = {}, gateway: options = {}, before, every }: {
    etcd?: EtcdOptions
    gateway?: Options & { auth?: { username: string, password: string } }
    before?: (ledger: Ledger, etcd: TestEtcd) => Promise<unknown>
    every?: number
  } = {}): Promise<Scene> {
    const etcd = await startEtcd(this, etcdOptions)
    const proxy = await startTcpProxy(this, etcd.port)
    const ledger = new Ledger(etcd)
    await this.register(ledger)
    await before?.(ledger, etcd)
    const { auth, ...rest } = options
    const hosts = `http://127.0.0.1:${proxy.port}`
    const gateway = await this.gateway({ etcd: auth === undefined ? hosts : { hosts, auth }, ...rest })
    this.watch(gateway, ledger, every)
    return { etcd, proxy, gateway, ledger }
  }

  /** Starts the real peers and registers them in one transaction. */
  async register (ledger: Ledger): Promise<void> {
    await this.startPeers()
    await ledger.putAll(this.real, 2)
  }

  async startPeers (): Promise<void> {
    const peers = await Promise.all([0, 1, 2].map(() => startPeer(this)))
    this.real = peers.map(({ id }) => `shop/${id}`)
  }

  async gateway (options: Options): Promise<TestGateway> {
    const gateway = await startGateway(this, { routes: [{ prefix: '/shop', service: 'shop' }], start: { wait: 10_000, onFail: 'throw' }, ...options } as UpstreamEtcdOptions)
    this.#gateways.push(gateway)
    return gateway
  }

  /** From here on requests are made and what is shown is compared. */
  watch (gateway: TestGateway, ledger: Ledger, every = 50): void {
    this.#every = every
    this.#traffics.push(new Traffic(gateway, '/shop/x', this.real.map(id => id.slice('shop/'.length))))
    this.#witnesses.push(new Witness(gateway, ledger, every))
  }

  /** Waits until it is in step, as of after this call, and compares it with a gateway that begins now. */
  async settle (gateway: TestGateway, fresh: Options, within = 15_000): Promise<void> {
    const since = now()
    await until(async () => {
      await pause(this.#every)
      const { state, lastError, lastVerifiedAt } = registry(gateway)
      return state === 'live' && lastError === null && Date.parse(lastVerifiedAt ?? '') > since
    }, { what: 'verification', timeout: within }).catch((error: Error) => {
      throw new Error(`${error.message}: ${JSON.stringify(registry(gateway))}`)
    })
    const other = await this.gateway(fresh)
    const [seen, listed] = [peersOf(gateway), peersOf(other)]
    await this.close(other)
    const wrong = [...new Set([...seen.keys(), ...listed.keys()])].find(name => !isDeepStrictEqual(seen.get(name), listed.get(name)))
    if (wrong === undefined) return
    const [first] = differences(weightsOf(other), weightsOf(gateway))
    throw new Error(`shows ${wrong} otherwise than a fresh gateway does: ${JSON.stringify(first)}`)
  }

  /** Waits until it says of itself that it cannot follow etcd, names the host and the cause, and still shows `kept`. */
  async told (gateway: TestGateway, port: number, cause: RegExp, kept: ReadonlyMap<string, number>, within = 15_000): Promise<void> {
    await until(() => {
      const { state, lastError } = registry(gateway)
      return state !== 'live' && lastError?.includes(`127.0.0.1:${port}`) && cause.test(lastError)
    }, { what: `error of ${port} that says ${cause}`, timeout: within }).catch((error: Error) => {
      throw new Error(`${error.message}: ${JSON.stringify(registry(gateway))}`)
    })
    const [lost] = differences(kept, weightsOf(gateway))
    check(lost === undefined, `not kept: ${JSON.stringify(lost)}`)
  }

  async close (gateway: TestGateway): Promise<void> {
    const index = this.#gateways.indexOf(gateway)
    if (index === -1) return
    this.#gateways.splice(index, 1)
    check(await isDone(gateway.app.close(), CLOSED_WITHIN), `a gateway was not closed within ${CLOSED_WITHIN} ms`)
  }

  /** Ends the traffic and closes the gateways; what has to hold is judged here. */
  async judge (): Promise<void> {
    await Promise.all([...this.#traffics, ...this.#witnesses].map(each => each.end()))
    for (const { made, failed, complaint } of this.#traffics) {
      check(made > 0, 'no request was made')
      check(failed === 0, `${failed} of ${made} requests failed: ${complaint}`)
    }
    for (const { violations, samples } of this.#witnesses) {
      check(samples > 0, 'nothing was compared')
      check(violations.length === 0, violations.join('\n'))
    }
    for (const gateway of [...this.#gateways]) await this.close(gateway)
  }

  /** Ends all that was started, the last first, and sees to it that no etcd is left. */
  async end (): Promise<void> {
    this.#ending ??= this.#end()
    await this.#ending
  }

  async #end (): Promise<void> {
    for (let stop = this.#stops.pop(); stop !== undefined; stop = this.#stops.pop()) {
      await isDone(Promise.resolve().then(stop).catch(() => {}), STOPPED_WITHIN)
    }
    const left = children('etcd')
    check(left.length === 0, `left behind: etcd ${left.join(', ')}`)
  }
}

export function check (holds: boolean, complaint: string): asserts holds {
  if (!holds) throw new Error(complaint)
}

export function registry ({ app }: TestGateway) {
  return app.upstreams.status().registry
}

/** How often it was listed again, or repaired. */
export function resyncsOf (gateway: TestGateway): number {
  return Object.values(registry(gateway).resyncs).reduce((a, b) => a + b, 0)
}

export async function pause (ms: number): Promise<void> {
  await new Promise(resolve => setTimeout(resolve, ms))
}

/** Whether it is done within that time (ms). */
async function isDone (work: Promise<unknown>, ms: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<boolean>(resolve => { timer = setTimeout(() => resolve(false), ms) })
  return await Promise.race([work.then(() => true), late]).finally(() => clearTimeout(timer))
}

/** Without `version`: a gateway that begins now cannot know of what was deleted. */
function peersOf ({ app }: TestGateway): Map<string, unknown> {
  return new Map(Object.entries(app.upstreams.show()).flatMap(([name, service]) => typeof service === 'number' ? [] : [[name, service.peers]]))
}

/** Processes of this name that we are the parent of. Linux only; elsewhere there are none to be seen. */
function children (name: string): string[] {
  try {
    return readdirSync('/proc').filter(pid => /^\d+$/.test(pid) && statOf(pid).startsWith(`(${name}) `) && statOf(pid).split(' ')[2] === String(process.pid))
  } catch {
    return []
  }
}

function statOf (pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/^\d+ /, '')
  } catch {
    return ''
  }
}
