/** An etcd of the demo's own: a process on free ports, with its data in a temporary directory. */
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { atEnd } from './ending.js'
import { freePort, until } from './wait.js'

export const howToGet = 'No etcd: apt-get install etcd-server, or see etcd.io; ETCD_BIN may name one.'

export interface OwnEtcd {
  /** `http://127.0.0.1:port`. */
  readonly endpoint: string
  /** SIGKILL; resolves when it is gone. */
  kill (): Promise<void>
  /** On the same ports and data; resolves when it answers. */
  start (): Promise<void>
}

/**
 * Starts and kills etcd as it is told, line by line. When its input closes, because the demo ends or was itself killed, it
 * kills etcd and removes the directory ($0).
 */
const keeper = `
while read -r order; do
  case $order in
    start) "$@" >"$0/log" 2>&1 & etcd=$! ;;
    kill) kill -9 "$etcd"; wait "$etcd" ;;
  esac
  echo "$order"
done
kill -9 "$etcd"; wait "$etcd"; rm -rf "$0"`

/** The binary that ETCD_BIN names, else `etcd` from PATH; null when it cannot be run. */
export function findEtcd (): string | null {
  const binary = process.env['ETCD_BIN'] || 'etcd'
  return spawnSync(binary, ['--version'], { env: environment(), stdio: 'ignore' }).status === 0 ? binary : null
}

/** Starts it, and sees to it that nothing of it outlives the demo. */
export async function startEtcd (binary: string): Promise<OwnEtcd> {
  const client = `http://127.0.0.1:${await freePort()}`
  const peer = `http://127.0.0.1:${await freePort()}`
  const dir = mkdtempSync(join(tmpdir(), 'fastify-upstream-etcd-'))
  // A session of its own, so that neither Ctrl-C nor the end of the terminal reaches it or etcd before we do.
  const child = spawn('sh', ['-c', keeper, dir, binary,
    '--name=demo', `--data-dir=${dir}/data`, `--listen-client-urls=${client}`, `--advertise-client-urls=${client}`,
    `--listen-peer-urls=${peer}`, `--initial-advertise-peer-urls=${peer}`, `--initial-cluster=demo=${peer}`,
    // One member needs no patience: with the defaults it takes 1.5 s to elect itself after a restart.
    '--heartbeat-interval=20', '--election-timeout=200'
  ], { detached: true, env: environment(), stdio: ['pipe', 'pipe', 'ignore'] })
  child.stdin.on('error', () => {})
  const gone = once(child, 'exit')
  atEnd(() => {
    child.stdin.end()
    return gone
  })
  const order = async (word: 'start' | 'kill'): Promise<void> => {
    child.stdin.write(`${word}\n`)
    await once(child.stdout, 'data')
  }
  const etcd = {
    endpoint: client,
    kill: () => order('kill'),
    start: async () => {
      await order('start')
      await until('etcd answers', () => isHealthy(client), 10_000).catch((error: Error) => {
        throw new Error(`${error.message}; its last words: ${readFileSync(`${dir}/log`, 'utf8').slice(-300)}`)
      })
    }
  }
  await etcd.start()
  return etcd
}

/** Whether an etcd answers there and has a leader. */
export async function isHealthy (endpoint: string): Promise<boolean> {
  try {
    const answer = await fetch(`${endpoint}/health`, { signal: AbortSignal.timeout(1000) })
    return (await answer.text()).includes('true')
  } catch {
    return false
  }
}

/** Only what it needs: etcd takes every ETCD_… variable for an option. */
function environment (): NodeJS.ProcessEnv {
  const { PATH, HOME, TMPDIR } = process.env
  return { PATH, HOME, TMPDIR, ETCD_LOGGER: 'zap', ETCD_UNSAFE_NO_FSYNC: 'true', ETCD_UNSUPPORTED_ARCH: process.arch }
}
