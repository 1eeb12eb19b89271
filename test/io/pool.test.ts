import type { ServerResponse } from 'node:http'
import t from 'tap'
import { Client } from 'undici'
import { Pool, type Lane, type Passenger } from '../../lib/io/pool.js'
import { startPeer } from '../fixtures/peer.js'
import { freePort } from '../fixtures/port.js'
import { until } from '../fixtures/wait.js'

/** One GET through a pool; settles with the status or the error. */
class Asked implements Passenger {
  lane: Lane | null = null
  isOver = false
  status = 0
  readonly answered: Promise<number>
  abort: ((error: Error) => void) | null = null
  #resolve: (status: number) => void = () => {}
  #reject: (error: Error) => void = () => {}

  constructor (pool: Pool, path: string) {
    this.answered = new Promise((resolve, reject) => { [this.#resolve, this.#reject] = [resolve, reject] })
    this.answered.catch(() => {})
    pool.dispatch({ path, method: 'GET' }, this)
  }

  onConnect (abort: (error?: Error) => void): void { this.abort = abort }
  onHeaders (status: number): boolean { this.status = status; return true }
  onData (): boolean { return true }

  onComplete (): void {
    this.lane?.free(this)
    this.isOver = true
    this.#resolve(this.status)
  }

  onError (error: Error): void {
    this.lane?.freeLater(this)
    this.isOver = true
    this.#reject(error)
  }
}

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
  let opened = 0
  const pool = new Pool(() => {
    opened++
    return new Client(`http://${peer.id}`)
  }, most)
  t.teardown(() => pool.destroy())
  const answer = async (path: string): Promise<void> => {
    await until(() => held.has(path), { what: `${path} at the peer` })
    held.get(path)?.end()
  }
  return { peer, pool, order, answer, opened: () => opened }
}

t.test('the connection that was free last is taken first, and no more are opened than are needed', async t => {
  const { peer, pool, answer, opened } = await begin(t, 8)
  const asked = ['/0', '/1', '/2'].map(path => new Asked(pool, path))
  const lanes = asked.map(({ lane }) => lane)
  t.equal(new Set(lanes).size, 3)
  for (const i of [1, 0, 2]) {
    await answer(`/${i}`)
    t.equal(await asked[i]?.answered, 200)
  }
  const again = ['/3', '/4'].map(path => new Asked(pool, path))
  t.same(again.map(({ lane }) => lanes.indexOf(lane)), [2, 0])
  for (const path of ['/3', '/4']) await answer(path)
  t.same(await Promise.all(again.map(({ answered }) => answered)), [200, 200])
  t.same([opened(), peer.connections], [3, 3])
})

t.test('who finds no connection waits in turn; who does not wait any more is passed over', async t => {
  const { peer, pool, order, answer, opened } = await begin(t, 2)
  const asked = Array.from({ length: 6 }, (_, i) => new Asked(pool, `/${i}`))
  const [, , third] = asked
  if (third !== undefined) third.isOver = true
  for (const i of [1, 0, 3, 4, 5]) await answer(`/${i}`)
  t.same(await Promise.all(asked.filter(one => one !== third).map(({ answered }) => answered)), [200, 200, 200, 200, 200])
  t.same(order.slice(2), ['/3', '/4', '/5'])
  t.same([opened(), peer.connections], [2, 2])
})

t.test('a request that is cut gives its connection to the next one', async t => {
  const { pool, answer } = await begin(t, 1)
  const [first, second] = ['/0', '/1'].map(path => new Asked(pool, path))
  await until(() => first?.abort, { what: 'the first request on its way' })
  first?.abort?.(new Error('enough'))
  await t.rejects(Promise.resolve(first?.answered), /enough/)
  await answer('/1')
  t.equal(await second?.answered, 200)
})

t.test('where nobody listens each one hears of it, those that wait too, and the next one tries anew', async t => {
  const port = await freePort()
  let opened = 0
  const pool = new Pool(() => {
    opened++
    return new Client(`http://127.0.0.1:${port}`)
  }, 2)
  for (const round of [1, 2]) {
    const asked = Array.from({ length: 5 }, () => new Asked(pool, '/'))
    for (const { answered } of asked) await t.rejects(answered, { code: 'ECONNREFUSED' })
    t.equal(opened, 5 * round, 'no client is asked again that could not connect')
  }
  await startPeer(t, { port })
  t.equal(await new Asked(pool, '/').answered, 200)
  await pool.close()
})

t.test('what undici will not send is told, and costs no connection', async t => {
  const { pool, answer, opened } = await begin(t, 1)
  await t.rejects(new Asked(pool, 'no path').answered, { code: 'UND_ERR_INVALID_ARG' })
  const asked = new Asked(pool, '/0')
  await answer('/0')
  t.equal(await asked.answered, 200)
  t.equal(opened(), 1)
})

t.test('closing waits for those under way and those that wait, idle connections close at once', async t => {
  const { peer, pool, answer } = await begin(t, 2)
  const asked = ['/0', '/1', '/2'].map(path => new Asked(pool, path))
  let isClosed = false
  const closed = pool.close().then(() => { isClosed = true })
  await answer('/0')
  t.equal(await asked[0]?.answered, 200)
  await answer('/1')
  t.equal(await asked[1]?.answered, 200)
  await until(() => peer.connections === 1, { what: 'the end of the connection that nobody needs' })
  t.notOk(isClosed)
  await answer('/2')
  t.equal(await asked[2]?.answered, 200)
  await closed
  await until(() => peer.connections === 0, { what: 'the end of the last connection' })
})

t.test('a pool closes although its last connection failed, and who waited has left; asked twice it closes once', async t => {
  const port = await freePort()
  const pool = new Pool(() => new Client(`http://127.0.0.1:${port}`), 1)
  const [refused, left] = [new Asked(pool, '/'), new Asked(pool, '/')]
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
  const asked = ['/0', '/1'].map(path => new Asked(pool, path))
  await until(() => peer.hits === 1, { what: 'a request at the peer' })
  const closed = pool.close()
  pool.destroy()
  for (const { answered } of asked) await t.rejects(answered, /the connections to this peer were closed/)
  await closed
  await until(() => peer.connections === 0, { what: 'the end of the connection' })
})
