import t, { type Test } from 'tap'
import type { Page } from 'playwright-core'
import { startActions } from '../fixtures/actions.js'
import { needBrowser, startBrowser } from '../fixtures/browser.js'
import { startGateway, type TestGateway } from '../fixtures/gateway.js'
import { drawn, press, read, rowOf } from '../fixtures/page.js'
import { until } from '../fixtures/wait.js'

needBrowser(t)
const browser = await startBrowser(t)

const peers = { aaa: { '10.0.0.1:1': {}, '10.0.0.2:1': {}, '10.0.0.3:1': {} }, bbb: { '10.1.0.1:1': {}, '10.1.0.2:1': {} } }

async function open (t: Pick<Test, 'teardown'>, gateway: TestGateway): Promise<Page> {
  const { page } = await browser.openPage(t, `${gateway.url}/_upstreams`, { viewport: { width: 1200, height: 500 } })
  await drawn(page)
  return page
}

/** What has the focus, in words: the peer of a row's button, the name of a field, or what it is called. */
async function focused (page: Page): Promise<string> {
  return await page.evaluate(`(() => {
    const { activeElement: at } = document
    const row = at.closest('tr')
    if (at.matches('.peer button')) return row.dataset.peer.slice(7)
    return at === document.body ? 'nothing' : at.id || at.name || at.getAttribute('aria-label') || at.textContent
  })()`)
}

/** Whether what has the focus has an outline, and nothing covers it. */
async function isSeen (page: Page): Promise<boolean> {
  return await page.evaluate(`(() => {
    const { activeElement: at } = document
    const { left, top, bottom, width, height } = at.getBoundingClientRect()
    const over = document.elementFromPoint(left + Math.min(10, width / 2), (top + bottom) / 2)
    return width > 0 && height > 0 && top >= 0 && bottom <= innerHeight && (at === over || at.contains(over)) && getComputedStyle(at).outlineStyle !== 'none' && parseFloat(getComputedStyle(at).outlineWidth) >= 2
  })()`)
}

/** Resolves when figures have been drawn after now. */
async function nextFigures (page: Page): Promise<void> {
  await page.evaluate(`(() => {
    window.isDrawn = false
    const seen = new MutationObserver(() => { seen.disconnect(); requestAnimationFrame(() => requestAnimationFrame(() => { isDrawn = true })) })
    seen.observe(document.querySelector('main'), { subtree: true, childList: true, characterData: true })
  })()`)
  await until(async () => await page.evaluate<boolean>('isDrawn'), { timeout: 10_000, what: 'new figures' })
}

/** One request comes and ends at a peer. */
function use (gateway: TestGateway, service: string, outcome: { status: number, ms: number } | { error: 'connect', ms: number } = { status: 200, ms: 1 }): void {
  gateway.app.upstreams.pick(service)?.done(outcome)
}

t.test('rows are gone through, opened and closed by keys', async t => {
  const gateway = await startGateway(t, { peers, check: false })
  const page = await open(t, gateway)
  await press(page, 'j')
  t.equal(await focused(page), '10.0.0.1:1')
  t.ok(await isSeen(page))
  await press(page, 'j', 'ArrowDown', 'j')
  t.equal(await focused(page), '10.1.0.1:1', 'on to the next service')
  await press(page, 'k', 'ArrowUp')
  t.equal(await focused(page), '10.0.0.2:1')
  await press(page, 'Enter')
  const detail = page.locator('tr.detail')
  await detail.locator('dt', { hasText: 'revision' }).waitFor()
  t.equal(await page.getAttribute('tr[data-peer="http://10.0.0.2:1"] button', 'aria-expanded'), 'true')
  t.equal(await focused(page), '10.0.0.2:1', 'the focus stays at what opened it')
  await press(page, 'j', 'k', 'Escape')
  await detail.waitFor({ state: 'detached' })
  t.equal(await page.getAttribute('tr[data-peer="http://10.0.0.2:1"] button', 'aria-expanded'), 'false')
  t.equal(await focused(page), '10.0.0.2:1')
  await press(page, 'k', 'k', 'k')
  t.equal(await focused(page), '10.0.0.1:1', 'there is none before the first')
  await press(page, 'Escape', 'k')
  t.equal(await focused(page), '10.1.0.2:1', 'from nowhere up is from the end')
  t.ok(await isSeen(page))
  for (let i = 0; i < 6; i++) {
    await press(page, 'k')
    t.ok(await isSeen(page), 'the header never covers what has the focus')
  }
})

t.test('the filter', async t => {
  const gateway = await startGateway(t, { peers: { ...peers, zzz: { '10.0.0.1:2': { status: 'drain' } } }, check: false })
  const page = await open(t, gateway)
  await press(page, '/')
  t.equal(await focused(page), 'filter')
  t.equal(await page.inputValue('#filter'), '', 'the key itself is not typed')
  const rows = async (): Promise<string[]> => (await read(page)).services.filter(({ hidden }) => !hidden).flatMap(({ rows }) => rows.map(([key]) => key.slice(7)))
  await page.keyboard.type('10.0 :1')
  t.same(await rows(), ['10.0.0.1:1', '10.0.0.2:1', '10.0.0.3:1'])
  await nextFigures(page)
  t.same(await rows(), ['10.0.0.1:1', '10.0.0.2:1', '10.0.0.3:1'], 'figures bring none back')
  t.equal(await page.inputValue('#filter'), '10.0 :1', 'letters that are keys elsewhere are letters here')
  t.equal((await read(page)).timeline.filter(line => !/10\.0\.0\..:1/.test(line)).length, 0)
  await press(page, 'Escape')
  t.equal(await page.locator('#timeline .news').count(), 0, 'what was only hidden is no news')
  t.equal((await rows()).length, 6)
  await page.keyboard.type('DRAINING')
  t.same(await rows(), ['10.0.0.1:2'])
  await press(page, 'Escape', 'Escape')
  t.equal(await focused(page), 'nothing')
  await press(page, '/')
  await page.keyboard.type('bbb')
  t.same(await rows(), ['10.1.0.1:1', '10.1.0.2:1'])
  await press(page, 'Escape', 'Escape', 't')
  t.ok(await page.evaluate('document.activeElement.matches("#timeline ol")'))
  t.ok(await isSeen(page))
  await press(page, '?')
  t.ok(await page.evaluate('document.querySelector("dialog").open'))
  t.match(await page.textContent('dialog'), /filter.*pause.*next, previous peer/)
  await press(page, 'j', 'p')
  t.equal(await page.getAttribute('#pause', 'aria-pressed'), 'false', 'keys of the page rest while help is open')
  await press(page, 'Escape')
  t.notOk(await page.evaluate('document.querySelector("dialog").open'))
  t.ok(await page.evaluate('document.activeElement.matches("#timeline ol")'), 'and the focus is back')
})

t.test('figures stand still while the page is paused', async t => {
  const gateway = await startGateway(t, { peers, check: false })
  const page = await open(t, gateway)
  const traffic = setInterval(() => use(gateway, 'aaa'), 20)
  t.teardown(() => clearInterval(traffic))
  await until(async () => Number(rowOf(await read(page), 'aaa', '10.0.0.1:1')?.rps) > 0, { timeout: 10_000, what: 'figures' })
  await press(page, 'p')
  await until(async () => (await read(page)).title.includes('paused'), { timeout: 10_000, what: 'word in the title' })
  const still = async () => {
    const { services, totals, registry, timeline } = await read(page)
    return { services, totals, registry, timeline }
  }
  const before = await still()
  t.match((await read(page)).link, /^‖ Paused\. Press p to go on\. The figures are those of \d\d:\d\d:\d\dZ, \d\.\d s ago\.$/)
  await gateway.app.upstreams.drain('aaa', '10.0.0.2:1')
  // The page hears of it, and that it is older and older.
  await until(async () => /, [2-9]\.\d s ago/.test((await read(page)).link), { timeout: 10_000, what: 'age' })
  t.same(await still(), before)
  await press(page, 'p')
  await until(async () => {
    const shown = await read(page)
    return rowOf(shown, 'aaa', '10.0.0.2:1')?.state === '▽ draining' && shown.link === '' && !shown.title.includes('paused')
  }, { timeout: 10_000, what: 'what came meanwhile' })
})

t.test('whatever moves, the focus stays', async t => {
  const gateway = await startGateway(t, { peers, check: false, outlier: false })
  const page = await open(t, gateway)
  const at = async (): Promise<[string, boolean]> => [await focused(page), await isSeen(page)]
  await press(page, 'j', 'j', 'j')
  t.same(await at(), ['10.0.0.3:1', true])
  await page.evaluate('window.blurs = 0; document.activeElement.addEventListener("blur", () => { blurs++ })')
  const order = async (): Promise<string[]> => (await read(page)).services.find(({ name }) => name === 'aaa')?.rows.map(([key]) => key.slice(7)) ?? []
  await gateway.app.upstreams.drain('aaa', '10.0.0.3:1')
  await until(async () => (await order())[0] === '10.0.0.3:1', { timeout: 10_000, what: 'it at the top' })
  t.same(await at(), ['10.0.0.3:1', true], 'its row has moved up')
  gateway.app.upstreams.recover('aaa', '10.0.0.3:1')
  await until(async () => (await order())[2] === '10.0.0.3:1', { timeout: 10_000, what: 'it at the end' })
  t.same(await at(), ['10.0.0.3:1', true], 'and down')
  for (const id of ['10.1.0.1:1', '10.1.0.2:1']) await gateway.app.upstreams.drain('bbb', id)
  for (const id of ['10.0.0.1:1', '10.0.0.2:1', '10.0.0.3:1']) await gateway.app.upstreams.drain('aaa', id)
  await until(async () => (await read(page)).services.every(({ state }) => state.includes('empty')), { timeout: 10_000, what: 'both empty' })
  for (const id of ['10.1.0.1:1', '10.1.0.2:1']) gateway.app.upstreams.recover('bbb', id)
  gateway.app.upstreams.recover('aaa', '10.0.0.1:1')
  await nextFigures(page)
  t.same(await at(), ['10.0.0.3:1', true])
  t.equal(await page.evaluate('blurs'), 0, 'it has never been away')
})

t.test('a filter does not take away what is in use', async t => {
  const gateway = await startGateway(t, { peers, check: false, outlier: false })
  const page = await open(t, gateway)
  await gateway.app.upstreams.drain('aaa', '10.0.0.3:1')
  await press(page, '/')
  await page.keyboard.type('draining')
  await until(async () => (await read(page)).services[0]?.rows.length === 1, { timeout: 10_000, what: 'the one that fits' })
  await page.locator('#filter').blur()
  await press(page, 'j')
  t.equal(await focused(page), '10.0.0.3:1')
  gateway.app.upstreams.recover('aaa', '10.0.0.3:1')
  await until(async () => rowOf(await read(page), 'aaa', '10.0.0.3:1')?.state !== '▽ draining', { timeout: 10_000, what: 'its end' })
  t.equal(await focused(page), '10.0.0.3:1')
  await page.evaluate('document.activeElement.blur()')
  await until(async () => (await read(page)).services.every(({ hidden }) => hidden), { timeout: 10_000, what: 'nothing that fits' })
})

t.test('what is typed into the form stays', async t => {
  const { gateway } = await startActions(t, { peers, outlier: false })
  const page = await open(t, gateway)
  await press(page, 'j', 'j', 'Enter')
  const reason = page.locator('tr.detail input[name=reason]')
  await reason.waitFor()
  await reason.focus()
  const text = 'jk/pt? new disks, please'
  for (const [i, sign] of [...text].entries()) {
    await page.keyboard.type(sign)
    if (i === 5) await gateway.app.upstreams.drain('aaa', '10.0.0.2:1')
    if (i === 10) await nextFigures(page)
    if (i === 15) {
      gateway.app.upstreams.recover('aaa', '10.0.0.2:1')
      await nextFigures(page)
    }
  }
  t.equal(await reason.inputValue(), text)
  t.equal(await focused(page), 'reason')
  t.equal((await read(page)).link, '', 'p did not pause')
  await press(page, 'Escape')
  t.equal(await page.locator('tr.detail').count(), 0)
  t.equal(await focused(page), '10.0.0.2:1', 'Escape closes, and the focus goes to the row')
})

t.test('Tab goes from top to bottom, through everything that can be used', async t => {
  const { gateway } = await startActions(t, { peers: { aaa: peers.aaa } })
  const page = await open(t, gateway)
  await press(page, 'j', 'Enter')
  await page.locator('tr.detail dt').first().waitFor()
  await press(page, 'Escape', 'Enter')
  await page.locator('tr.detail form').waitFor()
  await page.evaluate('document.activeElement.blur(); getSelection().removeAllRanges(); scrollTo(0, 0)')
  await page.mouse.click(600, 5)
  const seen: string[] = []
  for (let i = 0; i < 24; i++) {
    await press(page, 'Tab')
    const at = await focused(page)
    if (seen.includes(at)) break
    seen.push(at)
    if (at !== 'nothing') t.ok(await page.evaluate('(() => { const s = getComputedStyle(document.activeElement); return s.outlineStyle !== "none" && parseFloat(s.outlineWidth) >= 2 })()'), `${at} can be seen to have the focus`)
  }
  const wanted = ['filter', 'pause', 'Keys', /registered/, 'shop', 'aaa', '10.0.0.1:1', 'status', 'weight', 'scope', 'minutes', 'reason', 'force', 'Do it', 'Check now', '10.0.0.2:1', '10.0.0.3:1']
  t.match(seen.slice(0, wanted.length), wanted)
})
