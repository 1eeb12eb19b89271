/** Proxies that are no Node: configured for one core and one upstream, without logs, each in a folder of its own. */
import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { atEnd } from '../example/demo/ending.js'
import { freePort } from '../test/fixtures/port.js'
import type { Contender, Running, Surroundings } from './contenders.js'
import { Process } from './processes.js'

interface Native {
  readonly name: string
  /** Asks for the version, and what in the answer is it. */
  readonly version: readonly string[]
  readonly configure: (port: number, upstream: string, folder: string) => string
  readonly command: (file: string, folder: string) => readonly string[]
}

const START_WITHIN = 10_000

const nginx: Native = {
  name: 'nginx',
  version: ['nginx', '-v'],
  configure: (port, upstream, folder) => `worker_processes 1;
pid ${folder}/nginx.pid;
error_log stderr crit;
events { worker_connections 4096; }
http {
  access_log off;
  client_body_temp_path ${folder}/client;
  proxy_temp_path ${folder}/proxy;
  fastcgi_temp_path ${folder}/fastcgi;
  uwsgi_temp_path ${folder}/uwsgi;
  scgi_temp_path ${folder}/scgi;
  keepalive_requests 1000000000;
  upstream backend { server ${upstream}; keepalive 128; keepalive_requests 1000000000; }
  server {
    listen 127.0.0.1:${port};
    location / {
      proxy_pass http://backend;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $http_host;
    }
  }
}
`,
  command: (file, folder) => ['nginx', '-p', folder, '-c', file, '-g', 'daemon off;']
}

const haproxy: Native = {
  name: 'haproxy',
  version: ['haproxy', '-v'],
  configure: (port, upstream) => `global
  nbthread 1
  maxconn 4096
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  http-reuse always
frontend gateway
  bind 127.0.0.1:${port}
  default_backend backend
backend backend
  server one ${upstream}
`,
  command: file => ['haproxy', '-db', '-f', file]
}

const caddy: Native = {
  name: 'caddy',
  version: ['caddy', 'version'],
  configure: (port, upstream) => `{
  admin off
  auto_https off
  log {
    level ERROR
  }
}
http://127.0.0.1:${port} {
  bind 127.0.0.1
  reverse_proxy ${upstream} {
    transport http {
      keepalive_idle_conns_per_host 128
    }
  }
}
`,
  // It keeps its last configuration and its keys in folders of the user's unless told otherwise.
  command: (file, folder) => ['env', `XDG_CONFIG_HOME=${folder}`, `XDG_DATA_HOME=${folder}`, 'caddy', 'run', '--adapter', 'caddyfile', '--config', file]
}

/** Resolves when something listens; rejects when the process ends before, or after 10 s. */
async function listening (process: Process, port: number): Promise<void> {
  const until = Date.now() + START_WITHIN
  while (Date.now() < until) {
    const socket = connect(port, '127.0.0.1')
    try {
      await once(socket, 'connect', { signal: AbortSignal.timeout(1000) })
      return
    } catch {
      if (process.isOver) break
      await sleep(50)
    } finally {
      socket.destroy()
    }
  }
  throw process.failure(`did not listen within ${START_WITHIN / 1000} s`)
}

async function start ({ name, configure, command }: Native, { addresses, cores }: Surroundings): Promise<Running> {
  const folder = mkdtempSync(join(tmpdir(), `bench-${name}-`))
  atEnd(() => rmSync(folder, { recursive: true, force: true }))
  const port = await freePort()
  const file = join(folder, 'config')
  writeFileSync(file, configure(port, addresses[0] ?? '', folder))
  const process = new Process(name, command(file, folder), cores?.contender ?? null, false)
  await listening(process, port)
  return { process, port }
}

/** The version that a program tells; undefined when it is not installed. */
function versionOf ({ version: [file = '', ...args] }: Native): string | undefined {
  const { stdout, stderr, status } = spawnSync(file, args, { encoding: 'utf8', timeout: 10_000 })
  return status === 0 ? /\d+\.\d+(\.\d+)?/.exec(stdout + stderr)?.[0] : undefined
}

const versions = new Map([nginx, haproxy, caddy].flatMap(native => {
  const version = versionOf(native)
  return version === undefined ? [] : [[native, version] as const]
}))

/** Those that are installed here. */
export const natives: readonly Contender[] = [...versions.keys()].map(native => ({
  name: native.name,
  title: native.name,
  chosenAs: native.name,
  start: around => start(native, around)
}))

/** Versions by name, of those that are installed. */
export function nativeVersions (): Record<string, string> {
  return Object.fromEntries([...versions].map(([{ name }, version]) => [name, version]))
}
