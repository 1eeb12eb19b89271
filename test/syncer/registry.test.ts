import t from 'tap'
import { Registry, STALE_AFTER } from '../../lib/syncer/registry.js'

const T0 = 1_000_000

t.test('the states of a registry that is followed', async t => {
  const registry = new Registry('etcd')
  t.equal(registry.state(T0), 'syncing')
  t.equal(registry.isReady, false)
  registry.restored(T0 - 60_000)
  t.equal(registry.state(T0), 'snapshot')
  t.equal(registry.isReady, true)
  t.equal(registry.lastVerifiedAt, T0 - 60_000, 'as old as the file says')
  registry.lastError = 'away'
  registry.verified(T0)
  t.equal(registry.state(T0), 'live')
  t.equal(registry.lastError, null)
  t.equal(registry.state(T0 + STALE_AFTER), 'live')
  t.equal(registry.state(T0 + STALE_AFTER + 1), 'stale')
  t.equal(registry.isReady, true)
  registry.verified(T0 + STALE_AFTER + 2)
  t.equal(registry.state(T0 + STALE_AFTER + 2), 'live')
})

t.test('what is given in code never ages', async t => {
  const registry = new Registry('static')
  registry.verified(T0)
  t.equal(registry.state(T0 + 1e9), 'static')
})

t.test('resyncs are counted by reason, those that never were included', async t => {
  const registry = new Registry('etcd')
  registry.resyncs.missed++
  t.same(registry.resyncCounts, [['compacted', 0], ['replaced', 0], ['missed', 1], ['comparison', 0]])
})
