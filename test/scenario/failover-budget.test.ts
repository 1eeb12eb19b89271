import t from 'tap'
import type { UpstreamEtcdOptions } from '../../lib/index.js'
import { startGateway, type Answer } from '../fixtures/gateway.js'
import { startPeer, type PeerOptions } from '../fixtures/peer.js'

type T = Parameters<typeof startGateway>[0]

const RATIO = 0.2
const PER_SECOND = 10
const WINDOW = 10

/** Three peers that all do the same, and `count` requests to them, thirty at a time. */
async function ask (t: T, count: number, handler: NonNullable<PeerOptions['handler']>, retry: UpstreamEtcdOptions['retry'] = {}) {
  const peers = [await startPeer(t, { handler }), await startPeer(t, { handler }), await startPeer(t, { handler })]
  const { send, app } = await startGateway(t, {
    peers: { shop: Object.fromEntries(peers.map(({ id }) => [id, {}])) },
    routes: [{ prefix: '/', service: 'shop' }],
    // Nothing but the budget protects them.
    outlier: false,
    ...(retry !== undefined && { retry })
  })
  const answers: Answer[] = []
  let left = count
  await Promise.all(Array.from({ length: 30 }, async () => { while (left-- > 0) answers.push(await send('/x')) }))
  const attempts = peers.reduce((sum, { hits }) => sum + hits, 0)
  const told = app.upstreams.status().services[0]
  return { peers, attempts, answers, told }
}

const refusing: NonNullable<PeerOptions['handler']> = (_request, response) => {
  response.writeHead(503, { 'content-type': 'text/x-own', 'x-own': 'yes' }).end('the words of the peer')
}

t.test('peers that all answer 503 never get more than the budget, and all of it', async t => {
  const count = 600
  const { attempts, answers, peers } = await ask(t, count, refusing)
  const most = Math.floor(count * (1 + RATIO) + PER_SECOND * WINDOW)
  t.ok(attempts <= most, `${count} requests became ${attempts} attempts, ${most} are allowed`)
  t.ok(attempts >= most - 2, 'and they were used')
  t.ok(peers.every(({ hits }) => hits < count), `${peers.map(({ hits }) => hits).join(', ')}`)
  t.equal(answers.length, count)
  for (const { status, headers, body } of answers) {
    if (status !== 503 || headers['x-own'] !== 'yes' || headers['content-type'] !== 'text/x-own' || body !== 'the words of the peer') {
      t.fail(`the first answer stands: ${status} ${body}`)
    }
  }
})

t.test('peers that all reset: the same bound', async t => {
  const count = 300
  const { attempts, answers, told } = await ask(t, count, request => { request.socket.resetAndDestroy() })
  const most = Math.floor(count * (1 + RATIO) + PER_SECOND * WINDOW)
  t.ok(attempts <= most && attempts >= most - 2, `${count} requests became ${attempts} attempts, ${most} are allowed`)
  t.same(new Set(answers.map(({ status }) => status)), new Set([502]))
  t.equal(told?.peers.reduce((sum, { errors }) => sum + errors.reset, 0), attempts)
  t.notMatch(answers.map(({ body }) => body).join(), /127\.0\.0\.1/)
})

t.test('other budgets: none at all, a share alone, a reserve alone', async t => {
  const table: Array<[UpstreamEtcdOptions['retry'], number, number]> = [
    [{ budget: { ratio: 0, perSecond: 0 } }, 100, 100],
    [{ budget: { ratio: 0.5, perSecond: 0 } }, 100, 150],
    [{ budget: { ratio: 0, perSecond: 3 } }, 100, 130],
    [{ budget: { ratio: 10, perSecond: 100 } }, 100, 300],
    [{ attempts: 1, budget: { ratio: 10, perSecond: 100 } }, 100, 200],
    [false, 100, 100]
  ]
  for (const [retry, count, expected] of table) {
    const { attempts, answers } = await ask(t, count, refusing, retry)
    t.ok(attempts <= expected && attempts >= expected - 2, `${JSON.stringify(retry)}: ${count} requests became ${attempts} attempts`)
    t.equal(answers.filter(({ body }) => body === 'the words of the peer').length, count)
  }
})
