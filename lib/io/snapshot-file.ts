import { createHash, randomUUID } from 'node:crypto'
import { mkdir, open, readdir, readFile, rename, stat, unlink, type FileHandle } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { setImmediate as turn } from 'node:timers/promises'
import type { Entry, Listing } from '../syncer/source.js'

/** What a file must say that it is, and the version of what follows. */
const FORMAT = 'fastify-upstream-etcd snapshot'
const VERSION = 1
/** Lines written or read in one go: some milliseconds. */
const SLICE = 2000
/** A file beside it that nobody has written to for this long (ms) belongs to nobody. */
const LEFT_BEHIND = 60_000

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

  constructor (path: string) {
    this.path = resolve(path)
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
  async write (snapshot: Snapshot): Promise<void> {
    await mkdir(dirname(this.path), { recursive: true })
    await this.#tidy()
    // Of its own for each write: others may write the same file, in this process or on another machine.
    const beside = `${this.path}.${randomUUID()}.tmp`
    try {
      await fill(beside, snapshot)
      await rename(beside, this.path)
    } catch (error) {
      await unlink(beside).catch(() => {})
      throw error
    }
    await syncFolder(dirname(this.path))
  }

  /** What processes left beside the file that were killed as they wrote; a write takes seconds. */
  async #tidy (): Promise<void> {
    const folder = dirname(this.path)
    const prefix = `${basename(this.path)}.`
    const ours = (await readdir(folder)).filter(name => name.startsWith(prefix) && /^[\da-f-]{36}\.tmp$/.test(name.slice(prefix.length)))
    for (const name of ours) {
      const path = join(folder, name)
      const { mtimeMs } = await stat(path).catch(() => ({ mtimeMs: Infinity }))
      if (mtimeMs < Date.now() - LEFT_BEHIND) await unlink(path).catch(() => {})
    }
  }
}

/** Writes a new file, down to the disk. */
async function fill (path: string, { keyPrefix, listing: { entries, revision, storeId }, verifiedAt }: Snapshot): Promise<void> {
  const handle = await open(path, 'wx', 0o600)
  try {
    const hash = createHash('sha256')
    const put = async (lines: string[]): Promise<void> => {
      const text = `${lines.join('\n')}\n`
      hash.update(text)
      // Unlike `write` it goes on until all is written.
      await handle.appendFile(text)
    }
    await put([JSON.stringify({ format: FORMAT, version: VERSION, keyPrefix, revision: String(revision), storeId, verifiedAt })])
    for (let i = 0; i < entries.length; i += SLICE) await put(entries.slice(i, i + SLICE).map(lineOf))
    await handle.appendFile(`${JSON.stringify({ sha256: hash.digest('hex') })}\n`)
    await handle.sync()
  } finally {
    await handle.close()
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
