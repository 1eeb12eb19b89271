import { isDeepStrictEqual } from 'node:util'
import t from 'tap'
import { portOf, startRawPeer } from '../fixtures/raw.js'
import { corpus } from './corpus.js'
import type { Exchanged } from './exchange.js'
import { observe, type Observed } from './observe.js'
import { startBare, startOurs } from './two-gateways.js'
import { wanted, type Wanted } from './wanted.js'

t.test('what peers and clients see is what bare reply-from makes them see, but for what is listed', async t => {
  const [peer, other] = [await startRawPeer(t), await startRawPeer(t)]
  const bare = portOf(await startBare(t, `http://${other.id}`))
  const ours = await startOurs(t, peer.id)
  /** What ours has to do: what bare does, under these differences. */
  const expected = async (exchanged: Exchanged, differences: readonly Wanted[]): Promise<Observed> => {
    const instead = differences.reduce((given, { as }) => as?.(given) ?? given, exchanged)
    const observed = await observe(bare, other, instead)
    return differences.reduce((seen, { change }) => change?.(seen, exchanged) ?? seen, observed)
  }
  const shown = new Map(wanted.map(difference => [difference, 0]))
  let same = 0
  for (const exchanged of corpus) {
    const concerned = wanted.filter(({ concerns }) => concerns(exchanged))
    const [found, wish] = await Promise.all([observe(portOf(ours.url), peer, exchanged), expected(exchanged, concerned)])
    if (!isDeepStrictEqual(found, wish)) {
      t.same(found, wish, `${exchanged.name} [${concerned.map(({ what }) => what).join(' ')}]`)
      continue
    }
    same++
    for (const difference of concerned) {
      const times = shown.get(difference) ?? 0
      // Seen often enough; bare takes its time.
      if (times === 3) continue
      const without = await expected(exchanged, concerned.filter(kept => kept !== difference))
      if (!isDeepStrictEqual(found, without)) shown.set(difference, times + 1)
    }
  }
  t.equal(same, corpus.length)
  for (const [{ what }, times] of shown) t.ok(times > 0, what)
  t.match(ours.app.upstreams.status().services[0], { inflight: 0 })
  t.equal(new Set(wanted.map(({ reason }) => reason)).size, wanted.length, 'each has a reason of its own')
})
