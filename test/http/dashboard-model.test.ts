import t from 'tap'

/** As the page has it: without types. */
interface AnyModel {
  registry: { state: string, lastError: string | null } | null
  services: Map<string, { service: { state: string, reason: string | null }, peers: Map<string, { status: { state: string, rps?: number }, history: number[][] }> }>
  records: Array<{ id: string }>
  snapshot: (data: object) => void
  stats: (data: object) => void
  record: (data: object) => void
}
const { Model } = await import(new URL('../../lib/http/dashboard/assets/model.js', import.meta.url).href) as { Model: new () => AnyModel }

const at = (second: number): string => new Date(1_700_000_000_000 + 1000 * second).toISOString()
const peer = (id: string, state = 'healthy') => ({ id, scheme: 'http', state, reason: null, history: [] })
const service = (name: string, ...peers: object[]) => ({ name, state: 'healthy', reason: null, peers })
const registry = { state: 'live', lastError: null, invalidKeys: [] }
const record = (n: number, more: object, run = 'run') => ({ id: `${run}-${n}`, at: at(n), service: 'shop', scheme: null, peer: null, event: 'state', state: 'healthy', reason: null, since: null, until: null, ...more })
const snapshot = (second: number, services: object[], events: object[] = [], startedAt = at(0)) => ({ now: at(second), node: { startedAt }, registry, totals: {}, services, events })
const stats = (second: number, services: object[]) => ({ now: at(second), second, registry: { state: 'live' }, totals: {}, services })
const peers = (model: AnyModel, name = 'shop'): string[] | null => model.services.has(name) ? [...model.services.get(name)?.peers.keys() ?? []] : null
const ids = (model: AnyModel): string[] => model.records.map(({ id }) => id)

t.test('figures that were worked out before somebody left do not bring it back', async t => {
  const model = new Model()
  model.snapshot(snapshot(10, [service('shop', peer('a:1'), peer('b:1')), service('gone', peer('c:1'))]))
  model.record(record(12, { type: 'peer', peer: 'b:1', scheme: 'http', event: 'removed', state: null }))
  model.record(record(12.5, { type: 'service', service: 'gone', event: 'removed', state: null }))
  model.stats(stats(11, [service('shop', peer('a:1'), peer('b:1')), service('gone', peer('c:1'))]))
  t.same([peers(model), peers(model, 'gone')], [['http://a:1'], null])
  model.stats(stats(13, [service('shop', peer('b:1')), service('gone', peer('c:1'))]))
  t.same([peers(model), peers(model, 'gone')], [['http://a:1', 'http://b:1'], ['http://c:1']], 'who is told of later is there again')
  model.record(record(20, { type: 'peer', peer: 'b:1', scheme: 'http', event: 'removed', state: null }))
  model.record(record(20.1, { type: 'peer', peer: 'b:1', scheme: 'http', event: 'added', state: 'unknown' }))
  model.stats(stats(19, [service('shop', peer('b:1'))]))
  t.same(peers(model), ['http://a:1', 'http://b:1'], 'and so is who came back')
})

t.test('what is done to a whole service does not take it away', async t => {
  const model = new Model()
  model.snapshot(snapshot(1, [service('shop', peer('a:1'))]))
  model.record(record(2, { type: 'service', event: 'action', state: null }))
  t.same(peers(model), ['http://a:1'])
  model.record(record(3, { type: 'service', event: 'state', state: 'down', reason: 'why' }))
  t.match(model.services.get('shop')?.service, { state: 'down', reason: 'why' })
})

t.test('what comes before the first snapshot', async t => {
  const model = new Model()
  model.record(record(5, { type: 'registry', service: null, state: 'stale' }))
  t.equal(model.registry, null, 'is no registry')
  model.snapshot(snapshot(6, [], [record(3, { type: 'service' }), record(4, { type: 'service' }), record(5, { type: 'registry', service: null, state: 'stale' })]))
  t.same(ids(model), ['run-5', 'run-4', 'run-3'], 'stands in its place, once')
  model.record(record(10, { type: 'service' }))
  model.record(record(10, { type: 'service' }))
  t.same(ids(model), ['run-10', 'run-5', 'run-4', 'run-3'], 'by number, not by its digits')
})

t.test('another run of the gateway begins anew', async t => {
  const model = new Model()
  model.snapshot(snapshot(1, [service('shop', peer('a:1'))], [record(1, { type: 'service' })]))
  model.record(record(1, { type: 'service' }, 'other'))
  model.snapshot(snapshot(9, [service('shop', peer('a:1'))], [record(1, { type: 'service' }, 'other')], at(8)))
  t.same(ids(model), ['other-1'])
})

t.test('trouble of the registry comes and goes', async t => {
  const model = new Model()
  model.snapshot(snapshot(1, []))
  model.record(record(2, { type: 'registry', service: null, event: 'error', state: 'live', reason: 'broken' }))
  t.match(model.registry, { state: 'live', lastError: 'broken' })
  model.record(record(3, { type: 'registry', service: null, event: 'state', state: 'stale' }))
  t.match(model.registry, { state: 'stale', lastError: 'broken' })
  model.record(record(4, { type: 'registry', service: null, event: 'clear', state: 'live' }))
  t.match(model.registry, { state: 'live', lastError: null })
})
