import t, { type Test } from 'tap'
import { needBrowser, startBrowser } from '../fixtures/browser.js'
import { startEtcd } from '../fixtures/etcd.js'
import { startGateway, type TestGateway } from '../fixtures/gateway.js'
import { drawn, picture, press, read, rowOf } from '../fixtures/page.js'
import { refusedPort, startPeer } from '../fixtures/peer.js'
import { until } from '../fixtures/wait.js'

needBrowser(t)
const browser = await startBrowser(t)

/** Every text that can be seen: what it says and its contrast (WCAG 2) with what lies behind it. */
const CONTRASTS = `(() => {
  const canvas = Object.assign(document.createElement('canvas'), { width: 1, height: 1 }).getContext('2d', { willReadFrequently: true })
  const parse = color => {
    canvas.clearRect(0, 0, 1, 1)
    canvas.fillStyle = color
    canvas.fillRect(0, 0, 1, 1)
    return [...canvas.getImageData(0, 0, 1, 1).data].map(n => n / 255)
  }
  const over = ([r, g, b, a], under) => [r, g, b].map((n, i) => n * a + under[i] * (1 - a))
  const ground = element => element === null ? [1, 1, 1] : (([r, g, b, a]) => a === 1 ? [r, g, b] : over([r, g, b, a], ground(element.parentElement)))(parse(getComputedStyle(element).backgroundColor))
  const linear = n => n <= 0.04045 ? n / 12.92 : ((n + 0.055) / 1.055) ** 2.4
  const luminance = rgb => rgb.map(linear).reduce((sum, n, i) => sum + n * [0.2126, 0.7152, 0.0722][i], 0)
  const contrast = (color, element) => {
    const under = ground(element)
    const [a, b] = [luminance(over(parse(color), under)), luminance(under)].sort((a, b) => b - a)
    return (a + 0.05) / (b + 0.05)
  }
  const opacity = element => element === null ? 1 : Number(getComputedStyle(element).opacity) * opacity(element.parentElement)
  const found = []
  for (const element of document.querySelectorAll('body *')) {
    const own = [...element.childNodes].filter(node => node.nodeType === Node.TEXT_NODE).map(node => node.data.trim()).join('')
    if (own === '' || element.closest('noscript, option') !== null || !element.checkVisibility()) continue
    found.push([own, opacity(element) < 1 ? 0 : contrast(getComputedStyle(element).color, element)])
  }
  for (const element of document.querySelectorAll('input, select')) found.push([element.name + ' typed', contrast(getComputedStyle(element).color, element)])
  for (const element of document.querySelectorAll('input[placeholder]')) found.push([element.placeholder, contrast(getComputedStyle(element, '::placeholder').color, element)])
  return found
})()`

const WORDS = ['maintenance', 'draining', 'down', 'ejected', 'probing', 'warming', 'degraded', 'healthy', 'unknown']

/** A gateway with a peer in each state, services in each state, and a form. */
async function everyState (t: Pick<Test, 'teardown'>): Promise<TestGateway> {
  const etcd = await startEtcd(t)
  const hanging = await startPeer(t, { handler: () => {} })
  const refused = await refusedPort()
  const put = async (path: string, value: object = {}): Promise<bigint> => await etcd.put(`/services/${path}`, JSON.stringify(value))
  const check = { checkurl: '/up' }
  const first: Array<[path: string, value?: object]> = [
    ['all/10.0.0.1:1', { status: 'down' }], ['all/10.0.0.2:1', { status: 'drain' }], [`all/127.0.0.1:${refused}`, check], ['all/10.0.0.9:1'],
    ['failing/10.1.0.1:1'], ['failing/10.1.0.2:1'], ['failing/10.1.0.3:1'], ['failing/10.1.0.4:1'],
    [`gone/127.0.0.1:${refused}`, check],
    [`lost/127.0.0.1:${refused}`, check], ['lost/10.2.0.1:1'], [`lost/localhost:${refused}`, check],
    ['fine/10.3.0.1:1'], ['bad/no address:x']
  ]
  for (const one of first) await put(...one)
  const gateway = await startGateway(t, {
    etcd: etcd.endpoint,
    routes: [{ prefix: '/none', service: 'none' }],
    services: { all: { panic: 0 }, failing: { panic: 0 }, gone: { panic: 0 }, lost: { panic: 0.9 } },
    check: { timeout: 60_000, interval: 60_000, fall: 1 },
    outlier: { consecutive5xx: 5, baseEjection: 300_000 },
    inspect: { actions: { authorize: () => 'me' } }
  })
  // Those that are there at the start are not looked at as new ones.
  await put(`all/${hanging.id}`, check)
  await put('all/10.0.0.5:1', { slow_start: 3600 })
  // Peers of `failing`: one is ejected, one fails, the others do well; those of `all` that can be had are asked once.
  const { upstreams } = gateway.app
  for (let i = 0; i < 24; i++) {
    const picked = upstreams.pick('failing')
    const isBad = picked?.peer.id === '10.1.0.1:1' || (picked?.peer.id === '10.1.0.2:1' && i >= 16)
    picked?.done({ status: isBad ? 500 : 200, ms: 3 })
  }
  upstreams.pick('fine')?.done({ status: 200, ms: 3 })
  return gateway
}

for (const colorScheme of ['light', 'dark'] as const) {
  t.test(`all that is said can be read, ${colorScheme}`, async t => {
    const gateway = await everyState(t)
    const { page } = await browser.openPage(t, `${gateway.url}/_upstreams`, { colorScheme, viewport: { width: 1440, height: 900 } })
    await drawn(page)
    await until(async () => {
      const words = (await read(page)).services.flatMap(({ rows }) => rows.map(([, row]) => row.state?.slice(2)))
      return WORDS.every(word => words.includes(word))
    }, { timeout: 10_000, what: 'a peer in each state' }).catch(async (error: Error) => { throw new Error(`${error.message}: ${JSON.stringify((await read(page)).services.map(({ name, state, rows }) => [name, state, rows.map(([key, row]) => [key, row.state])]))}`) })
    const shown = await read(page)
    // Never by colour alone: each word has a glyph of its own.
    const glyphs = new Map(shown.services.flatMap(({ rows }) => rows.map(([, { state = '' }]) => [state.slice(2), state.slice(0, 1)])))
    t.equal(new Set(glyphs.values()).size, WORDS.length)
    t.same(new Set(shown.services.map(({ state }) => state)), new Set(['✕ down', '‼ panic', '▲ degraded', '○ empty', '● healthy']))
    await press(page, 'j', 'Enter')
    await page.locator('tr.detail dt').first().waitFor()
    await press(page, 'p', '?')
    await page.evaluate(`for (const tone of ['good', 'warn', 'bad', 'off', 'none']) {
      const [notice, line] = [document.querySelector('.notice').cloneNode(true), document.querySelector('#registry').cloneNode(true)]
      notice.className = 'notice ' + tone
      notice.prepend(Object.assign(document.createElement('strong'), { textContent: tone }))
      line.className = tone
      document.querySelector('#notices').append(notice, line)
    }`)
    const contrasts: Array<[string, number]> = await page.evaluate(CONTRASTS)
    t.ok(contrasts.length > 150, `${contrasts.length} texts`)
    t.same(contrasts.filter(([, contrast]) => contrast < 4.5), [])
    t.comment(`the least is ${Math.min(...contrasts.map(([, contrast]) => contrast)).toFixed(2)}`)
    await press(page, 'Escape')
    await picture(page, colorScheme === 'light' ? 'states' : 'dark')
  })
}

t.test('what is measured can be too little', async t => {
  const gateway = await startGateway(t, { peers: { shop: { '10.0.0.1:1': {} } }, check: false })
  const { page } = await browser.openPage(t, `${gateway.url}/_upstreams`)
  await drawn(page)
  await page.evaluate('document.querySelector("h1").style.color = "#888"; document.querySelector("#totals").style.opacity = 0.9')
  const contrasts: Array<[string, number]> = await page.evaluate(CONTRASTS)
  t.equal(contrasts.filter(([, contrast]) => contrast < 4.5).length, 2)
  t.match(contrasts.find(([text]) => text === 'Upstreams')?.[1].toFixed(2), /^3\.5/)
})

const LONG = 'x'.repeat(10_240)
const EVIL = '<img src=x onerror="window.hacked=1">'
const NAMES = [EVIL, '"><script>window.hacked=1</script>', '\' onmouseover=\'window.hacked=1', '__proto__', 'constructor', '\u202Egnp.exe\u2066', 'שירות עברי', 'خدمة عربية', `${LONG}-name`, '{{1}} <!-- --> &lt;b&gt;', '👩‍👩‍👧 é\u0301'.repeat(20), ' ']

t.test('whatever names say, they are text', async t => {
  const etcd = await startEtcd(t)
  const values = { params: { [EVIL]: EVIL, long: LONG, ['__proto__']: { x: 1 }, rtl: '\u202Etxet', '': '', nested: { a: [EVIL] } }, zone: EVIL }
  for (const [i, name] of NAMES.entries()) await etcd.put(`/services/${name}/10.0.0.${i + 1}:80`, JSON.stringify(values))
  await etcd.put('/services/odd/10.1.0.1:80', `{"status": "${EVIL.replaceAll('"', '\\"')}"}`)
  await etcd.put('/services/bad/not an address:x', '{}')
  await etcd.put(`/services/${EVIL}/${EVIL}:x`, EVIL)
  await etcd.put(`/services/bad/${LONG}:0`, '\u202E{')
  await etcd.put('/services/settings', `{"balancer": "${LONG}"}`)
  const gateway = await startGateway(t, { etcd: etcd.endpoint, check: false, inspect: { actions: { authorize: () => EVIL } } })
  for (const javaScriptEnabled of [false, true]) {
    for (const width of [1440, 800]) {
      const { page } = await browser.openPage(t, `${gateway.url}/_upstreams`, { javaScriptEnabled, viewport: { width, height: 900 }, expected: javaScriptEnabled && width === 1440 ? [/414/] : [] })
      let dialogs = 0
      page.on('dialog', dialog => { dialogs++; dialog.dismiss().catch(() => {}) })
      if (javaScriptEnabled) await drawn(page)
      const shown = await until(async () => {
        const shown = await read(page)
        return shown.services.length >= NAMES.length && shown
      }, { timeout: 10_000, what: 'all services' })
      for (const name of NAMES) {
        const section = shown.services.find(service => service.name === name)
        t.equal(section?.heading, name === ' ' ? '" "' : name.replaceAll(/[\u202A-\u202E\u2066-\u2069]/g, '�'), name.slice(0, 40))
        t.equal(section?.rows.length, 1)
      }
      t.match(shown.notices.join('\n'), /^\d+ keys hold something that cannot be used/)
      t.match(shown.notices.join('\n'), EVIL)
      const isWhole = async (): Promise<void> => {
        t.equal(await page.evaluate('document.documentElement.scrollWidth - document.documentElement.clientWidth'), 0, 'nothing sticks out to the right')
        t.equal(await page.evaluate('document.querySelectorAll("img, script:not([src]), b, i, [onerror], [onmouseover]").length'), 0)
        t.equal(await page.evaluate('window.hacked'), undefined)
        t.ok(await page.evaluate('document.querySelector("header").offsetHeight < innerHeight / 3'), 'the header leaves room')
        t.ok(await page.evaluate('[...document.querySelectorAll("tbody > tr[data-peer]")].every(({ offsetHeight }) => offsetHeight < 200)'), 'rows keep their measure')
      }
      await isWhole()
      if (!javaScriptEnabled) {
        await picture(page, `hostile-no-javascript-${width}`)
        continue
      }
      for (const name of [EVIL, '__proto__', 'constructor', '\u202Egnp.exe\u2066', 'שירות עברי', ...(width === 1440 ? [`${LONG}-name`] : [])]) {
        const id = `10.0.0.${NAMES.indexOf(name) + 1}:80`
        await page.locator(`tr[data-peer="http://${id}"] button`).click()
        const detail = page.locator(`tr[data-peer="http://${id}"] + tr.detail .parts`)
        if (name.length > 1000) {
          // Fastify's own bound for what stands in a path.
          await until(async () => /^status 414: .{20,300}$/.test(await detail.textContent() ?? ''), { what: 'why there is nothing' })
          continue
        }
        await until(async () => (await detail.textContent())?.includes(EVIL), { what: `params of ${name}` })
        t.match(await detail.textContent(), LONG.slice(0, 1000))
      }
      await isWhole()
      t.equal(await page.evaluate('[...document.querySelectorAll(".parts, form input")].filter(part => part.getBoundingClientRect().right > innerWidth).length'), 0, 'all of what is opened can be seen')
      await picture(page, `hostile-${width}`)
      t.equal(dialogs, 0)
    }
  }
  await etcd.put(`/services/${EVIL}/10.0.0.1:80`, '{"status": "down"}')
  await etcd.put('/services/__proto__/10.0.0.4:80', '{"status": "down"}')
  const { page } = await browser.openPage(t, `${gateway.url}/_upstreams`)
  await drawn(page)
  t.equal(rowOf(await read(page), '__proto__', '10.0.0.4:80')?.state, '■ maintenance')
})

t.test('a title with a hostile name', async t => {
  const name = `</title>${EVIL}\u202Ex`
  const gateway = await startGateway(t, { peers: { [name]: { '10.0.0.1:1': {}, '10.0.0.2:1': {} } }, check: false, outlier: { consecutive5xx: 3 } })
  const { page } = await browser.openPage(t, `${gateway.url}/_upstreams`)
  await drawn(page)
  for (let i = 0; i < 8; i++) {
    const picked = gateway.app.upstreams.pick(name)
    picked?.done({ status: picked.peer.id === '10.0.0.1:1' ? 500 : 200, ms: 1 })
  }
  const title = await until(async () => { const { title } = await read(page); return title.includes('degraded') && title }, { timeout: 10_000, what: 'title' })
  t.match(title, '▲ </title><img src=x onerror="')
  t.notMatch(title, '\u202E')
})
