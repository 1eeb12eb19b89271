import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import Fastify from 'fastify'
import t, { type Test } from 'tap'
import { needBrowser, screenshot, startBrowser } from '../fixtures/browser.js'
import { until } from '../fixtures/wait.js'

needBrowser(t)

const strict = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'"
/** Path → its body, its type and, unless it is the strict one, its policy. */
const site: Record<string, [string, string, string?]> = {
  '/clean': ['<!doctype html><title>clean</title><link rel=stylesheet href=style.css><p id=p>as sent</p><script src=good.js></script>', 'text/html'],
  '/inline': ['<!doctype html><p id=p>as sent</p><script>document.getElementById("p").textContent = "changed"</script>', 'text/html'],
  '/console': ['<!doctype html><script src=console.js></script>', 'text/html'],
  '/throws': ['<!doctype html><script src=throws.js></script>', 'text/html'],
  '/missing': ['<!doctype html><script src=none.js></script>', 'text/html'],
  '/outside': ['<!doctype html><img src=http://example.invalid/>', 'text/html', 'img-src *'],
  '/style.css': ['p { color: rgb(1, 2, 3) } @media (prefers-color-scheme: dark) { p { color: rgb(4, 5, 6) } }', 'text/css'],
  '/good.js': ['document.getElementById("p").textContent = "changed"', 'text/javascript'],
  '/console.js': ['console.error("something", 1)', 'text/javascript'],
  '/throws.js': ['throw new TypeError("thrown")', 'text/javascript']
}

async function startSite (t: Pick<Test, 'teardown'>): Promise<string> {
  const app = Fastify({ forceCloseConnections: true })
  for (const [path, [body, type, policy = strict]] of Object.entries(site)) {
    app.get(path, async (_request, reply) => await reply.type(type).header('content-security-policy', policy).send(body))
  }
  t.teardown(async () => await app.close())
  return await app.listen({ port: 0, host: '127.0.0.1' })
}

/** The processes of a group that have not ended. */
function group (leader: number): string[] {
  return readdirSync('/proc').filter(id => /^\d+$/.test(id)).filter(id => {
    try {
      const stat = readFileSync(`/proc/${id}/stat`, 'utf8')
      const [state, , of] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
      return state !== 'Z' && of === String(leader)
    } catch {
      return false // it ended since
    }
  })
}

/** For what a process that is killed leaves in TMPDIR. Its name is short, for chromium has a socket there. */
function folderFor (t: Pick<Test, 'teardown'>): string {
  const folder = mkdtempSync(join(tmpdir(), 'browser-'))
  t.teardown(() => { rmSync(folder, { recursive: true, force: true }) })
  return folder
}

/** A test of its own that calls all it is given to do at the end, last first, as tap does. */
function ownTest (): Pick<Test, 'teardown'> & { end: () => Promise<void> } {
  const todo: Array<() => unknown> = []
  return {
    teardown: handler => { todo.unshift(handler) },
    end: async () => { for (const handler of todo) await handler() }
  }
}

const [base, browser] = await Promise.all([startSite(t), startBrowser(t)])

t.test('a clean page gives no complaint', async t => {
  const { page, complaints } = await browser.openPage(t, `${base}/clean`)
  t.equal(await page.textContent('#p'), 'changed')
  t.same(complaints, [])
})

t.test('options', async t => {
  const { page: still } = await browser.openPage(t, `${base}/clean`, { javaScriptEnabled: false })
  t.equal(await still.textContent('#p'), 'as sent')
  for (const [colorScheme, color] of [['light', 'rgb(1, 2, 3)'], ['dark', 'rgb(4, 5, 6)']] as const) {
    const { page } = await browser.openPage(t, `${base}/clean`, { colorScheme, viewport: { width: 320, height: 480 } })
    t.equal(await page.evaluate('getComputedStyle(document.getElementById("p")).color'), color)
    t.equal(await page.evaluate('innerWidth'), 320)
  }
})

const wrong: Array<[path: string, complaint: RegExp]> = [
  ['/inline', /^csp: .*inline script/],
  ['/console', /^console: something 1 \(.*console\.js/],
  ['/throws', /^error: TypeError: thrown/],
  ['/missing', /^console: .*404.*none\.js/],
  ['/outside', /^outside: GET http:\/\/example\.invalid\/$/]
]
for (const [path, complaint] of wrong) {
  t.test(`${path} is told, and fails the test unless it is expected`, async t => {
    const own = ownTest()
    const { page, complaints } = await browser.openPage(own, base + path)
    await until(() => complaints.some(text => complaint.test(text)), { what: `complaint ${String(complaint)} in ${complaints.join()}` })
    if (path === '/inline') t.equal(await page.textContent('#p'), 'as sent')
    await t.rejects(own.end(), { message: /is not clean/ })
    await browser.openPage(t, base + path, { expected: [complaint, /example\.invalid/] })
  })
}

t.test('no other host is reached, not even one of this machine', async t => {
  let asked = 0
  const other = createServer((_request, response) => { asked++; response.end() }).listen(0, '127.0.0.2')
  await once(other, 'listening')
  t.teardown(() => { other.close() })
  const { port } = other.address() as AddressInfo
  const { page, complaints } = await browser.openPage(t, `${base}/clean`, { expected: [/./] })
  for (const name of ['127.0.0.2', 'localhost']) {
    await t.rejects(page.goto(`http://${name}:${port}/`), { message: /ERR_NAME_NOT_RESOLVED/ })
    t.ok(complaints.includes(`outside: GET http://${name}:${port}/`))
  }
  t.equal(asked, 0)
})

t.test('a screenshot lies in .screenshots', async t => {
  const { page } = await browser.openPage(t, `${base}/clean`)
  const path = await screenshot(page, 'harness')
  t.teardown(() => { rmSync(path, { force: true }) })
  t.match(path, /\.screenshots.harness\.png$/)
  t.equal(readFileSync(path).toString('latin1', 1, 4), 'PNG')
})

t.test('nothing of the browser is left', async t => {
  await t.test('after the end of its test', async t => {
    const own = ownTest()
    const { pid } = await startBrowser(own)
    t.ok(group(pid).includes(String(pid)))
    await own.end()
    await until(() => group(pid).length === 0, { what: 'end of chromium' })
  })

  await t.test('when it hangs', async t => {
    const own = ownTest()
    const before = process.env['TMPDIR'] ?? tmpdir()
    process.env['TMPDIR'] = folderFor(t)
    t.teardown(() => { process.env['TMPDIR'] = before })
    const { pid } = await startBrowser(own)
    process.kill(pid, 'SIGSTOP')
    await own.end()
    await until(() => group(pid).length === 0, { what: 'end of chromium' })
  })

  for (const [how, path, isGreen] of [['passes', '/clean', true], ['complains', '/console', false], ['fails', '/clean', false], ['hangs', '/clean', false]] as const) {
    await t.test(`when the process with the test ${how}`, async t => {
      const TMPDIR = folderFor(t)
      const script = fileURLToPath(new URL('../fixtures/browser-ends.ts', import.meta.url))
      const child = spawn(process.execPath, [...process.execArgv, script, base + path, how], { stdio: ['ignore', 'ignore', 'pipe'], env: { ...process.env, TMPDIR } })
      t.teardown(() => child.kill('SIGKILL'))
      const ended = once(child, 'exit')
      let said = ''
      child.stderr.setEncoding('utf8').on('data', (text: string) => { said += text })
      const pid = Number(await until(() => /^pid (\d+)$/m.exec(said)?.[1], { what: 'pid', timeout: 20_000 }))
      if (how === 'hangs') child.kill('SIGKILL')
      t.equal((await ended)[0] === 0, isGreen)
      await until(() => group(pid).length === 0, { what: 'end of chromium' })
    })
  }
})
