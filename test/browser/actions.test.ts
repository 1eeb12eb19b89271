import t from 'tap'
import type { Page } from 'playwright-core'
import { startActions } from '../fixtures/actions.js'
import { needBrowser, startBrowser } from '../fixtures/browser.js'
import { startEtcd } from '../fixtures/etcd.js'
import { startGateway } from '../fixtures/gateway.js'
import { drawn, picture, press, read, rowOf } from '../fixtures/page.js'
import { startPeer } from '../fixtures/peer.js'
import { until } from '../fixtures/wait.js'

needBrowser(t)
const browser = await startBrowser(t)
const [A, B] = ['10.0.0.1:1', '10.0.0.2:1']
const SOON = { timeout: 10_000 }

/** Opens a peer's row, and fills the form below it in. */
async function form (page: Page, peer: string) {
  const row = page.locator(`tr[data-peer="http://${peer}"]`)
  await row.locator('button').click()
  const form = page.locator(`tr[data-peer="http://${peer}"] + tr.detail form`)
  await form.waitFor()
  const said = form.locator('[role=status]')
  return {
    form,
    /** Fills in, sends by Enter, and gives what is said then. */
    act: async (fields: Record<string, string | boolean>, expected: RegExp): Promise<string> => {
      for (const [name, value] of Object.entries(fields)) {
        const field = form.locator(`[name=${name}]`)
        if (typeof value === 'boolean') await field.setChecked(value)
        else if (name === 'status' || name === 'scope') await field.selectOption(value)
        else await field.fill(value)
      }
      await form.locator('[type=submit]').press('Enter')
      return await until(async () => {
        const text = await said.textContent() ?? ''
        return expected.test(text) && text
      }, { timeout: 10_000, what: `answer ${String(expected)}` }).catch(async (error: Error) => { throw new Error(`${error.message}: ${await said.textContent()}`) })
    }
  }
}

t.test('without actions there is no form', async t => {
  const gateway = await startGateway(t, { peers: { shop: { [A]: {} } }, check: false })
  const { page } = await browser.openPage(t, `${gateway.url}/_upstreams`)
  await drawn(page)
  await press(page, 'j', 'Enter')
  await page.locator('tr.detail dt').first().waitFor()
  t.equal(await page.locator('tr.detail form').count(), 0)
})

t.test('on this gateway', async t => {
  const peer = await startPeer(t)
  const { gateway, actions } = await startActions(t, { peers: { shop: { [peer.id]: { checkurl: '/up' }, [A]: {}, [B]: {} } }, check: { interval: 300_000, jitter: 0 } })
  const { page } = await browser.openPage(t, `${gateway.url}/_upstreams`, { expected: [/40[09]/], viewport: { width: 1440, height: 900 } })
  await drawn(page)
  const seen = async (what: string, id: string, line: RegExp, fits: (row: NonNullable<ReturnType<typeof rowOf>>) => boolean): Promise<void> => {
    await until(async () => {
      const shown = await read(page)
      const row = rowOf(shown, 'shop', id)
      return row !== undefined && fits(row) && shown.timeline.some(text => line.test(text))
    }, { ...SOON, what }).catch(async (error: Error) => { throw new Error(`${error.message}: ${JSON.stringify(await read(page))}`) })
    t.pass(what)
  }
  const first = await form(page, A)
  t.match(await first.act({}, /Refused/), /^Refused \(400\): .*is needed/)
  t.match(await first.act({ status: 'drain', reason: 'new disks', minutes: '5' }, /Done/), 'Done: it is draining.')
  await seen('drained', A, /✎ shop 10\.0\.0\.1:1 drain on this gateway by alice: new disks · until/, row => row.state === '▽ draining' && /^drained by alice: new disks · since .*, until .* \(in 5 min\)$/.test(row.why ?? ''))
  t.match(await first.act({ status: 'up', reason: '' }, /Done/), /it is (?:healthy|unknown)/)
  await seen('back', A, /up on this gateway by alice/, row => /healthy|unknown/.test(row.state ?? ''))
  t.match(await first.act({ status: '', weight: '0.5' }, /Done/), /Done: it is (?:healthy|unknown)/)
  await seen('weighed', A, /weight 0\.5 on this gateway by alice/, row => row.weight === '0.5 / 1')
  t.match(await first.act({ status: 'down', weight: '' }, /maintenance/), 'Done: it is maintenance.')
  await seen('down', A, /down on this gateway by alice/, row => row.state === '■ maintenance')
  await picture(page, 'actions')

  const own = await form(page, peer.id)
  const hits = peer.hits
  await own.form.locator('button', { hasText: 'Check now' }).click()
  await until(async () => (await own.form.locator('[role=status]').textContent())?.startsWith('Done'), { ...SOON, what: 'the check' })
  t.equal(peer.hits, hits + 1, 'it was asked once')
  await seen('checked', peer.id, /check by alice/, row => /^✓ 200 in .*, \d\.\d s ago$/.test(row.check ?? ''))

  const second = await form(page, B)
  await second.act({ status: 'down' }, /Done/)
  t.match(await own.act({ status: 'drain' }, /Refused/), /^Refused \(409\): it is the last peer of its service/)
  t.match(await own.act({ force: true }, /Done/), 'Done: it is draining.')
  await seen('by force', peer.id, /drain on this gateway, by force by alice/, row => row.state === '▽ draining')
  await own.form.locator('[name=minutes]').fill('')
  const count = actions().length
  await own.form.locator('[type=submit]').press('Enter')
  t.equal(await own.form.locator('[name=minutes]:invalid').count(), 1, 'no length of time is made up')
  t.equal(actions().length, count)
  t.ok(actions().every(({ action }) => action.by === 'alice'))
})

t.test('a refusal is said', async t => {
  let isAllowed = true
  const { gateway } = await startActions(t, { peers: { shop: { [A]: {}, [B]: {} } } }, { actions: { authorize: () => isAllowed && '<b>bob</b>\u202E' } })
  const { page } = await browser.openPage(t, `${gateway.url}/_upstreams`, { expected: [/403|ERR_FAILED/] })
  await drawn(page)
  const { act } = await form(page, A)
  await act({ status: 'drain', reason: '<img src=x onerror=alert(1)>' }, /Done/)
  await until(async () => (await read(page)).timeline.find(line => line.includes('by <b>bob</b>�: <img src=x onerror=alert(1)>')), { ...SOON, what: 'line with who and why, as text' })
  isAllowed = false
  t.equal(await act({ status: 'up' }, /Refused/), 'Refused (403): not authorized')
  await page.route('**/peers/**', async route => { await route.abort('failed') })
  t.match(await act({ status: 'up' }, /not be sent/), /^It could not be sent: /)
})

t.test('in the registry', async t => {
  const etcd = await startEtcd(t)
  const prefix = '/services/shop/'
  await etcd.put(prefix + A, '{"weight": 2, "mine": true}')
  await etcd.put(prefix + B, '{}')
  const { gateway } = await startActions(t, { etcd: etcd.endpoint })
  const { page } = await browser.openPage(t, `${gateway.url}/_upstreams`)
  await drawn(page)
  const { act } = await form(page, A)
  await act({ weight: '5', scope: 'registry' }, /Done/)
  await until(async () => {
    const shown = await read(page)
    return rowOf(shown, 'shop', A)?.weight === '5 / 5' && shown.timeline.some(line => /✎ shop 10\.0\.0\.1:1 weight 5 in the registry by alice/.test(line)) && shown.timeline.some(line => /~ shop 10\.0\.0\.1:1 changed: weight 2 → 5 · revision \d+/.test(line))
  }, { ...SOON, what: 'the new weight' })
  t.same(JSON.parse((await etcd.all(prefix, 2000)).get(prefix + A) ?? ''), { weight: 5, mine: true })
})
