/**
 * What a pick costs: `npm run bench:picks`. Each balancer at 3, 100 and 10,000 peers of different weights: ns and bytes for
 * a pick and its end, as ratios to a naive loop in the same run, and the cost of a change. See bench/README.md.
 */
import { spawnSync } from 'node:child_process'
import { performance } from 'node:perf_hooks'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import type { BalancerName } from '../lib/store/settings.js'
import { peer } from '../test/fixtures/pure.js'
import { combine, median, type Ratio } from './statistics.js'

// As it is built; named at run time, because types are looked at before it is.
const built = async (file: string): Promise<unknown> => await import(new URL(`../dist/${file}`, import.meta.url).href)
const { Picker, Pick } = await built('picker/picker.js') as typeof import('../lib/picker/picker.js')
const { Service } = await built('store/service.js') as typeof import('../lib/store/service.js')
const { BALANCERS } = await built('store/settings.js') as typeof import('../lib/store/settings.js')
const { serviceDefaults } = await built('options.js') as typeof import('../lib/options.js')

const SIZES = [3, 100, 10_000]
/** Of a pick (ns): plan, choice, and the Pick. */
const BOUNDS: Readonly<Record<number, number>> = { 3: 60, 10_000: 300 }
const ROUNDS = 15
/** What a heap's bookkeeping may differ by, bytes for each pick. */
const TOLERANCE = 8
/** How long one measurement takes, ms. */
const TURN = 20
const OK = { status: 200, ms: 5 } as const
const keys = Array.from({ length: 1024 }, (_, i) => `192.168.${i >> 4}.${i % 250}`)
const gc = (globalThis as { gc?: () => void }).gc ?? (() => {})

type Service_ = InstanceType<typeof Service>

function serviceOf (balancer: BalancerName, size: number): Service_ {
  const service = new Service('shop', { ...serviceDefaults, balancer })
  for (let i = 0; i < size; i++) service.put(peer(`10.${i >> 16}.${i >> 8 & 255}.${i & 255}:80`, { weight: 1 + i * 7919 % 97 / 10 }), 0, true)
  return service
}

/** nginx's algorithm as anybody would write it first: one pass over objects for each pick. */
function naiveOf (size: number): (picks: number) => void {
  const peers = Array.from({ length: size }, (_, i) => ({ id: String(i), weight: 1 + i * 7919 % 97 / 10, current: 0, inflight: 0 }))
  const total = peers.reduce((sum, { weight }) => sum + weight, 0)
  const pick = (): typeof peers[number] | undefined => {
    let best: typeof peers[number] | undefined
    for (const peer of peers) {
      peer.current += peer.weight
      if (best === undefined || peer.current > best.current) best = peer
    }
    if (best !== undefined) best.current -= total
    return best
  }
  return picks => {
    for (let i = 0; i < picks; i++) {
      const peer = pick()
      if (peer !== undefined) peer.inflight++
      if (peer !== undefined) peer.inflight--
    }
  }
}

const picker = new Picker(Math.random, () => {}, () => {})

/** Picks, and closes each: what a request costs. */
function picksOf (service: Service_): (picks: number) => void {
  let now = 0
  return picks => {
    for (let i = 0; i < picks; i++) picker.pick(service, undefined, ++now, keys[i & 1023])?.done(OK, now)
  }
}

/** So many are open at a time where ends are measured. */
const BATCH = 200
const open: Array<InstanceType<typeof Pick> | undefined> = new Array(BATCH)

/** ns for the end of a pick alone. (Picks alone would have to be kept somewhere, which costs as much as some of them.) */
function ended (service: Service_, picks: number): number {
  let sum = 0
  for (let batch = 0; batch < picks; batch += BATCH) {
    for (let i = 0; i < BATCH; i++) open[i] = picker.pick(service, undefined, batch, keys[i + batch & 1023])
    const from = performance.now()
    for (const pick of open) pick?.done(OK, batch)
    sum += performance.now() - from
  }
  return sum * 1e6 / (Math.ceil(picks / BATCH) * BATCH)
}

/** ns for each of as many as fit into a turn. */
function timed (run: (picks: number) => void, picks: number): number {
  const from = performance.now()
  run(picks)
  return (performance.now() - from) * 1e6 / picks
}

/** How many fill a turn; warms up on the way. */
function measure (run: (picks: number) => void): number {
  run(10_000)
  let picks = 64
  for (let took = 0; took < TURN;) {
    picks *= 2
    const from = performance.now()
    run(picks)
    took = performance.now() - from
  }
  return picks
}

/** Bytes for each, with a young generation that is large enough not to be collected meanwhile. */
function allocated (run: (picks: number) => void): number {
  const picks = 200_000
  const samples = Array.from({ length: 9 }, () => {
    gc()
    const before = process.memoryUsage().heapUsed
    run(picks)
    return (process.memoryUsage().heapUsed - before) / picks
  })
  return median(samples)
}

/** The next pick after one peer's weight has changed, ms. */
function change (service: Service_, size: number): number {
  let weight = 1
  return median(Array.from({ length: size > 1000 ? 7 : 31 }, () => {
    service.put(peer('10.0.0.0:80', { weight: ++weight }), 0, true)
    const from = performance.now()
    picker.pick(service, undefined, 0, 'key')?.done(OK, 0)
    return performance.now() - from
  }))
}

const text = ({ mean, low, high }: Ratio): string => `${digits(mean)} [${digits(low)}–${digits(high)}]`
const digits = (value: number): string => value < 0.1 ? value.toFixed(4) : value.toFixed(2)

interface Row { readonly ns: number, readonly pick: number, readonly naive: number, readonly ratio: Ratio, readonly change: number }

/** One balancer beside the naive loop. */
function row (name: BalancerName, size: number): Row {
  const naive = naiveOf(size)
  const naivePicks = measure(naive)
  const service = serviceOf(name, size)
  const run = picksOf(service)
  const picks = measure(run)
  const [costs, ends, references]: [number[], number[], number[]] = [[], [], []]
  for (let round = 0; round < ROUNDS; round++) {
    references.push(timed(naive, naivePicks))
    costs.push(timed(run, picks))
    ends.push(ended(service, picks / 4))
  }
  const ratio = combine(costs.map((ns, round) => ns / (references[round] as number)))
  return { ns: median(costs), pick: median(costs) - median(ends), naive: median(references), ratio, change: change(service, size) }
}

/** What a Pick itself takes. */
function pickBytes (): number {
  const service = serviceOf('round-robin', 1)
  picker.pick(service, undefined, 0)?.done(OK, 0)
  const [state] = [...service.peers.values()]
  const kept: unknown[] = new Array(8)
  return state === undefined ? NaN : allocated(picks => { for (let i = 0; i < picks; i++) kept[i & 7] = new Pick(service, state, false, picker) })
}

/** What a pick takes beside the Pick. */
function bytesOf (name: BalancerName, size: number): number {
  const run = picksOf(serviceOf(name, size))
  measure(run)
  return allocated(run) - pickBytes()
}

/** Memory is not collected while it is measured; touching so much of it for the first time would be paid for in time. */
const WITHOUT_COLLECTING = ['--expose-gc', '--max-semi-space-size=256', '--min-semi-space-size=256']

/** Each balancer in a process of its own, as in a gateway that has one: several make each other dearer. */
function asked<T> (name: BalancerName, what: 'time' | 'bytes'): T[] {
  const flags = what === 'bytes' ? WITHOUT_COLLECTING : []
  const { stdout, status, stderr } = spawnSync(process.execPath, [...process.execArgv, ...flags, fileURLToPath(import.meta.url), '--only', name, '--what', what], { encoding: 'utf8' })
  if (status !== 0) throw new Error(`${name}: ${stderr}`)
  return JSON.parse(stdout) as T[]
}

/** Two processes of one program can differ by a third for life: of three, for each size, the one whose pick is in the middle. */
function timesOf (name: BalancerName): Row[] {
  const runs = [1, 2, 3].map(() => asked<Row>(name, 'time'))
  return SIZES.map((_, i) => runs.flatMap(rows => rows[i] ?? []).sort((a, b) => a.pick - b.pick)[1] as Row)
}

function report (check: boolean): void {
  const all = BALANCERS.map(name => ({ name, rows: timesOf(name), bytes: asked<number>(name, 'bytes') }))
  const missed: string[] = []
  SIZES.forEach((size, i) => {
    const naive = median(all.map(({ rows }) => rows[i]?.naive ?? NaN))
    process.stdout.write(`${size} peers; the naive loop ${naive.toFixed(0)} ns\n| balancer | a pick (ns) | a pick and its end (ns) | this by the naive loop | bytes beside the Pick | a change |\n|---|---|---|---|---|---|\n`)
    for (const { name, rows, bytes: { [i]: bytes = NaN } } of all) {
      const { ns = NaN, pick = NaN, ratio = { mean: NaN, low: NaN, high: NaN }, change = NaN } = rows[i] ?? {}
      process.stdout.write(`| ${name} | ${pick.toFixed(0)} | ${ns.toFixed(0)} | ${text(ratio)} | ${Math.max(0, bytes).toFixed(0)} | ${change.toFixed(2)} ms |\n`)
      const bound = BOUNDS[size]
      if (bound !== undefined && !(pick <= bound)) missed.push(`${name} at ${size} peers: ${pick.toFixed(0)} ns, promised ${bound}`)
      if (!(bytes < TOLERANCE)) missed.push(`${name} at ${size} peers: ${bytes.toFixed(1)} bytes beside the Pick`)
    }
    process.stdout.write('\n')
  })
  process.stdout.write(missed.length === 0 ? 'all promises met\n' : `missed:\n${missed.join('\n')}\n`)
  if (check && missed.length > 0) process.exitCode = 1
}

const { values } = parseArgs({ options: { check: { type: 'boolean', default: false }, only: { type: 'string' }, what: { type: 'string' } } })
const only = BALANCERS.find(name => name === values.only)
if (only === undefined) report(values.check)
else process.stdout.write(JSON.stringify(SIZES.map(size => values.what === 'bytes' ? bytesOf(only, size) : row(only, size))))
