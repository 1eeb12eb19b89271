/**
 * What a large registry costs: `npm run bench:registry`. A real etcd with 100,000 peers in 2,000 services, read by a bare
 * paged listing of etcd3 and by the plugin, then 10,000 changes in a burst, with traffic all the time. See bench/README.md.
 */
import { monitorEventLoopDelay, performance, type IntervalHistogram } from 'node:perf_hooks'
import { noop } from 'cockatiel'
import { Etcd3 } from 'etcd3'
import Fastify from 'fastify'
import { Agent, request } from 'undici'
import { startEtcd } from '../test/fixtures/etcd.js'
import { startPeer } from '../test/fixtures/peer.js'

// As it is built; named at run time, because types are looked at before it is.
const built = async (file: string): Promise<unknown> => await import(new URL(`../dist/${file}`, import.meta.url).href)
const { default: upstreamEtcd } = await built('index.js') as typeof import('../lib/index.js')

const SERVICES = 2000
const PEERS = 100_000
const BURST = 10_000
const PAGE = 5000
const PREFIX = '/services/'
/** Requests a second while all this goes on. */
const TRAFFIC = 200

const endings: Array<() => unknown> = []
const t = { teardown: (end: () => unknown) => { endings.push(end) } } as Parameters<typeof startEtcd>[0]
const gc = (globalThis as { gc?: () => void }).gc

function keyOf (i: number): string {
  return `${PREFIX}service-${i % SERVICES}/10.${i >> 16 & 255}.${i >> 8 & 255}.${i & 255}:8080`
}

function valueOf (i: number): string {
  return JSON.stringify({ weight: 1 + i % 9, slow_start: 30, checkurl: '' })
}

/** In transactions of 100, which is what etcd takes at once. */
async function fill (client: Etcd3, from: number, to: number, salt: number): Promise<void> {
  for (let i = from; i < to; i += 100) {
    const puts = Array.from({ length: Math.min(100, to - i) }, (_, j) => ({ request_put: { key: Buffer.from(keyOf(i + j)), value: Buffer.from(valueOf(i + j + salt)) } }))
    await client.kv.txn({ success: puts })
  }
}

/** Every key and value, as a page after the other, and nothing made of them. */
async function bare (client: Etcd3): Promise<number> {
  const end = Buffer.from(`${PREFIX.slice(0, -1)}0`)
  let [key, count] = [Buffer.from(PREFIX), 0]
  for (;;) {
    const { kvs, more } = await client.kv.range({ key, range_end: end, limit: PAGE })
    count += kvs.length
    const last = kvs.at(-1)
    if (!more || last === undefined) return count
    key = Buffer.concat([last.key, Buffer.from([0])])
  }
}

function heap (): number {
  gc?.()
  gc?.()
  return process.memoryUsage().heapUsed
}

async function timed (work: () => Promise<unknown>): Promise<number> {
  const started = performance.now()
  await work()
  return performance.now() - started
}

const shown = (delay: IntervalHistogram): string => `p50 ${(delay.percentile(50) / 1e6).toFixed(0)}, p99 ${(delay.percentile(99) / 1e6).toFixed(0)}, max ${(delay.max / 1e6).toFixed(0)} ms`

async function main (): Promise<void> {
  const etcd = await startEtcd(t, { args: ['--quota-backend-bytes=2147483648'] })
  const client = new Etcd3({ hosts: etcd.endpoint, faultHandling: { host: () => noop, global: noop }, grpcOptions: { 'grpc.max_receive_message_length': 64 * 1024 * 1024 } })
  t.teardown(() => { client.close() })
  await fill(client, 0, PEERS, 0)
  const peer = await startPeer(t)
  await etcd.put(`${PREFIX}shop/${peer.id}`, '')
  const bares = [await timed(async () => await bare(client)), await timed(async () => await bare(client))]
  const agent = new Agent()
  t.teardown(() => agent.destroy())
  const before = heap()
  const app = Fastify()
  t.teardown(() => app.close())
  const delay = monitorEventLoopDelay({ resolution: 5 })
  delay.enable()
  const load = await timed(async () => {
    await app.register(upstreamEtcd, { etcd: { hosts: etcd.endpoint, timeout: 10_000 }, keyPrefix: PREFIX, routes: [{ prefix: '/', service: 'shop' }], start: { wait: 60_000 } })
    await app.ready()
  })
  delay.disable()
  const loading = shown(delay)
  bares.push(await timed(async () => await bare(client)))
  const perPeer = (heap() - before) / PEERS
  const fastest = Math.min(...bares)
  console.log(`${PEERS} peers in ${SERVICES} services, Node ${process.version}`)
  console.log(`a bare listing: ${bares.map(ms => ms.toFixed(0)).join(', ')} ms; loading: ${load.toFixed(0)} ms, ${(load / fastest).toFixed(2)} times the fastest of them`)
  console.log(`event loop while loading: ${loading}`)
  console.log(`heap: ${perPeer.toFixed(0)} bytes a peer`)
  await burst(client, app, agent)
  console.log(`one change, µs, in a service of ${await events()}`)
  console.log(`a tick over all services, ms: ${await ticks()}`)
}

/** What one change costs in services of different sizes, without etcd and sockets: µs, the best of five times 20,000. */
async function events (): Promise<string> {
  const { createCodec } = await built('syncer/codec/codec.js') as typeof import('../lib/syncer/codec/codec.js')
  const { Syncer } = await built('syncer/syncer.js') as typeof import('../lib/syncer/syncer.js')
  const { Store } = await built('store/store.js') as typeof import('../lib/store/store.js')
  const { serviceDefaults } = await built('options.js') as typeof import('../lib/options.js')
  const costs = [10, 1000, 50_000].map(size => {
    const codec = createCodec({ keyPrefix: PREFIX, format: 'auto', parse: JSON.parse })
    const syncer = new Syncer(new Store(() => serviceDefaults), codec, () => serviceDefaults, () => serviceDefaults)
    let revision = 0n
    const put = (i: number) => {
      const value = valueOf(Number(++revision))
      return { type: 'put' as const, entry: { key: `${PREFIX}one/10.0.${i >> 8}.${i & 255}:80`, value, size: value.length, modRevision: revision, lease: 0n } }
    }
    Array.from(syncer.list({ entries: [], revision: 0n, storeId: '' }, { isSame: true, isBoot: true }, 0) ?? [])
    syncer.apply(Array.from({ length: size }, (_, i) => put(i)), 0)
    const times = Array.from({ length: 5 }, () => {
      const changes = Array.from({ length: 20_000 }, (_, i) => put(i % size))
      const started = performance.now()
      for (const change of changes) syncer.apply([change], 0)
      return (performance.now() - started) / 20
    })
    return `${size} peers ${Math.min(...times).toFixed(1)}`
  })
  return costs.join(', ')
}

/** What a tick of health costs at rest, of which there are ten a second: ms, with and without active checks. */
async function ticks (): Promise<string> {
  const { Health } = await built('health/health.js') as typeof import('../lib/health/health.js')
  const { Store } = await built('store/store.js') as typeof import('../lib/store/store.js')
  const { serviceDefaults } = await built('options.js') as typeof import('../lib/options.js')
  const costs = [null, '/health'].map(checkUrl => {
    const store = new Store(() => serviceDefaults)
    const health = new Health(Math.random)
    for (let i = 0; i < PEERS; i++) {
      const service = store.ensure(`service-${i % SERVICES}`)
      const id = `10.${i >> 16 & 255}.${i >> 8 & 255}.${i & 255}:8080`
      const peer = { id, host: id, port: 8080, scheme: 'http', weight: 1, status: 'up', slowStart: 0, checkUrl, startAt: null, priority: 0, zone: null, maxInflight: 0, params: {}, key: id, modRevision: 1n, lease: 0n } as const
      health.admit(service, service.put(peer, 0, true), true, true, 0)
    }
    let [now, checked] = [0, 0]
    const tick = (): void => {
      now += 100
      for (const service of store.services.values()) {
        health.tick(service, now)
        for (const task of health.due(service, now)) {
          checked++
          health.conclude(task, { ok: true, status: 200, ms: 1, error: null }, now)
        }
      }
    }
    for (let i = 0; i < 200; i++) tick()
    checked = 0
    const { user, system } = process.cpuUsage()
    for (let i = 0; i < 200; i++) tick()
    const spent = process.cpuUsage({ user, system })
    return `${checkUrl === null ? 'nothing to check' : `${(checked / 200).toFixed(0)} checks due`} ${((spent.user + spent.system) / 200_000).toFixed(2)}`
  })
  return costs.join(', ')
}

async function burst (client: Etcd3, app: ReturnType<typeof Fastify>, agent: Agent): Promise<void> {
  const url = await app.listen({ port: 0, host: '127.0.0.1' })
  let [sent, failed] = [0, 0]
  const over = new AbortController()
  const send = async (): Promise<void> => {
    sent++
    const { statusCode, body } = await request(url, { dispatcher: agent })
    await body.dump()
    if (statusCode !== 200) failed++
  }
  const traffic = (async () => {
    while (!over.signal.aborted) await Promise.all([send(), new Promise(resolve => setTimeout(resolve, 1000 / TRAFFIC))])
  })()
  await new Promise(resolve => setTimeout(resolve, 2000))
  const idle = process.cpuUsage()
  const rest = monitorEventLoopDelay({ resolution: 5 })
  rest.enable()
  await new Promise(resolve => setTimeout(resolve, 3000))
  rest.disable()
  const { user, system } = process.cpuUsage(idle)
  const delay = monitorEventLoopDelay({ resolution: 5 })
  delay.enable()
  const ms = await timed(async () => {
    await fill(client, 0, BURST, 1)
    const revision = (await client.put(`${PREFIX}shop2/10.0.0.1:1`).value('').exec()).header.revision
    await app.upstreams.applied(revision)
  })
  delay.disable()
  over.abort()
  await traffic
  console.log(`at rest with ${TRAFFIC} requests a second: ${((user + system) / 30_000).toFixed(0)} % of a core, event loop ${shown(rest)}`)
  console.log(`${BURST} changes: ${ms.toFixed(0)} ms until the last was in use, event loop ${shown(delay)}; ${sent} requests, ${failed} failed`)
}

try {
  await main()
} finally {
  for (const end of endings.reverse()) await end()
}
