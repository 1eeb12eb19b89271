import t from 'tap'
import { cycles, documented, interval, layers, purity, sizes, strictness, type Rule } from './fixtures/rules.js'
import { readLib } from './fixtures/source.js'

const lib = readLib()

t.test('lib keeps the rules', async t => {
  t.ok(lib.size > 0, 'there is something to look at')
  const rules: Array<[string, Rule]> = [
    ['who may import whom', layers],
    ['pure folders know neither world, time nor chance', purity],
    ['one interval, in plugin.ts', interval],
    ['no any, no !, no enum, no namespace, no silenced tool', strictness],
    ['no file over 250 lines', sizes],
    ['no circle of imports', cycles]
  ]
  for (const [name, rule] of rules) t.same(rule(lib), [], name)
})

/** What a rule says of one file. */
function say (rule: Rule, file: string, text: string): string[] {
  return rule(new Map([[file, text]]))
}

t.test('who may import whom', async t => {
  const rooms: Record<string, string> = {
    store: 'store/x.ts',
    logger: 'logger/x.ts',
    picker: 'picker/x.ts',
    health: 'health/x.ts',
    syncer: 'syncer/codec/x.ts',
    http: 'http/x.ts',
    io: 'io/etcd/x.ts',
    errors: 'errors.ts',
    options: 'options/x.ts',
    plugin: 'plugin.ts',
    index: 'index.ts'
  }
  const allowed: Record<string, string> = {
    store: 'store',
    logger: 'logger store',
    picker: 'picker logger store',
    health: 'health logger store',
    syncer: 'syncer store',
    http: 'http store logger picker health syncer errors options',
    io: 'io store logger picker health syncer errors options',
    errors: 'errors',
    options: 'options errors store logger picker health syncer',
    plugin: 'http io errors options store logger picker health syncer',
    index: 'plugin http errors options store logger picker health syncer'
  }
  for (const [from, file] of Object.entries(rooms)) {
    const up = '../'.repeat(file.split('/').length - 1) || './'
    for (const [to, other] of Object.entries(rooms)) {
      const specifier = up + other.replace(/x\.ts$/, 'y.js').replace(/\.ts$/, '.js')
      const good = (allowed[from] ?? '').split(' ').includes(to)
      t.same(say(layers, file, `import type { A } from '${specifier}'`),
        good ? [] : [`${file}: may not import ${specifier}`], `${from} ${good ? 'may' : 'may not'} import ${to}`)
    }
  }
  t.same(say(layers, 'options.ts', "import { x } from './options/x.js'"), [], 'options.ts and its folder are one room')
  t.same(say(layers, 'http/x.ts', "import { x } from 'undici'\nimport y from 'node:net'"), [], 'packages are no rooms')
  t.same(say(layers, 'helpers/x.ts', ''), ['helpers/x.ts: is in no known room'])
  t.same(say(layers, 'index.ts', "import x from '../package.json'"), ['index.ts: may not import ../package.json'])
})

t.test('every way to import counts', async t => {
  const ways = [
    "import { x } from '../health/x.js'",
    "import type { X } from '../health/x.js'",
    "import { type X } from '../health/x.js'",
    "import '../health/x.js'",
    "export { x } from '../health/x.js'",
    "export * from '../health/x.js'",
    "export type { X } from '../health/x.js'",
    "const x = await import('../health/x.js')",
    'const x = await import(`../health/x.js`)',
    "let x: import('../health/x.js').X",
    "let x: typeof import('../health/x.js')",
    "import x = require('../health/x.js')",
    "const x = require('../health/x.js')"
  ]
  for (const way of ways) t.same(say(layers, 'picker/x.ts', way), ['picker/x.ts: may not import ../health/x.js'], way)
  t.same(say(layers, 'picker/x.ts', "// import '../health/x.js'\nconst x = \"import '../health/x.js'\""), [])
})

t.test('purity', async t => {
  const bad: Array<[string, string]> = [
    ["import { x } from 'node:fs'", 'imports node:fs'],
    ["import type { X } from 'fs'", 'imports fs'],
    ["import { noop } from 'cockatiel'", 'imports cockatiel'],
    ['const x = await import(name)', 'imports a computed name'],
    ['const x = Date.now()', 'line 1 uses Date'],
    ['const x = new Date()', 'line 1 uses Date'],
    ['let x: Date', 'line 1 uses Date'],
    ['const now = { Date }', 'line 1 uses Date'],
    ['const x = Math.random()', 'line 1 uses Math.random'],
    ["const x = Math['random']()", 'line 1 uses Math.random'],
    ['const { random } = Math', 'line 1 uses Math.random'],
    ['\n\nprocess.nextTick(f)', 'line 3 uses process']
  ]
  for (const name of ['performance', 'setTimeout', 'setInterval', 'setImmediate', 'queueMicrotask', 'process', 'Buffer',
    'require', 'globalThis', 'crypto', 'fetch', 'EventEmitter']) {
    bad.push([`const x = ${name}`, `line 1 uses ${name}`], [`f(${name})`, `line 1 uses ${name}`])
  }
  for (const [text, complaint] of bad) {
    for (const folder of ['store', 'syncer', 'syncer/codec', 'picker', 'logger', 'health']) {
      t.same(say(purity, `${folder}/x.ts`, text), [`${folder}/x.ts: ${complaint}`], `${folder}: ${text}`)
    }
    t.same(say(purity, 'io/x.ts', text), [], `io: ${text}`)
  }
  const good = [
    'const x = Math.max(1, 2)',
    'const x = peer.process + a.Date',
    'const x = { fetch: 1, process () {} }',
    'interface X { fetch: () => void, process (): void }',
    'class X { process = 1 }',
    'const { process: work } = peer',
    '// Date.now()\nconst x = "Date.now()"'
  ]
  for (const text of good) t.same(say(purity, 'store/x.ts', text), [], text)
})

t.test('one interval', async t => {
  for (const text of ['setInterval(f, 1)', 'globalThis.setInterval(f, 1)', "import { setInterval as x } from 'node:timers'",
    "timers['setInterval'](f, 1)"]) {
    t.same(say(interval, 'io/x.ts', text), ['io/x.ts: line 1 uses setInterval'], text)
    t.same(say(interval, 'plugin.ts', text), [], text)
  }
})

t.test('strictness', async t => {
  const bad: Array<[string, string]> = [
    ['let x: any', 'line 1 has any'],
    ['let x: Array<any>', 'line 1 has any'],
    ['const x = y as any', 'line 1 has any'],
    ['const x = y!', 'line 1 has a non-null !'],
    ['const x = y!.z', 'line 1 has a non-null !'],
    ['let x!: string', 'line 1 has a non-null !'],
    ['class X {\n  y!: string\n}', 'line 2 has a non-null !'],
    ['enum X { a }', 'line 1 has an enum'],
    ['const enum X { a }', 'line 1 has an enum'],
    ['namespace X {}', 'line 1 has a namespace'],
    ['module X {}', 'line 1 has a namespace'],
    // Bad sources as text, each to be refused: nothing is silenced by them.
    ['// @ts-ignore', 'has @ts-ignore'], // a string, given to the rule so that it refuses it
    ['// @ts-expect-error', 'has @ts-expect-error'], // a string, given to the rule so that it refuses it
    ['/* eslint-disable */', 'has eslint-disable'], // a string, given to the rule so that it refuses it
    ['/* c8 ignore next */', 'has c8 ignore'], // a string, given to the rule so that it refuses it
    ['/* v8 ignore start */', 'has v8 ignore'] // a string, given to the rule so that it refuses it
  ]
  for (const [text, complaint] of bad) t.same(say(strictness, 'io/x.ts', text), [`io/x.ts: ${complaint}`], text)
  const good = [
    "declare module 'fastify' { interface X { y: 1 } }",
    'declare global { interface X { y: 1 } }',
    'const any = !x && y !== z // any!'
  ]
  for (const text of good) t.same(say(strictness, 'io/x.ts', text), [], text)
})

t.test('sizes', async t => {
  t.same(say(sizes, 'io/x.ts', 'x\n'.repeat(250)), [])
  t.same(say(sizes, 'io/x.ts', 'x\n'.repeat(251)), ['io/x.ts: 251 lines'])
})

t.test('circles', async t => {
  const circle = (files: Record<string, string>): string[] => cycles(new Map(Object.entries(files)))
  t.same(circle({ 'a.ts': "import './b.js'", 'b.ts': "import './c.js'", 'c.ts': '' }), [])
  t.same(circle({ 'a.ts': "import './b.js'\nimport './c.js'", 'b.ts': "import './c.js'", 'c.ts': '' }), [], 'a diamond')
  t.same(circle({ 'a.ts': "import './a.js'" }), ['a.ts → a.ts'])
  t.same(circle({ 'a.ts': "import type { X } from './b.js'", 'b.ts': "let x: import('./a.js').X" }),
    ['a.ts → b.ts → a.ts'], 'made of types')
  t.same(circle({ 'x/a.ts': "import '../b.js'", 'b.ts': "import './x/c.js'", 'x/c.ts': "export * from './a.js'" }),
    ['x/a.ts → b.ts → x/c.ts → x/a.ts'], 'over folders')
})

t.test('doc comments', async t => {
  const bad = ['export function x () {}', 'export class x {}', 'export const x = () => {}', 'function x () {}\nexport { x }',
    '// Not a doc comment.\nexport function x () {}', '/** */\nexport function x () {}', 'export default function x () {}',
    'export async function x () {}', 'class x {}\nexport { x as y }']
  for (const text of bad) t.same(say(documented, 'io/x.ts', text), ['io/x.ts: x has no doc comment'], text)
  const good = ['/** Does. */\nexport function x () {}', '/** Is. */\nexport class x {}', '/** Does. */\nexport const x = () => {}',
    'function x () {}', 'export const x = 1', "export { x } from './y.js'",
    '/** Does. */\nexport function x (a: string): void\nexport function x (a: number): void\nexport function x () {}']
  for (const text of good) t.same(say(documented, 'io/x.ts', text), [], text)
})
