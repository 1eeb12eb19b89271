import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { startEtcd } from '../fixtures/etcd.js'
import { parseMetrics, valueOf, type Family } from '../fixtures/exposition.js'
import { find } from '../fixtures/find-etcd.mjs'
import { startGateway } from '../fixtures/gateway.js'
import { startPeer } from '../fixtures/peer.js'
import { until } from '../fixtures/wait.js'

const PREFIX = 'fastify_upstream_'
const folder = fileURLToPath(new URL('../../example/monitoring/', import.meta.url))
const promtool = find('promtool')
const noTool = promtool === null && 'promtool is not there'

function read (name: string): string {
  return readFileSync(new URL(`../../${name}`, import.meta.url), 'utf8')
}

/** What promtool says of a file, or of what it is given. */
function ask (args: string[], input?: string): { status: number | null, said: string } {
  const { status, stdout, stderr } = spawnSync(promtool ?? '', args, { cwd: folder, encoding: 'utf8', ...(input !== undefined && { input }) })
  return { status, said: `${stdout}${stderr}` }
}

/** Metrics of a gateway to which everything has happened that makes series: two peers fail, of which a guard keeps one. */
async function everything (t: Pick<Test, 'teardown'>): Promise<string> {
  const [etcd, good, bad, worse] = [await startEtcd(t), await startPeer(t), await startPeer(t, { status: 500 }), await startPeer(t, { status: 500 })]
  await etcd.putAll(new Map([good, bad, worse].map(({ id }) => [`/services/shop/${id}`, ''])))
  const gateway = await startGateway(t, {
    etcd: etcd.endpoint,
    routes: [{ prefix: '/shop', service: 'shop' }, { prefix: '/empty', service: 'empty' }],
    outlier: { consecutive5xx: 1, maxEjected: 0 },
    check: { path: '/', interval: 50, status: [[200, 599]] }
  })
  await gateway.sendMany(10, '/shop')
  await gateway.send('/empty')
  return await until(async () => {
    const { body } = await gateway.send('/_upstreams/metrics')
    const families = parseMetrics(body)
    const isAll = ['peer_ejections_total', 'peer_spared_total'].every(name => families.has(PREFIX + name)) &&
      valueOf(families, 'request_duration_seconds_count', { service: 'shop' }) === 10 &&
      [good, bad, worse].every(({ id }) => (valueOf(families, 'health_checks_total', { peer: id, result: 'ok' }) ?? 0) > 0)
    return isAll && body
  }, { what: 'all that may happen' })
}

/** Sample names → the labels that they come with. */
function labelsOf (families: Map<string, Family>): Map<string, Set<string>> {
  const labels = new Map<string, Set<string>>()
  for (const { samples } of families.values()) {
    for (const sample of samples) labels.set(sample.name, new Set([...labels.get(sample.name) ?? [], ...Object.keys(sample.labels)]))
  }
  return labels
}

t.test('what /metrics writes', async t => {
  const body = await everything(t)
  const families = parseMetrics(body)
  const labels = labelsOf(families)

  await t.test('promtool has nothing to object', { skip: noTool }, async t => {
    t.same(ask(['check', 'metrics'], body), { status: 0, said: '' })
    t.not(ask(['check', 'metrics'], 'a_total 1\n').said, '', 'it would say so')
  })

  await t.test('docs/metrics.md is the table of it, and of nothing else', async t => {
    const rows = [...read('docs/metrics.md').matchAll(/^\| `(\w+)` \| (counter|gauge|histogram) \| ([^|]*)\|/gm)]
    const documented = rows.map(([, name = '', type = '', told = '']) => `${PREFIX}${name} ${type} ${[...told.matchAll(/`(\w+)`/g)].map(([, label]) => label).sort().join()}`)
    const written = [...families].map(([name, { type, samples }]) => {
      const own = new Set(samples.flatMap(({ labels }) => Object.keys(labels).filter(label => type !== 'histogram' || label !== 'le')))
      return `${name} ${type} ${[...own].sort().join()}`
    })
    t.ok(written.length > 20)
    t.same(documented.sort(), written.sort())
  })

  for (const file of ['alerts.yml', 'alerts.test.yml', 'dashboard.json']) {
    await t.test(`example/monitoring/${file} asks for nothing else`, async t => {
      const text = read(`example/monitoring/${file}`).replaceAll('\\"', '"')
      const used = [...text.matchAll(/(fastify_upstream_\w+)(?:\{([^{}]*)\})?/g)]
      t.ok(used.length > 10)
      for (const [, name = '', selector = ''] of used) {
        t.ok(labels.has(name), name)
        for (const [, label = ''] of selector.matchAll(/(\w+)[!=]~?"/g)) t.ok(label === 'instance' || labels.get(name)?.has(label), `${name}{${label}}`)
      }
    })
  }
})

t.test('the dashboard can be imported, and shows every metric', async t => {
  interface Panel { id: number, title: string, gridPos: { x: number, y: number, w: number, h: number }, targets: Array<{ expr: string, legendFormat: string }> }
  const dashboard = JSON.parse(read('example/monitoring/dashboard.json')) as { uid: string, title: string, panels: Panel[] }
  t.match(dashboard, { uid: 'fastify-upstream-etcd', title: 'fastify-upstream-etcd' })
  const { panels } = dashboard
  t.equal(new Set(panels.map(({ id }) => id)).size, panels.length)
  const cells = new Set<string>()
  for (const { title, gridPos: { x, y, w, h }, targets } of panels) {
    t.ok(targets.length > 0 && x + w <= 24, title)
    for (let i = x; i < x + w; i++) for (let j = y; j < y + h; j++) t.ok(!cells.has(`${i} ${j}`) && cells.add(`${i} ${j}`), `${title} has its place`)
    // What a legend names must be left by the aggregation.
    for (const { expr, legendFormat } of targets) {
      const kept = [...expr.matchAll(/by \(([^)]*)\)/g)].flatMap(([, labels = '']) => labels.split(', '))
      for (const [, label = ''] of legendFormat.matchAll(/\{\{(\w+)\}\}/g)) t.ok(kept.includes(label), `${title}: ${label}`)
    }
  }
  const shown = read('example/monitoring/dashboard.json')
  const names = [...read('docs/metrics.md').matchAll(/^\| `(\w+)` \| (?:counter|gauge|histogram) \|/gm)].map(([, name]) => name)
  t.same(names.filter(name => !shown.includes(`${PREFIX}${name}`)), [])
})

t.test('what promtool says of the rules and the scrape configuration', { skip: noTool }, async t => {
  t.match(ask(['check', 'rules', 'alerts.yml']), { status: 0, said: /SUCCESS: \d+ rules found/ })
  t.match(ask(['test', 'rules', 'alerts.test.yml']), { status: 0, said: /SUCCESS/ })
  t.match(ask(['check', 'config', 'prometheus.yml']), { status: 0 })
  t.match(ask(['check', 'rules', 'dashboard.json']), { status: 1 }, 'it would say so')
  const [alerts, tests] = [read('example/monitoring/alerts.yml'), read('example/monitoring/alerts.test.yml')]
  for (const [, alert = ''] of alerts.matchAll(/- alert: (\w+)/g)) t.match(tests, `alertname: ${alert}`, `it is tested when ${alert} fires`)
})

t.test('the expressions of the dashboard are PromQL', { skip: noTool }, async t => {
  const { panels } = JSON.parse(read('example/monitoring/dashboard.json')) as { panels: Array<{ targets: Array<{ expr: string }> }> }
  const rules = panels.flatMap(({ targets }) => targets).map(({ expr }, i) => ({ record: `panel:${i}`, expr: expr.replaceAll('$__rate_interval', '1m') }))
  t.ok(rules.length > 20)
  // JSON is YAML.
  const made = t.testdir({ 'rules.yml': JSON.stringify({ groups: [{ name: 'dashboard', rules }] }) })
  const { status, said } = ask(['check', 'rules', `${made}/rules.yml`])
  t.equal(status, 0, said)
})
