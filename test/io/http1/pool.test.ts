import type { ServerResponse } from 'node:http'
import t from 'tap'
import { Asked, poolTo } from '../../fixtures/asked.js'
import { startPeer } from '../../fixtures/peer.js'
import { freePort } from '../../fixtures/port.js'
import { until } from '../../fixtures/wait.js'

const paths = (...paths: string[]): Array<{ path: string }> => paths.map(path => ({ path }))

/** A peer that holds its answers back, and a pool of at most `most` connections to it. */
async function begin (t: Parameters<typeof startPeer>[0], most: number) {
  const held = new Map<string, ServerResponse>()
  const order: string[] = []
  const peer = await startPeer(t, {
    handler: ({ url = '' }, response) => {
      order.push(url)
      held.set(url, response)
    }
  })
  const made = poolTo(peer.port, most)
  t.teardown(() => made.pool.destroy())
  const answer = async (path: string): Promise<void> => {
    await until(() => held.has(path), { what: `${path} at the peer` })
    held.get(path)?.end()
  }
  return { peer, pool: made.pool, order, answer, opened: () => made.opened }
}

/** Its status. */
const got = async (asked: Asked | undefined): Promise<number | undefined> => (await asked?.answered)?.status

t.test('the connection that was free last is taken first, and no more are opened than are needed', async t => {
  const { peer, pool, answer, opened } = await begin(t, 8)
  const asked = paths('/0', '/1', '/2').map(request => new Asked(pool, request))
  for (const i of [1, 0, 2]) {
    await answer(`/${i}`)
    t.equal(await got(asked[i]), 200)
  }
  const connections = asked.map(({ flow }) => flow)
  t.equal(new Set(connections).size, 3)
  const again = paths('/3', '/4').map(request => new Asked(pool, request))
  for (const path of ['/3', '/4']) await answer(path)
  t.same(await Promise.all(again.map(got)), [200, 200])
  t.same(again.map(({ flow }) => connections.indexOf(flow)), [2, 0])
  t.same([opened(), peer.connections], [3, 3])
})

t.test('who finds no connection waits in turn; who does not wait any more is passed over', async t => {
  const { peer, pool, order, answer, opened } = await begin(t, 2)
  const asked = Array.from({ length: 6 }, (_, i) => new Asked(pool, { path: `/${i}` }))
  const [, , third] = asked
  if (third !== undefined) third.isOver = true
  for (const i of [1, 0, 3, 4, 5]) await answer(`/${i}`)
  t.same(await Promise.all(asked.filter(one => one !== third).map(got)), [200, 200, 200, 200, 200])
  t.same(order.slice(2), ['/3', '/4', '/5'])
  t.same([opened(), peer.connections], [2, 2])
})

t.test('a request that is cut gives its connection to the next one', async t => {
  const { pool, answer } = await begin(t, 1)
  const [first, second] = paths('/0', '/1').map(request => new Asked(pool, request))
  await until(() => first?.flow, { what: 'the first request on its way' })
  first?.flow?.abort(new Error('enough'))
  await answer('/1')
  t.equal(await got(second), 200)
})

t.test('where nobody listens each one hears of it, those that wait too, and the next one tries anew', async t => {
  const port = await freePort()
  const made = poolTo(port, 2)
  const { pool } = made
  for (const round of [1, 2]) {
    const asked = Array.from({ length: 5 }, () => new Asked(pool, { path: '/' }))
    for (const { answered } of asked) await t.rejects(answered, { code: 'ECONNREFUSED' })
    t.equal(made.opened, 5 * round, 'each one tries for itself')
  }
  await startPeer(t, { port })
  t.equal(await got(new Asked(pool, { path: '/' })), 200)
  await pool.close()
})

t.test('what cannot be sent is told, and costs no connection', async t => {
  const { pool, answer, opened } = await begin(t, 1)
  await t.rejects(new Asked(pool, { path: 'no path' }).answered, { code: 'UND_ERR_INVALID_ARG' })
  const asked = new Asked(pool, { path: '/0' })
  await answer('/0')
  t.equal(await got(asked), 200)
  t.equal(opened(), 1)
})

t.test('closing waits for those under way and those that wait, idle connections close at once', async t => {
  const { peer, pool, answer } = await begin(t, 2)
  const asked = paths('/0', '/1', '/2').map(request => new Asked(pool, request))
  let isClosed = false
  const closed = pool.close().then(() => { isClosed = true })
  await answer('/0')
  t.equal(await got(asked[0]), 200)
  await answer('/1')
  t.equal(await got(asked[1]), 200)
  await until(() => peer.connections === 1, { what: 'the end of the connection that nobody needs' })
  t.notOk(isClosed)
  await answer('/2')
  t.equal(await got(asked[2]), 200)
  await closed
  await until(() => peer.connections === 0, { what: 'the end of the last connection' })
})

t.test('a pool closes although its last connection failed, and who waited has left; asked twice it closes once', async t => {
  const port = await freePort()
  const { pool } = poolTo(port, 1)
  const [refused, left] = [new Asked(pool, { path: '/' }), new Asked(pool, { path: '/' })]
  left.isOver = true
  const closed = pool.close()
  t.equal(pool.close(), closed)
  await t.rejects(refused.answered, { code: 'ECONNREFUSED' })
  await closed
})

t.test('a pool that nobody used closes, and one that is destroyed ends all that is under way', async t => {
  const { pool: unused } = await begin(t, 1)
  await unused.close()
  const { peer, pool } = await begin(t, 1)
  const asked = paths('/0', '/1').map(request => new Asked(pool, request))
  await until(() => peer.hits === 1, { what: 'a request at the peer' })
  const closed = pool.close()
  pool.destroy()
  for (const { answered } of asked) await t.rejects(answered, /the connections to this peer were closed/)
  await closed
  await until(() => peer.connections === 0, { what: 'the end of the connection' })
})
