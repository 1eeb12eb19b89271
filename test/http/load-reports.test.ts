import t, { type Test } from 'tap'
import { fetch } from 'undici'
import { startGateway, type TestGateway } from '../fixtures/gateway.js'
import { startPeer } from '../fixtures/peer.js'

const REPORT = 'TEXT cpu_utilization=0.25, rps_fractional=120, eps=2, named_metrics.queue=0.5'

async function stage (t: Test, loadReports: boolean, report = REPORT): Promise<TestGateway> {
  const peer = await startPeer(t, {
    handler: (_request, response) => response.writeHead(200, { 'endpoint-load-metrics': report, 'endpoint-load-metrics-bin': 'CgA=', 'x-other': '1' }).end('ok')
  })
  return await startGateway(t, { peers: { shop: { [peer.id]: {} } }, loadReports, routes: [{ prefix: '/', service: 'shop' }] })
}

const load = (gateway: TestGateway): unknown => gateway.app.upstreams.status().services[0]?.peers[0]?.load

t.test('a report is read, shown, and not handed on', async t => {
  const gateway = await stage(t, true)
  t.equal(load(gateway), null)
  const answer = await gateway.send('/')
  t.equal(answer.headers['endpoint-load-metrics'], undefined)
  t.equal(answer.headers['endpoint-load-metrics-bin'], undefined)
  t.equal(answer.headers['x-other'], '1')
  t.match(load(gateway), { cpuUtilization: 0.25, applicationUtilization: null, rps: 120, eps: 2, named: { queue: 0.5 }, weight: null, at: /^2/ })
  const { upstreams } = gateway.app
  const sent = await fetch(upstreams.origin('shop'), { dispatcher: upstreams.dispatcher })
  await sent.text()
  t.equal(sent.headers.get('endpoint-load-metrics'), null, 'nor by the dispatcher')
})

t.test('where nobody asked for reports they are a header like any other', async t => {
  const gateway = await stage(t, false)
  const answer = await gateway.send('/')
  t.equal(answer.headers['endpoint-load-metrics'], REPORT)
  t.equal(load(gateway), null)
})

t.test('a report that cannot be read changes nothing, and is not handed on either', async t => {
  for (const report of ['', 'x', 'TEXT', 'JSON {"cpu_utilization":1}', 'cpu_utilization=NaN', `cpu_utilization=1${','.repeat(5000)}`]) {
    const gateway = await stage(t, true, report)
    const answer = await gateway.send('/')
    t.equal(answer.status, 200)
    t.equal(answer.headers['endpoint-load-metrics'], undefined)
    t.equal(load(gateway), null, report.slice(0, 40))
  }
})
