import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import ts from 'typescript'
import { SnapshotFile, type Snapshot } from '../../lib/io/snapshot-file.js'

const PREFIX = '/services/'

async function folderFor (t: Test): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'snapshot-'))
  t.teardown(async () => { await rm(folder, { recursive: true, force: true }) })
  return folder
}

function snapshot (keys: number, revision = 7n): Snapshot {
  const entries = Array.from({ length: keys }, (_, i) => ({
    key: `${PREFIX}shop/10.0.${i >> 8}.${i & 255}:80`,
    value: i % 2 === 0 ? '{"weight":"ü\\n"}\n' : '',
    size: 17,
    modRevision: 2n ** 60n + BigInt(i),
    lease: BigInt(i)
  }))
  return { keyPrefix: PREFIX, listing: { entries, revision, storeId: '14841639068965178418' }, verifiedAt: 1_760_000_000_123 }
}

t.test('what was written is read, to the letter', async t => {
  const folder = await folderFor(t)
  for (const keys of [0, 1, 5001]) {
    const file = new SnapshotFile(join(folder, 'new', 'folder', 'peers'))
    await file.write(snapshot(keys))
    t.same(await file.read(PREFIX), snapshot(keys))
  }
  t.same(await readdir(join(folder, 'new', 'folder')), ['peers'], 'and nothing is left beside it')
})

t.test('no file is no snapshot', async t => {
  t.equal(await new SnapshotFile(join(await folderFor(t), 'none')).read(PREFIX), null)
})

t.test('what is foreign, old, cut off or changed is refused, and why', async t => {
  const path = join(await folderFor(t), 'peers')
  const file = new SnapshotFile(path)
  await file.write(snapshot(50))
  const whole = await readFile(path)
  await t.rejects(file.read('/other/'), /it is of the key prefix "\/services\/", not of "\/other\/"/)
  const refused = async (bytes: Buffer | string, why: RegExp, what: string): Promise<void> => {
    await writeFile(path, bytes)
    await t.rejects(file.read(PREFIX), why, what)
  }
  for (let i = 0; i < whole.length; i += 41) {
    const changed = Buffer.from(whole)
    changed[i] = (changed[i] ?? 0) ^ 1
    await refused(changed, /./, `byte ${i} changed`)
    await refused(whole.subarray(0, i), /no snapshot/, `cut off at byte ${i}`)
  }
  await refused(Buffer.concat([whole, whole]), /checksum/, 'twice')
  await refused('{"peers":[]}\n', /no snapshot/, 'something else')
  // With a checksum that fits.
  const sealed = (text: string): string => `${text}${JSON.stringify({ sha256: createHash('sha256').update(text).digest('hex') })}\n`
  await refused(sealed('{"format":"fastify-upstream-etcd snapshot","version":2}\n'), /version 2, and this package reads version 1/, 'of another version')
  await refused(sealed('{"format":"backup"}\n'), /it is no snapshot/, 'of another program')
  await refused(sealed('no JSON\n'), /it is no snapshot/, 'no JSON')
})

t.test('a write that fails leaves what was there', async t => {
  const folder = await folderFor(t)
  const file = new SnapshotFile(join(folder, 'peers'))
  await file.write(snapshot(3))
  const bad = snapshot(1)
  const entries = [{ ...bad.listing.entries[0], get value (): string { throw new Error('no') } }] as unknown as typeof bad.listing.entries
  await t.rejects(file.write({ ...bad, listing: { ...bad.listing, entries } }))
  t.same(await file.read(PREFIX), snapshot(3))
  await t.rejects(new SnapshotFile(join(folder, 'peers', 'below-a-file')).write(snapshot(1)), { code: /EEXIST|ENOTDIR/ })
})

t.test('several that write one file at the same time: it is one of theirs', async t => {
  const path = join(await folderFor(t), 'peers')
  for (let round = 0; round < 20; round++) {
    await Promise.all([1, 2, 3, 4].map(async i => await new SnapshotFile(path).write(snapshot(500 * i, BigInt(i)))))
    const { listing } = await new SnapshotFile(path).read(PREFIX) ?? {}
    t.equal(listing?.entries.length, 500 * Number(listing?.revision))
  }
})

/** Writes again and again until it is killed, and says so each time. */
const WRITER = `
import { SnapshotFile } from './snapshot-file.mjs'
const file = new SnapshotFile(process.argv[2])
for (let revision = 1; ; revision++) {
  const entries = Array.from({ length: 3000 }, (_, i) => ({ key: '/services/shop/10.0.0.1:' + (i + 1), value: String(revision), size: 1, modRevision: 1n, lease: 0n }))
  await file.write({ keyPrefix: '/services/', listing: { entries, revision: BigInt(revision), storeId: 's' }, verifiedAt: revision })
  process.stdout.write('.')
}`

t.test('killed with -9 at any of 200 moments it is always whole', async t => {
  const folder = await folderFor(t)
  const seen = new Set<bigint>()
  // As JavaScript: two hundred processes start faster without a compiler.
  const source = await readFile(fileURLToPath(new URL('../../lib/io/snapshot-file.ts', import.meta.url)), 'utf8')
  await writeFile(join(folder, 'snapshot-file.mjs'), ts.transpileModule(source, { compilerOptions: { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext } }).outputText)
  await writeFile(join(folder, 'writer.mjs'), WRITER)
  const kill = async (path: string, after: number): Promise<void> => {
    const child = spawn(process.execPath, [join(folder, 'writer.mjs'), path], { stdio: ['ignore', 'pipe', 'inherit'] })
    try {
      await once(child.stdout, 'data')
      await sleep(after)
    } finally {
      child.kill('SIGKILL')
      await once(child, 'close')
    }
    const { listing } = await new SnapshotFile(path).read(PREFIX) ?? {}
    seen.add(listing?.revision ?? 0n)
    if (listing?.entries.length !== 3000 || !listing.entries.every(({ value }) => value === String(listing.revision))) t.fail(`killed ${after} ms after a write`)
  }
  const paths = ['a', 'b'].map(name => join(folder, name, 'peers'))
  // Spread over the length of a write and a half.
  for (let moment = 0; moment < 100; moment++) await Promise.all(paths.map(async (path, i) => await kill(path, (moment + i / 2) % 40 * 0.5)))
  t.ok(seen.size > 1, `${seen.size} different states were found`)
  // What the killed ones left beside it goes with a write after a while.
  for (const path of paths) {
    await new SnapshotFile(path).write(snapshot(1))
    t.ok((await readdir(dirname(path))).length > 1, 'another process may be at it')
    const longAgo = Date.now() / 1000 - 100
    for (const name of await readdir(dirname(path))) await utimes(join(dirname(path), name), longAgo, longAgo)
    await new SnapshotFile(path).write(snapshot(1))
    t.same(await readdir(dirname(path)), ['peers'])
  }
})
