import { createHash } from 'node:crypto'
import { mkdir, open, readdir, readFile, rename, unlink, type FileHandle } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { setImmediate as turn } from 'node:timers/promises'
import type { Entry, Listing } from '../syncer/source.js'

/** What a file must say that it is, and the version of what follows. */
const FORMAT = 'fastify-upstream-etcd snapshot'
const VERSION = 1
/** Lines written or read in one go: some milliseconds. */
const SLICE = 2000

/** The registry as it once was known. */
export interface Snapshot {
  readonly keyPrefix: string
  readonly listing: Listing
  /** When that was in step with the registry, epoch ms. */
  readonly verifiedAt: number
}

/**
 * The last state of the registry that was known to be good, in a file: a line of JSON that says what it is, one for each
 * key, and one with a checksum of all before it. It is always whole: written beside, synced to the disk, then renamed.
 */
export class SnapshotFile {
  readonly path: string
  readonly #beside: string

  constructor (path: string) {
    this.path = resolve(path)
    this.#beside = `${this.path}.${process.pid}.tmp`
  }

  /** Null when there is no such file; throws, with the reason as message, when it cannot be used. */
  async read (keyPrefix: string): Promise<Snapshot | null> {
    const bytes = await readFile(this.path).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return null
      throw error
    })
    if (bytes === null) return null
    const end = bytes.lastIndexOf('\n', bytes.length - 2) + 1
    if (end === 0 || bytes.at(-1) !== 10 || parse(bytes.subarray(end)).sha256 !== createHash('sha256').update(bytes.subarray(0, end)).digest('hex')) {
      throw new Error('it is no snapshot, or not a whole one: its checksum does not fit')
    }
    await turn()
    const lines = bytes.toString('utf8', 0, end - 1).split('\n')
    const head = headOf(lines[0] ?? '')
    if (head.keyPrefix !== keyPrefix) throw new Error(`it is of the key prefix ${JSON.stringify(head.keyPrefix)}, not of ${JSON.stringify(keyPrefix)}`)
    const entries: Entry[] = []
    for (const line of lines.slice(1)) if (entries.push(entryOf(line)) % SLICE === 0) await turn()
    return { keyPrefix, listing: { entries, revision: BigInt(head.revision), storeId: head.storeId }, verifiedAt: head.verifiedAt }
  }

  /** Replaces the file. Throws when that fails, and then the one that was there still is. */
  async write ({ keyPrefix, listing, verifiedAt }: Snapshot): Promise<void> {
    const { entries, revision, storeId } = listing
    await mkdir(dirname(this.path), { recursive: true })
    await this.#tidy()
    const handle = await open(this.#beside, 'w', 0o600)
    try {
      const hash = createHash('sha256')
      const put = async (lines: string[]): Promise<void> => {
        const text = `${lines.join('\n')}\n`
        hash.update(text)
        await handle.write(text)
      }
      await put([JSON.stringify({ format: FORMAT, version: VERSION, keyPrefix, revision: String(revision), storeId, verifiedAt })])
      for (let i = 0; i < entries.length; i += SLICE) await put(entries.slice(i, i + SLICE).map(lineOf))
      await handle.write(`${JSON.stringify({ sha256: hash.digest('hex') })}\n`)
      await handle.sync()
    } finally {
      await handle.close()
    }
    await rename(this.#beside, this.path)
    await syncFolder(dirname(this.path))
  }

  /** What processes left beside the file that were killed as they wrote. */
  async #tidy (): Promise<void> {
    const folder = dirname(this.path)
    const prefix = `${basename(this.path)}.`
    for (const name of await readdir(folder)) {
      const pid = /^(\d+)\.tmp$/.exec(name.startsWith(prefix) ? name.slice(prefix.length) : '')?.[1]
      if (pid !== undefined && Number(pid) !== process.pid && !isAlive(Number(pid))) await unlink(join(folder, name)).catch(() => {})
    }
  }
}

function isAlive (pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM'
  }
}

/** A rename is on the disk when its folder is; where folders cannot be synced the file system sees to it. */
async function syncFolder (path: string): Promise<void> {
  let handle: FileHandle | undefined
  try {
    handle = await open(path, 'r')
    await handle.sync()
  } catch {
    // Windows opens no folders.
  } finally {
    await handle?.close()
  }
}

function lineOf ({ key, value, size, modRevision, lease }: Entry): string {
  return JSON.stringify([key, value, size, String(modRevision), String(lease)])
}

function entryOf (line: string): Entry {
  const [key, value, size, modRevision, lease]: [string, string, number, string, string] = JSON.parse(line)
  return { key, value, size, modRevision: BigInt(modRevision), lease: BigInt(lease) }
}

interface Head {
  readonly keyPrefix: string
  readonly revision: string
  readonly storeId: string
  readonly verifiedAt: number
}

function headOf (line: string): Head {
  const { format, version, ...head } = parse(line)
  if (format !== FORMAT) throw new Error('it is no snapshot')
  if (version !== VERSION) throw new Error(`it is a snapshot of version ${String(version)}, and this package reads version ${VERSION}`)
  return head as unknown as Head
}

function parse (line: string | Buffer): Record<string, unknown> {
  try {
    return JSON.parse(String(line))
  } catch {
    return {}
  }
}
