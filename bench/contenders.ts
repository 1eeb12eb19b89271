/** Who is measured: how each is started, and whether it is there to be started. */
import { fileURLToPath } from 'node:url'
import type { Cores } from './machine.js'
import { natives } from './natives.js'
import { Process } from './processes.js'

/** A contender that runs. */
export interface Running {
  readonly process: Process
  readonly port: number
}

/** What contenders are told of the backends and of the build to measure. */
export interface Surroundings {
  /** `host:port`, three of one host after those of another. */
  readonly addresses: readonly string[]
  readonly cores: Cores | null
  /** A folder of another build of ours, for the contender `before`. */
  readonly before: string | null
}

export interface Contender {
  readonly name: string
  readonly title: string
  /** Given after `--contenders`; variants go with what they are variants of. */
  readonly chosenAs: string
  readonly start: (around: Surroundings) => Promise<Running>
}

interface NodeOptions {
  /** All addresses of the backends instead of the first three. */
  readonly many?: boolean
  readonly services?: number
  readonly flags?: readonly string[]
  readonly before?: boolean
}

/** Starts a contender in Node. `file` is the one in `contenders`, without its ending. */
export async function startNode (name: string, file: string, around: Surroundings, options: NodeOptions = {}): Promise<Running> {
  const config = JSON.stringify({
    upstreams: options.many === true ? around.addresses : around.addresses.slice(0, 3),
    services: options.services ?? 0,
    dist: options.before === true ? around.before : null
  })
  const script = fileURLToPath(new URL(`contenders/${file}.js`, import.meta.url))
  const process_ = new Process(name, [process.execPath, ...options.flags ?? [], script, config], around.cores?.contender ?? null, true)
  const { port } = await process_.ready<{ port: number }>()
  return { process: process_, port }
}

/** Starts the backends and returns what they listen on. */
export async function startBackends (answer: number, hosts: number, cores: Cores | null): Promise<{ process: Process, addresses: string[] }> {
  const script = fileURLToPath(new URL('backend.js', import.meta.url))
  const backend = new Process('the backends', [process.execPath, script, JSON.stringify({ answer, hosts })], cores?.others ?? null, true)
  const { addresses } = await backend.ready<{ addresses: string[] }>()
  return { process: backend, addresses }
}

function inNode (name: string, title: string, file = name, options: NodeOptions = {}): Contender {
  return { name, title, chosenAs: options.before === true ? name : file, start: around => startNode(name, file, around, options) }
}

/** All that can be measured here, in the order of the table. `before` is a folder of another build of ours. */
export function contenders (before: string | null): Contender[] {
  return [
    inNode('ours', 'fastify-upstream-etcd'),
    ...(before === null ? [] : [inNode('before', 'another build of ours', 'ours', { before: true })]),
    inNode('ours-200-peers', 'ours, 200 peers', 'ours', { many: true }),
    inNode('ours-2000-services', 'ours, 2,000 services', 'ours', { services: 2000 }),
    inNode('bare', '@fastify/reply-from'),
    inNode('floor', 'node:http and undici'),
    inNode('floor-200-peers', 'floor, 200 pools', 'floor', { many: true }),
    inNode('floor-2000-services', 'floor, 6,000 pools', 'floor', { services: 2000 }),
    inNode('fastify-http-proxy', '@fastify/http-proxy'),
    inNode('fast-gateway', 'fast-gateway'),
    inNode('http-proxy', 'http-proxy'),
    inNode('httpxy', 'httpxy'),
    ...natives
  ]
}
