import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import t, { type Test } from 'tap'
import type { UpstreamEtcdOptions } from '../../lib/index.js'
import { needBrowser, startBrowser } from '../fixtures/browser.js'
import { startEtcd, type TestEtcd } from '../fixtures/etcd.js'
import { environment } from '../fixtures/etcd-process.js'
import { find } from '../fixtures/find-etcd.mjs'
import { startGateway } from '../fixtures/gateway.js'
import { drawn, picture, press, read, rowOf } from '../fixtures/page.js'
import { freePort } from '../fixtures/port.js'
import { until } from '../fixtures/wait.js'

needBrowser(t)
const browser = await startBrowser(t)
const run = promisify(execFile)
const key = (id: string): string => `/services/shop/${id}`
const [A, B] = ['10.0.0.1:1', '10.0.0.2:1']
const SOON = { timeout: 10_000 }

async function open (t: Pick<Test, 'teardown'>, options: UpstreamEtcdOptions) {
  const gateway = await startGateway(t, { check: false, ...options })
  const { page } = await browser.openPage(t, `${gateway.url}/_upstreams`)
  await drawn(page)
  const registry = () => gateway.app.upstreams.status().registry
  return { gateway, page, registry }
}

/** Runs a command as somebody does who copies it: by bash, with etcdctl in the path, towards this etcd. */
async function shell (command: string, etcd: TestEtcd): Promise<void> {
  const path = `${dirname(find('etcdctl') ?? '')}:${process.env['PATH'] ?? ''}`
  await run('bash', ['-c', command], { env: { ...environment(), PATH: path, ETCDCTL_API: '3', ETCDCTL_ENDPOINTS: etcd.endpoint }, timeout: 10_000 })
}

t.test('changes of the registry are seen, with their revision', async t => {
  const etcd = await startEtcd(t)
  await etcd.put(key(A), '{"weight": 1}')
  const { gateway, page } = await open(t, { etcd: etcd.endpoint })
  const seen = async (what: string, revision: bigint, line: RegExp, row: (state: ReturnType<typeof rowOf>) => boolean, id = A): Promise<void> => {
    await until(async () => {
      const shown = await read(page)
      return row(rowOf(shown, 'shop', id)) && shown.timeline.some(text => line.test(text) && text.endsWith(`revision ${revision}`)) && shown.registry.includes(`revision ${revision} `)
    }, { ...SOON, what }).catch(async (error: Error) => { throw new Error(`${error.message}: ${JSON.stringify(await read(page))}`) })
    t.pass(what)
  }
  await seen('a new weight', await etcd.put(key(A), '{"weight": 7}'), /~ shop 10\.0\.0\.1:1 changed: weight 1 → 7/, row => row?.weight === '7 / 7')
  await seen('a new peer', await etcd.put(key(B), '{"weight": 1, "status": "drain"}'), /\+ shop 10\.0\.0\.2:1 registered/, row => row?.state === '▽ draining', B)
  await press(page, 'j')
  t.match(await page.evaluate('document.activeElement.textContent'), B)
  await seen('one that leaves', await etcd.del(key(B)), /− shop 10\.0\.0\.2:1 deregistered/, row => row === undefined, B)
  await until(async () => String(await page.evaluate('document.activeElement.textContent')) === A, { ...SOON, what: 'focus beside the one that has left' })
  const grant = await etcd.etcdctl('lease', 'grant', '60')
  const lease = /lease ([0-9a-f]+)/.exec(grant)?.[1] ?? ''
  await etcd.etcdctl('put', `--lease=${lease}`, key(B), '{}')
  await until(async () => rowOf(await read(page), 'shop', B) !== undefined, { ...SOON, what: 'peer with a lease' })
  await etcd.etcdctl('lease', 'revoke', lease)
  await until(async () => rowOf(await read(page), 'shop', B) === undefined, { ...SOON, what: 'end of its lease' })
  await etcd.del(key(A))
  await until(async () => (await read(page)).services.length === 0, { ...SOON, what: 'the end of the service' })
  await gateway.app.close()
  await until(async () => (await read(page)).title.includes('disconnected'), { what: 'the end of the gateway', timeout: 10_000 })
})

t.test('without etcd the registry is stale, and live when it is back', async t => {
  const etcd = await startEtcd(t)
  await etcd.put(key(A), '{"weight": 1}')
  const { page, registry } = await open(t, { etcd: etcd.endpoint })
  await until(async () => (await read(page)).title.startsWith('● all well'), { ...SOON, what: 'a good title' })
  const from = performance.now()
  await etcd.kill()
  await until(() => registry().state === 'stale', { timeout: 8000, what: 'stale registry' })
  const stale = await until(async () => {
    const shown = await read(page)
    return shown.title.includes('registry stale') && shown.registry.includes('▲ stale') && shown
  }, { timeout: 10_000, what: 'word of it on the page' })
  const after = performance.now() - from
  t.comment(`stale on the page after ${Math.round(after)} ms`)
  t.ok(after < 8000)
  t.match(stale.notices[0], /^The registry is stale etcd was last seen .* ago\)\. .*connection refused.* Requests go on to the peers below.*followed as soon as it answers again/i)
  t.match(rowOf(stale, 'shop', A)?.state, /healthy|unknown/)
  t.ok(stale.timeline.some(line => /▲ registry .*(stale|trouble)/.test(line)))
  await picture(page, 'stale')
  await etcd.restart()
  await until(async () => {
    const shown = await read(page)
    return shown.registry.includes('● live') && shown.notices.length === 0 && shown.title.startsWith('● all well')
  }, { timeout: 10_000, what: 'live registry on the page' })
})

t.test('before the registry was read, and by the snapshot file', async t => {
  const folder = await mkdtemp(join(tmpdir(), 'page-'))
  t.teardown(async () => { await rm(folder, { recursive: true, force: true }) })
  const snapshotFile = join(folder, 'peers')
  const port = await freePort()
  const etcd = { hosts: `http://127.0.0.1:${port}`, timeout: 500 }
  const start = { wait: 50, onFail: 'degraded' as const }
  const first = await open(t, { etcd, start })
  const syncing = await until(async () => {
    const shown = await read(first.page)
    return shown.registry.includes('◌ syncing') && shown.notices.length > 0 && shown
  }, { ...SOON, what: 'syncing' })
  t.match(syncing.title, '▲ registry syncing')
  t.match(syncing.notices, [/^The registry has not been read yet .*503 FST_UPSTREAM_NOT_READY.*connection refused.*nothing needs to be restarted/i])
  t.same(syncing.commands, [], 'nobody is told to register what may be there')
  await picture(first.page, 'syncing')

  const real = await startEtcd(t, { port })
  await until(async () => (await read(first.page)).registry.includes('● live'), { timeout: 10_000, what: 'live' })
  t.match((await read(first.page)).notices, [/^No service is registered/])
  const writer = await startGateway(t, { etcd, snapshotFile, check: false })
  await real.put(key(A), '{"weight": 3}')
  await until(() => writer.app.upstreams.status().totals.peers === 1, { what: 'peer' })
  await writer.app.close()
  await real.kill()
  const second = await open(t, { etcd, start, snapshotFile })
  const shown = await until(async () => {
    const shown = await read(second.page)
    return shown.registry.includes('▲ snapshot') && shown.notices.length === 1 && shown
  }, { ...SOON, what: 'snapshot' }).catch(async (error: Error) => { throw new Error(`${error.message}: ${JSON.stringify(await read(second.page))}`) })
  t.match(shown.title, '▲ registry snapshot')
  t.match(shown.notices, [/^Serving by the snapshot file etcd has not been read since this gateway started\..*The peers below are those of \d\d:\d\d:\d\dZ/])
  t.equal(rowOf(shown, 'shop', A)?.weight, '3 / 3')
  await real.restart()
  await until(async () => (await read(second.page)).registry.includes('● live'), { timeout: 10_000, what: 'live' })
})

const prefixes = ['/services/', '/it\'s a "test" $HOME `id` \\ !/', '/עברית \u202Eא/', '-x/']
t.test('an empty registry teaches the command that fills it', async t => {
  const etcd = await startEtcd(t)
  for (const keyPrefix of prefixes) {
    t.comment(`below ${JSON.stringify(keyPrefix)}`)
    const hostile = 'a\'b "c" $(touch x) ; \\n <i>&amp; \u202Eüñ'
    const { page } = await open(t, { etcd: etcd.endpoint, keyPrefix })
    const empty = await until(async () => {
      const shown = await read(page)
      return shown.commands.length === 1 && shown
    }, { ...SOON, what: 'command' })
    t.match(empty.notices, [/^No service is registered There is no peer below /])
    t.match(empty.title, '● no services')
    if (keyPrefix === '/services/') await picture(page, 'empty')
    await shell(String(empty.commands[0]), etcd)
    t.same([...await etcd.all(keyPrefix, 2000)], [[`${keyPrefix}my_service/127.0.0.1:8080`, '{"weight": 1}']])
    await until(async () => rowOf(await read(page), 'my_service', '127.0.0.1:8080') !== undefined, { ...SOON, what: 'the peer' })
    t.same((await read(page)).notices, [])

    // A service that settings alone name.
    await etcd.put(keyPrefix + hostile, '{"panic": 0.3}')
    const command = await until(async () => (await read(page)).commands[0], { ...SOON, what: 'lesson' })
    t.notMatch(command, '\u202E', 'what is copied is what is seen')
    await shell(command, etcd)
    t.ok((await etcd.all(keyPrefix, 2000)).has(`${keyPrefix}${hostile}/127.0.0.1:8080`))
    await until(async () => rowOf(await read(page), hostile, '127.0.0.1:8080') !== undefined, { ...SOON, what: 'the peer of the other service' })
  }
})
