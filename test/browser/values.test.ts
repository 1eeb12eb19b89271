import { once } from 'node:events'
import { connect } from 'node:net'
import t, { type Test } from 'tap'
import type { Page } from 'playwright-core'
import { needBrowser, startBrowser } from '../fixtures/browser.js'
import { startGateway, type TestGateway } from '../fixtures/gateway.js'
import { drawn, picture, read, rowOf, type Shown, type ShownRow } from '../fixtures/page.js'
import { refusedPort, startPeer } from '../fixtures/peer.js'
import { until } from '../fixtures/wait.js'

needBrowser(t)
const browser = await startBrowser(t)

type Status = ReturnType<TestGateway['app']['upstreams']['status']>
type Peer = Status['services'][number]['peers'][number]

/** Whether a text that was rounded for people is this number. `step` is half of what the last digit stands for. */
function near (text: string | undefined, value: number | null, step: number): boolean {
  return value === null ? text === '–' : text !== undefined && /^-?[\d.]+$/.test(text) && Math.abs(Number(text) - value) <= step + 1e-9
}

/** A figure has three significant places, or is whole. */
const figure = (text: string | undefined, value: number): boolean => near(text, value, Math.abs(value) >= 100 ? 0.5 : Math.abs(value) * 0.005)
const percent = (text: string | undefined, share: number | null): boolean => share === null ? text === '–' : near(text?.replace(/ %$/, ''), share * 100, 0.05)
const ms = (text: string | undefined, value: number | null): boolean => near(text, value, value !== null && value < 10 ? 0.05 : 0.5)
const clock = (iso: string): string => `${iso.slice(11, 19)}Z`

/** What of a peer's row is not what the JSON says. */
function rowFaults (row: ShownRow | undefined, peer: Peer, rps: number): string[] {
  if (row === undefined) return ['no row']
  const split = (name: string): string[] => (row[name] ?? '').split(' / ')
  const [effective, configured] = split('weight')
  const [share, expected] = split('share')
  const [p50, p90, p99] = split('latency')
  const { check, reason, since, until: end, latencyMs } = peer
  const checks = check === null ? row.check === '–' : (row.check ?? '').startsWith(check.ok ? `✓ ${check.status ?? 'connected'} in ` : `✕ ${check.status ?? 'failed'}`) && / ago$/.test(row.check ?? '')
  const right: Record<string, boolean> = {
    state: /^\S \w+$/.test(row.state ?? '') && row.state?.slice(2) === peer.state,
    peer: row.peer === peer.id,
    effective: figure(effective, peer.weight.effective),
    configured: figure(configured, peer.weight.configured),
    share: percent(share, peer.weight.share),
    expected: percent(expected, peer.weight.expectedShare),
    inflight: row.inflight === String(peer.inflight),
    rps: rate(row.rps, peer.rps, rps),
    errors: percent(row.errors, peer.errorRate),
    p50: ms(p50, latencyMs.p50),
    p90: ms(p90, latencyMs.p90),
    p99: ms(p99, latencyMs.p99),
    check: checks,
    reason: (row.why ?? '').startsWith(reason === null ? 'since ' : `${reason} · since `),
    since: row.why?.includes(`since ${clock(since)}`) === true,
    until: end === null ? row.why?.includes('until') === false : row.why?.includes(`until ${clock(end)}`) === true
  }
  return Object.keys(right).filter(name => right[name] !== true)
}

/** A gateway's first minute is short: a rate falls while nothing happens. */
const rate = (text: string | undefined, before: number, after: number): boolean =>
  figure(text, before) || figure(text, after) || (Number(text) <= before && Number(text) >= after)

/** What of the page is not what the JSON said before, in words; of rates it may be what it said `after`, or anything between. */
function faults (shown: Shown, { services, totals, registry }: Status, after: Status | null = null): string[] {
  const found: string[] = []
  if (shown.services.length !== services.length) found.push('number of services')
  for (const [i, service] of services.entries()) {
    const later = after?.services[i] ?? service
    const section = shown.services.find(({ name }) => name === service.name)
    const [, eligible, total, balancer, rps, errors, p50, p90, p99, inflight] = /^(\d+) of (\d+) peers eligible · (\S+) · (\S+) req\/s · errors (.+?) · p50 (\S+) · p90 (\S+) · p99 (\S+) ms · (\d+) in flight$/.exec(section?.facts ?? '') ?? []
    const right: Record<string, boolean> = {
      state: section?.state.slice(2) === service.state,
      reason: section?.reason === (service.reason ?? ''),
      eligible: eligible === String(service.peersEligible),
      total: total === String(service.peersTotal),
      rows: section?.rows.length === service.peersTotal,
      balancer: balancer === service.balancer,
      rps: rate(rps, service.rps, later.rps),
      errors: percent(errors, service.errorRate),
      p50: ms(p50, service.latencyMs.p50),
      p90: ms(p90, service.latencyMs.p90),
      p99: ms(p99, service.latencyMs.p99),
      inflight: inflight === String(service.inflight)
    }
    found.push(...Object.keys(right).filter(name => right[name] !== true).map(name => `${service.name}: ${name} (${JSON.stringify(section)})`))
    for (const [j, peer] of service.peers.entries()) {
      const row = rowOf(shown, service.name, peer.id)
      found.push(...rowFaults(row, peer, later.peers[j]?.rps ?? peer.rps).map(fault => `${service.name} ${peer.id}: ${fault} (${JSON.stringify(row)} for ${JSON.stringify(peer)})`))
    }
  }
  const [, s, e, p, rps, inflight] = /^(\d+) services? · (\d+) of (\d+) peers eligible · (\S+) req\/s · (\d+) in flight$/.exec(shown.totals) ?? []
  if (s !== String(totals.services) || e !== String(totals.peersEligible) || p !== String(totals.peers) || inflight !== String(totals.inflight) || !rate(rps, totals.rps, after?.totals.rps ?? totals.rps)) found.push(`totals (${shown.totals} for ${JSON.stringify(totals)})`)
  if (!shown.registry.includes(registry.state)) found.push('registry')
  return found
}

async function ask (gateway: TestGateway): Promise<Status> {
  return JSON.parse((await gateway.send('/_upstreams')).body) as Status
}

/** Resolves when nothing on the page is otherwise than in the JSON; rejects with what is. Figures come once a second. */
async function agrees (gateway: TestGateway, page: Page): Promise<void> {
  let found: string[] = ['nothing was compared']
  await until(async () => {
    const status = await ask(gateway)
    found = faults(await read(page), status)
    return found.length === 0
  }, { timeout: 10_000 }).catch(() => { throw new Error(found.join('\n')) })
}

/** Two services, one with a peer that fails at times, one with a peer that refuses; traffic has come and stopped, but for one request. */
async function afterTraffic (t: Pick<Test, 'teardown'>) {
  const good = await startPeer(t)
  let n = 0
  const bad = await startPeer(t, { handler: (request, response) => { response.writeHead(request.url === '/up' ? 200 : ++n % 3 === 0 ? 500 : n % 5 === 0 ? 404 : 200).end() } })
  const hanging = await startPeer(t, { handler: (request, response) => { if (request.url !== '/hang') response.end() } })
  const refused = `127.0.0.1:${await refusedPort()}`
  const gateway = await startGateway(t, {
    peers: {
      shop: { [good.id]: { weight: 3, checkurl: '/up' }, [bad.id]: { weight: 2.5, checkurl: '/up' }, '127.0.0.1:9': { status: 'drain' } },
      orders: { [hanging.id]: { weight: 1000, slow_start: 600 }, [refused]: { checkurl: '/up' } },
      none: {}
    },
    routes: [{ prefix: '/shop', service: 'shop', rewritePrefix: '/' }, { prefix: '/orders', service: 'orders', rewritePrefix: '/' }, { prefix: '/none', service: 'none' }],
    retry: false,
    outlier: false,
    check: { interval: 300_000, fall: 1, rise: 1 }
  })
  await until(() => gateway.app.upstreams.status().services.flatMap(({ peers }) => peers).filter(({ check }) => check !== null).length === 3, { what: 'first checks' })
  await gateway.sendMany(60, '/shop')
  await gateway.sendMany(10, '/orders')
  const socket = connect(Number(new URL(gateway.url).port), '127.0.0.1')
  t.teardown(() => socket.destroy())
  await once(socket, 'connect')
  socket.write('GET /orders/hang HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n')
  await until(() => hanging.requests.some(({ url }) => url === '/hang'), { what: 'the request that stays' })
  return { gateway, good, bad, hanging, refused }
}

t.test('the page says what the JSON says, with JavaScript and without', async t => {
  const { gateway, good, bad, hanging } = await afterTraffic(t)
  const { page } = await browser.openPage(t, `${gateway.url}/_upstreams`, { viewport: { width: 1440, height: 900 } })
  await drawn(page)
  await agrees(gateway, page)
  const shown = await read(page)
  t.equal(rowOf(shown, 'orders', hanging.id)?.inflight, '1', 'one is under way')
  t.match(shown.services.map(({ state }) => state), [/down|degraded|panic/, /degraded|healthy|empty/, /.*/])

  for (const peer of [good, bad]) {
    const row = page.locator(`tr[data-peer="http://${peer.id}"]`)
    await row.locator('button').click()
    const told = await until(async () => await page.evaluate<Array<[string, string]>>(`[...document.querySelectorAll('tr[data-peer="http://${peer.id}"] + tr.detail .parts > div:first-child dt')].map(dt => [dt.textContent, dt.nextElementSibling.textContent])`).then(all => all.length > 0 && all), { what: 'detail' })
    const counted = new Map(peer.counts)
    // A check is no traffic.
    counted.set(200, (counted.get(200) ?? 0) - peer.requests.filter(({ url }) => url === '/up').length)
    t.same(new Map(told), new Map([...counted].map(([code, count]) => [String(code), String(count)])), 'the peer has counted the same')
  }
  await picture(page, 'light')

  const before = await ask(gateway)
  const { page: still } = await browser.openPage(t, `${gateway.url}/_upstreams`, { javaScriptEnabled: false, viewport: { width: 1440, height: 900 } })
  t.same(faults(await read(still), before, await ask(gateway)), [])
  t.match(await still.textContent('noscript'), /^As of .*Z\. With JavaScript/)
  await picture(still, 'no-javascript')
})

t.test('what is compared can differ', async t => {
  const { gateway } = await afterTraffic(t)
  const before = await ask(gateway)
  const { page } = await browser.openPage(t, `${gateway.url}/_upstreams`, { javaScriptEnabled: false })
  const shown = await read(page)
  const after = await ask(gateway)
  const other = (change: (status: Status) => void): string[] => {
    const [a, b] = structuredClone([before, after]) as [Status, Status]
    change(a)
    change(b)
    return faults(shown, a, b)
  }
  t.same(other(() => {}), [])
  const peers = (copy: Status): Peer[] => copy.services.flatMap(({ peers }) => peers)
  for (const [what, count, change] of [
    ['rps', 5, copy => { for (const peer of peers(copy)) peer.rps += 100 }],
    ['state', 5, copy => { for (const peer of peers(copy)) peer.state = 'probing' }],
    ['share', 5, copy => { for (const peer of peers(copy)) peer.weight.share = 0.123 }],
    ['totals', 1, copy => { copy.totals.inflight++ }]
  ] as Array<[string, number, (copy: Status) => void]>) t.equal(other(change).length, count, what)
})

t.test('an ejection is seen within 2 s, with reason and end, and so is its end; trouble comes first', async t => {
  const [a, b, other] = [await startPeer(t), await startPeer(t), await startPeer(t)]
  const gateway = await startGateway(t, {
    peers: { aaa: { [other.id]: {} }, shop: { [a.id]: {}, [b.id]: {} } },
    routes: [{ prefix: '/aaa', service: 'aaa' }, { prefix: '/shop', service: 'shop' }],
    retry: false,
    panic: 0,
    outlier: { consecutive5xx: 3, baseEjection: 3000, interval: 100 },
    check: false
  })
  const { page } = await browser.openPage(t, `${gateway.url}/_upstreams`)
  await drawn(page)
  await gateway.sendMany(4, '/aaa')
  await gateway.sendMany(4, '/shop')
  await until(async () => (await read(page)).title.startsWith('● all well'), { timeout: 10_000, what: 'good title' })
  t.same((await read(page)).services.map(({ name }) => name), ['aaa', 'shop'])

  b.setStatus(500)
  await until(async () => {
    await gateway.sendMany(2, '/shop')
    return gateway.app.upstreams.status().services[1]?.peers.some(({ state }) => state === 'ejected')
  }, { what: 'the ejection' })
  const from = performance.now()
  const shown = await until(async () => {
    const shown = await read(page)
    return rowOf(shown, 'shop', b.id)?.state === '⊘ ejected' && shown.services[0]?.name === 'shop' && /▲ shop degraded/.test(shown.title) && shown
  }, { timeout: 2000, what: 'ejection on the page' })
  t.comment(`seen after ${Math.round(performance.now() - from)} ms`)
  t.match(rowOf(shown, 'shop', b.id)?.why, /3 .*5xx.* · since \d\d:\d\d:\d\dZ .*, until \d\d:\d\d:\d\dZ \(in \d\.\d s\)/)
  t.match(shown.services[0]?.rows[0]?.[0], b.id, 'it is the first of its service')
  t.match(shown.timeline.find(line => line.includes('ejected')), new RegExp(`⊘ shop ${b.id} ejected: .*5xx.* · until \\d\\d:\\d\\d:\\d\\dZ`))
  t.match(shown.services[0]?.state, '▲ degraded')

  b.setStatus(200)
  await until(async () => {
    await gateway.sendMany(2, '/shop')
    return gateway.app.upstreams.status().services[1]?.peers.every(({ state }) => state === 'healthy')
  }, { what: 'its return' })
  const after = await until(async () => {
    const shown = await read(page)
    // Services are put in order when all of them are drawn, a frame or two after the row.
    return rowOf(shown, 'shop', b.id)?.state === '● healthy' && shown.title.startsWith('● all well') && shown.services[0]?.name === 'aaa' && shown
  }, { timeout: 10_000, what: 'return on the page, and to its place' })
  // What was said after it is how the service is by then.
  t.ok(after.timeline.slice(0, 2).some(line => line.includes('back in')), 'the return is told')
})
