/**
 * What a pick costs: `npm run bench:picks`. Each balancer at 3, 100 and 10,000 peers of different weights: ns and bytes for
 * a pick, and for one with its end, as ratios to a naive loop in the same run, and the cost of a change. See bench/README.md.
 */
import { performance } from 'node:perf_hooks'
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

/** So many are open at a time where picks are measured without their ends. */
const BATCH = 200
const open: Array<InstanceType<typeof Pick> | undefined> = new Array(BATCH)

/** ns for each pick alone; their ends are not counted. */
function opened (service: Service_, picks: number): number {
  let sum = 0
  for (let batch = 0; batch < picks; batch += BATCH) {
    const from = performance.now()
    for (let i = 0; i < BATCH; i++) open[i] = picker.pick(service, undefined, batch, keys[i + batch & 1023])
    sum += performance.now() - from
    for (const pick of open) pick?.done(OK, batch)
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
  const picks = 50_000
  const samples = Array.from({ length: 5 }, () => {
    gc()
    const before = process.memoryUsage().heapUsed
    run(picks)
    return (process.memoryUsage().heapUsed - before) / picks
  })
  return Math.min(...samples)
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

const { values } = parseArgs({ options: { check: { type: 'boolean' } } })
const missed: string[] = []
const empty = serviceOf('round-robin', 1)
picker.pick(empty, undefined, 0)?.done(OK, 0)
const [state] = [...empty.peers.values()]
const kept: unknown[] = new Array(8)
const pickBytes = state === undefined ? NaN : allocated(picks => { for (let i = 0; i < picks; i++) kept[i & 7] = new Pick(empty, state, false, picker) })
process.stdout.write(`A Pick itself: ${pickBytes.toFixed(0)} B\n`)
for (const size of SIZES) {
  const naive = naiveOf(size)
  const naivePicks = measure(naive)
  const contenders = BALANCERS.map(name => {
    const service = serviceOf(name, size)
    const run = picksOf(service)
    return { name, service, run, picks: measure(run), alone: [] as number[], ns: [] as number[], ratios: [] as number[] }
  })
  const naiveNs: number[] = []
  for (let round = 0; round < ROUNDS; round++) {
    const reference = timed(naive, naivePicks)
    naiveNs.push(reference)
    for (const contender of contenders) {
      contender.ns.push(timed(contender.run, contender.picks))
      const alone = opened(contender.service, contender.picks)
      contender.alone.push(alone)
      contender.ratios.push(alone / reference)
    }
  }
  process.stdout.write(`\n${size} peers; the naive loop ${median(naiveNs).toFixed(0)} ns\n| balancer | a pick (ns) | by the naive loop | a pick and its end (ns) | bytes beside the Pick | a change |\n|---|---|---|---|---|---|\n`)
  for (const { name, service, run, alone, ns, ratios } of contenders) {
    const bytes = allocated(run) - pickBytes
    const cost = median(alone)
    process.stdout.write(`| ${name} | ${cost.toFixed(0)} | ${text(combine(ratios))} | ${median(ns).toFixed(0)} | ${Math.abs(bytes) < 1 ? 0 : bytes.toFixed(1)} | ${change(service, size).toFixed(2)} ms |\n`)
    const bound = BOUNDS[size]
    if (bound !== undefined && cost > bound) missed.push(`${name} at ${size} peers: ${cost.toFixed(0)} ns, promised ${bound}`)
    if (bytes >= 1) missed.push(`${name} at ${size} peers: ${bytes.toFixed(1)} bytes beside the Pick`)
  }
}
process.stdout.write(missed.length === 0 ? '\nall promises met\n' : `\nmissed:\n${missed.join('\n')}\n`)
if (values.check === true && missed.length > 0) process.exitCode = 1
