import t from 'tap'
import { needBrowser, screenshot, startBrowser } from '../fixtures/browser.js'
import { busy, frames, type Frames } from '../fixtures/many.js'
import { drawn, press, read } from '../fixtures/page.js'
import { until } from '../fixtures/wait.js'

needBrowser(t)
const browser = await startBrowser(t)

/** What stands in the column of rates, of all rows. */
const RATES = '[...document.querySelectorAll("td.rps")].map(td => td.textContent)'

t.test('1,000 peers that are all busy', async t => {
  const { url } = await busy(t, 1000)
  const { page } = await browser.openPage(t, `${url}/_upstreams`, { viewport: { width: 1440, height: 900 } })
  await drawn(page)
  await until(async () => (await page.evaluate<string[]>(RATES)).filter(rate => Number(rate) > 0).length === 1000, { timeout: 10_000, what: 'a rate of each' })
  const shown = await read(page)
  t.equal(shown.services.length, 10)
  t.equal(new Set(shown.services.flatMap(({ rows }) => rows.map(([key]) => key))).size, 1000)

  // What each row is called by its picture counts a minute: it is another one each second.
  const pictures = '[...document.querySelectorAll("td.spark svg")].map(svg => svg.getAttribute("aria-label"))'
  for (let second = 0; second < 3; second++) {
    const before = await page.evaluate<string[]>(pictures)
    const from = performance.now()
    await until(async () => (await page.evaluate<string[]>(pictures)).every((text, i) => text !== before[i]), { timeout: 10_000, what: 'other figures in each row' })
    t.comment(`all rows are new after ${Math.round(performance.now() - from)} ms`)
  }
  for (const scrolls of [false, true]) {
    const { frames: count, late, longestFrame, longestTask } = await page.evaluate<Frames>(frames(5000, scrolls))
    t.comment(`${scrolls ? 'scrolling' : 'idle'}: ${count} frames, ${late} over 50 ms, the longest ${longestFrame.toFixed(1)} ms, the longest task ${longestTask.toFixed(1)} ms`)
    t.ok(count >= 50, 'there are frames')
    // Against a page that hangs: other tests run beside this one, on few cores. How smooth it is, `npm run bench:page` measures.
    t.ok(late <= 0.25 * count, `${late} of ${count} frames are late`)
  }
  await page.evaluate('scrollTo(0, 0)')
  await press(page, '/')
  await page.keyboard.type('service-007 .42:')
  t.same((await read(page)).services.filter(({ hidden }) => !hidden).flatMap(({ rows }) => rows.map(([key]) => key)), ['http://10.0.7.42:80'])
  await press(page, 'Escape')
  await page.screenshot({ path: await screenshot(page, 'thousand') })
})
