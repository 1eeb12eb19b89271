/** Whether memory grows: a million GETs through ours, the heap after a collection at the start, halfway and at the end. */
import { startBackends, startNode, type Running } from './contenders.js'
import type { Cores } from './machine.js'
import { workloads } from './workloads.js'
import { Wrk } from './wrk.js'

const REQUESTS = 1_000_000
/** Before the start: code is compiled, connections are open, and rings of statistics have their size. */
const WARM_UP = 100_000
/** Between the last request and the collection, ms: connections and timers of what just ended are gone then. */
const REST = 1000
/** The heap may end this far above its start and still be called flat; a leak of one byte for each request would show. */
const FLAT = 1024 * 1024
/** No part may take longer than this, s. */
const LONGEST = 900

/** One look at the memory, in bytes, after a forced collection. */
interface Look {
  readonly requests: number
  readonly heapUsed: number
  readonly external: number
  readonly rss: number
}

interface Growth {
  readonly looks: readonly Look[]
  readonly flat: boolean
}

const mebibytes = (bytes: number): string => (bytes / 1024 / 1024).toFixed(2).padStart(7)

/** Puts load on `port` until about `requests` were answered; returns how many were. */
async function send (wrk: Wrk, port: number, requests: number): Promise<number> {
  let sent = 0
  for (let spent = 0; sent < requests; spent += 5) {
    if (spent >= LONGEST) throw new Error(`only ${sent} of ${requests} requests were answered in ${spent} s`)
    sent += (await wrk.run(port, 5)).requests
  }
  return sent
}

async function look ({ process }: Running, requests: number, print: boolean): Promise<Look> {
  await new Promise(resolve => { setTimeout(resolve, REST) })
  const { heapUsed, external, rss } = await process.memory()
  if (print) console.log(`after ${String(requests).padStart(9)} requests: heap ${mebibytes(heapUsed)}  external ${mebibytes(external)}  resident ${mebibytes(rss)} MiB`)
  return { requests, heapUsed, external, rss }
}

/** Measures and returns the figures; prints them when `print`. */
export async function memory (cores: Cores | null, print: boolean): Promise<Growth> {
  const [workload] = workloads
  if (workload === undefined) throw new Error('there is no workload')
  const { addresses } = await startBackends(workload.answer, workload.hosts, cores)
  const ours = await startNode('ours', 'ours', { addresses, cores, before: null }, { flags: ['--expose-gc'] })
  const wrk = new Wrk(workload, cores?.others ?? null)
  await send(wrk, ours.port, WARM_UP)
  const looks = [await look(ours, 0, print)]
  let sent = 0
  for (const goal of [REQUESTS / 2, REQUESTS]) {
    sent += await send(wrk, ours.port, goal - sent)
    looks.push(await look(ours, sent, print))
  }
  const growth = (looks.at(-1)?.heapUsed ?? NaN) - (looks[0]?.heapUsed ?? NaN)
  const flat = growth <= FLAT
  if (print) console.log(`heap: ${growth < 0 ? '−' : '+'}${mebibytes(Math.abs(growth)).trim()} MiB over ${sent} requests: ${flat ? 'flat' : 'not flat'}`)
  return { looks, flat }
}
