import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'
import t from 'tap'
import { documented } from './fixtures/rules.js'
import { libFolder, readLib } from './fixtures/source.js'

const lib = readLib()
const self = 'fastify-upstream-etcd'

/** How many of each kind of thing keep this process alive. */
function handles (): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const kind of process.getActiveResourcesInfo()) counts[kind] = (counts[kind] ?? 0) + 1
  return counts
}

t.test('every file of lib can be imported, and leaves nothing running', async t => {
  const before = handles()
  for (const file of lib.keys()) {
    // Through a URL: coverage has to see every file, and the type checker need not.
    const url = new URL(file.replace(/\.ts$/, '.js'), pathToFileURL(libFolder)).href
    await t.resolves(import(url), file)
  }
  // What is only on its way out, such as a file just read, gets a turn to end.
  await new Promise(resolve => setImmediate(resolve))
  const after = handles()
  for (const kind of ['Timeout', 'Immediate', 'TCPSocketWrap', 'TCPServerWrap', 'PipeWrap', 'ProcessWrap', 'MessagePort',
    'Worker', 'FSEventWrap', 'StatWatcher', 'SignalWrap', 'UDPWrap']) {
    t.ok((after[kind] ?? 0) <= (before[kind] ?? 0), `no ${kind} more: ${JSON.stringify({ before, after })}`)
  }
})

t.test('every exported function and class of lib is documented', async t => {
  t.same(documented(lib), [])
})

/** The public names that are values; what API.md's first lines show and what users catch errors by. */
interface PublicModule {
  default: unknown
  upstreamEtcd: unknown
  'module.exports': unknown
  [name: string]: unknown
}

t.test('the built package', async t => {
  // A computed name, so that the type checker does not ask for the build.
  const imported = await import(self) as PublicModule
  const required = createRequire(import.meta.url)(self) as Record<string, unknown>

  t.type(imported.default, 'function')
  t.equal(imported.upstreamEtcd, imported.default, 'the named export is the default one')
  t.equal(imported['module.exports'], imported.default, 'and what require() gives')
  t.equal(required, imported.default, 'require() gives the function itself')
  const names = Object.keys(imported).filter(name => name !== 'default' && name !== 'module.exports')
  for (const name of names) {
    t.equal(required[name], imported[name], `${name} is attached to the function`)
  }
})

t.test('package.json can be read through the package', async t => {
  const manifest = createRequire(import.meta.url)(`${self}/package.json`) as { name: string, version: string }
  const own = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as typeof manifest
  t.same(manifest, own)
})
