import t from 'tap'
import { startGateway, type TestGateway } from '../fixtures/gateway.js'
import { startPeer } from '../fixtures/peer.js'
import { until } from '../fixtures/wait.js'

interface Line {
  readonly level: number
  readonly msg: string
  readonly verdict?: { readonly action: string, readonly cause: string, readonly peer: string | null }
}

/** A log that is kept, from `info` up, without the lines about requests that Fastify writes by itself. */
function logger () {
  const lines: Line[] = []
  return {
    lines,
    server: {
      disableRequestLogging: true,
      logger: {
        level: 'info',
        stream: { write: (text: string) => { lines.push(JSON.parse(text) as Line) } }
      }
    }
  }
}

async function events ({ send }: TestGateway): Promise<string[]> {
  const { events } = JSON.parse((await send('/_upstreams/services/shop')).body) as { events: Array<{ event: string, cause: string | null, reason: string | null }> }
  return events.filter(({ cause }) => cause !== null).map(({ event, reason }) => `${event}, ${reason}`)
}

const outlier = { consecutive5xx: 3, interval: 100, baseEjection: 300, maxEjection: 300 }

t.test('a line for each change of state, and none for a request', async t => {
  const peers = await Promise.all([0, 1, 2, 3, 4, 5].map(async () => await startPeer(t)))
  const { lines, server } = logger()
  const gateway = await startGateway(t, {
    peers: { shop: Object.fromEntries(peers.map(({ id }) => [id, {}])) },
    routes: [{ prefix: '/', service: 'shop' }],
    outlier: { ...outlier, baseEjection: 60_000, maxEjection: 60_000, maxEjected: 0.2 },
    panic: 0,
    retry: false
  }, () => {}, server)
  lines.length = 0
  const [dead, kept] = peers
  const told = () => lines.filter(({ verdict }) => verdict !== undefined)
  // One of six may be out: the second that fails is kept, fails on under load, and is told of once.
  dead?.setStatus(500)
  await gateway.sendMany(18, '/')
  kept?.setStatus(503)
  for (let i = 0; i < 300; i += 10) await Promise.all(Array.from({ length: 10 }, async () => await gateway.send('/')))
  t.ok(kept !== undefined && (kept.counts.get(503) ?? 0) > 50, `${kept?.counts.get(503)} failures`)
  t.equal(told().filter(({ verdict }) => verdict?.action === 'spare').length, 1)
  t.match(told().slice(0, 2), [
    { level: 40, msg: `shop ${dead?.id}: eject, 3 requests in a row answered with 5xx`, verdict: { cause: 'consecutive_5xx' } },
    { level: 40, msg: `shop ${kept?.id}: spare, 3 requests in a row answered with 5xx; kept because 1 of 6 peers are ejected already`, verdict: { cause: 'consecutive_5xx' } }
  ])
  t.same(told().map(({ msg }) => msg.slice(msg.indexOf(': ') + 2)), await events(gateway), 'as the service\'s own page has it')
  t.equal(lines.length, 2, 'and nothing else was said')
})

t.test('a peer that flaps is told of when it goes and when it comes, whatever the load', async t => {
  const peers = await Promise.all([0, 1, 2].map(async () => await startPeer(t)))
  const { lines, server } = logger()
  const gateway = await startGateway(t, {
    peers: { shop: Object.fromEntries(peers.map(({ id }) => [id, {}])) },
    routes: [{ prefix: '/', service: 'shop' }],
    outlier: { ...outlier, baseEjection: 50, maxEjection: 50 },
    retry: false
  }, () => {}, server)
  lines.length = 0
  const [flapping] = peers
  let requests = 0
  for (let i = 0; i < 40; i++) {
    flapping?.setStatus(i % 2 === 0 ? 500 : 200)
    await Promise.all(Array.from({ length: 15 }, async () => await gateway.send('/')))
    requests += 15
  }
  const actions = lines.flatMap(({ verdict }) => verdict === undefined ? [] : [verdict.action])
  t.ok(actions.includes('eject'))
  // It goes out at most once in a turn of its mood, comes back by a probe, or goes out again by one.
  t.ok(actions.length <= 3 * 40, `${actions.length} lines for ${requests} requests`)
  for (const [i, action] of actions.entries()) {
    const before = actions[i - 1]
    const may = action === 'eject' ? [undefined, 'probe', 'restore'] : action === 'probe' ? ['eject'] : ['probe']
    t.ok(may.includes(before), `${before}, then ${action}`)
  }
  t.equal(lines.length, actions.length, 'and nothing else was said')
})

t.test('panic is told when it begins and when it is over', async t => {
  const peers = await Promise.all([0, 1, 2, 3, 4].map(async () => await startPeer(t)))
  const { lines, server } = logger()
  const gateway = await startGateway(t, {
    peers: { shop: Object.fromEntries(peers.map(({ id }) => [id, {}])) },
    check: { path: '/up', interval: 40, fall: 1, rise: 1 },
    routes: [{ prefix: '/', service: 'shop' }],
    outlier: false
  }, () => {}, server)
  const panics = () => lines.filter(({ verdict }) => verdict?.peer === null).map(({ level, msg }) => [level, msg.replace(/[3-5] of/, 'n of')])
  for (const peer of peers.slice(0, 3)) peer.setStatus(503)
  await until(() => panics().length === 1, { what: 'the panic in the log' })
  t.same(panics(), [[40, 'shop: panic, only 2 of 5 peers are healthy, so health is ignored']])
  await gateway.sendMany(20, '/')
  for (const peer of peers) peer.setStatus(200)
  await until(() => panics().length === 2, { what: 'its end in the log' })
  t.same(panics()[1], [30, 'shop: panic is over, n of 5 peers are healthy'])
  t.match((await events(gateway)).filter(event => /^panic|^calm/.test(event)), ['panic, only 2 of 5 peers are healthy, so health is ignored', /^calm, [3-5] of 5 peers are healthy/])
})
