/**
 * `npm run screenshot`: the pictures of the page, light and dark, and of one peer. A gateway on an etcd of its own, with real peers
 * and real requests: some peers do well, one begins to fail, one is down, one is new, one is drained by hand.
 */
import { createServer, type Server } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import Fastify from 'fastify'
import { chromium } from 'playwright-core'
import upstreamEtcd from '../../lib/index.js'
import { startEtcd } from '../../test/fixtures/etcd.js'
import { find, howToInstall } from '../../test/fixtures/find-chromium.mjs'
import { freePort } from '../../test/fixtures/port.js'

const PREFIX = '/v1/production/services/'
const folder = new URL('../../docs/figures/', import.meta.url)
const ends: Array<() => unknown> = []
const atEnd = { teardown: (end: () => unknown): void => { ends.unshift(end) } }

/** A peer that answers within about `ms`; what it answers may change while it runs. */
async function startPeer (host: string, port: number, ms: number): Promise<{ status: number, checked: number }> {
  const peer = { status: 200, checked: 200 }
  const server: Server = createServer((request, response) => {
    response.statusCode = request.url === '/health' ? peer.checked : peer.status
    setTimeout(() => response.end('ok'), ms * (0.5 + Math.random()))
  })
  await new Promise<void>(resolve => server.listen(port, host, resolve))
  atEnd.teardown(() => { server.closeAllConnections(); server.close() })
  return peer
}

async function show (executablePath: string): Promise<void> {
  const port = await freePort()
  const etcd = await startEtcd(atEnd)
  const register = async (service: string, host: string, value: object): Promise<void> => {
    await etcd.put(`${PREFIX}${service}/${host}:${port}`, JSON.stringify({ checkurl: '/health', ...value }))
  }
  const peers = new Map<string, { status: number, checked: number }>()
  for (const [service, host, weight, ms] of [
    ['shop', '127.0.1.11', 5, 8], ['shop', '127.0.1.12', 5, 12], ['shop', '127.0.1.13', 3, 10], ['shop', '127.0.1.15', 3, 9],
    ['orders', '127.0.2.11', 1, 25], ['orders', '127.0.2.12', 1, 30], ['orders', '127.0.2.13', 1, 28], ['search', '127.0.3.11', 2, 4], ['search', '127.0.3.12', 2, 5]
  ] as const) {
    peers.set(host, await startPeer(host, port, ms))
    await register(service, host, { weight, params: { rack: Number(host.slice(-1)), build: '4f1c2e9' } })
  }
  const app = Fastify()
  atEnd.teardown(async () => await app.close())
  await app.register(upstreamEtcd, {
    etcd: etcd.endpoint,
    keyPrefix: PREFIX,
    check: { interval: 1000, timeout: 500 },
    inspect: { actions: { authorize: () => 'alice' } },
    routes: ['shop', 'orders', 'search', 'mail'].map(service => ({ prefix: `/${service}`, service }))
  })
  const url = await app.listen({ port: 0, host: '127.0.0.1' })
  const traffic = setInterval(() => {
    for (const [service, n] of [['shop', 4], ['orders', 2], ['search', 1]] as const) {
      for (let i = 0; i < n; i++) fetch(`${url}/${service}/`).then(async answer => await answer.arrayBuffer()).catch(() => {})
    }
  }, 50)
  atEnd.teardown(() => clearInterval(traffic))
  await sleep(40_000)
  peers.set('127.0.1.14', await startPeer('127.0.1.14', port, 9))
  await register('shop', '127.0.1.14', { weight: 4, slow_start: 60 })
  await fetch(`${url}/_upstreams/services/shop/peers/127.0.1.15:${port}`, {
    method: 'PATCH',
    headers: { 'content-type': 'application/json', 'x-upstreams-action': '1' },
    body: JSON.stringify({ status: 'drain', reason: 'new disk', for: 600_000 })
  })
  await sleep(6000)
  Object.assign(peers.get('127.0.2.12') ?? {}, { checked: 503 })
  Object.assign(peers.get('127.0.1.13') ?? {}, { status: 500 })
  await sleep(6000)
  const browser = await chromium.launch({ executablePath, chromiumSandbox: process.getuid?.() !== 0 })
  atEnd.teardown(async () => await browser.close())
  for (const colorScheme of ['light', 'dark'] as const) {
    const page = await browser.newPage({ viewport: { width: 1440, height: 1180 }, colorScheme })
    const shoot = async (name: string): Promise<void> => {
      await page.screenshot({ path: new URL(name, folder).pathname })
      console.log(`docs/figures/${name}`)
    }
    await page.goto(`${url}/_upstreams`)
    await page.locator('.peer button').first().waitFor()
    await shoot(`page-${colorScheme}.png`)
    if (colorScheme === 'dark') continue
    const row = page.locator('[data-service=shop] tr[data-peer]', { hasText: 'ejected' })
    await row.locator('button').click()
    await page.locator('.parts h3').first().waitFor()
    await row.locator('button').evaluate('button => { button.blur(); button.scrollIntoView() ; scrollBy(0, -140) }')
    await shoot('page-peer.png')
  }
}

const executablePath = find()
if (executablePath === null) {
  console.error(howToInstall)
  process.exitCode = 1
} else {
  try {
    await show(executablePath)
  } finally {
    for (const end of ends) await end()
  }
}
