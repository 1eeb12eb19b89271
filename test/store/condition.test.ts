import t from 'tap'
import { conditionOf, inRotation, isEligible, isHealthy, type PeerWord } from '../../lib/store/condition.js'
import { PeerState, type Peer } from '../../lib/store/peer.js'
import { peer, T0 } from '../fixtures/pure.js'

const SINCE = T0 + 1000
const UNTIL = T0 + 60_000

/** One cause for each way to be, in the order in which the words count. */
interface Cause {
  readonly what: string
  readonly word: PeerWord
  readonly eligible: boolean
  readonly reason: string | RegExp | null
  readonly since: number
  readonly until: number | null
  readonly peer?: Partial<Peer>
  readonly set?: (state: PeerState) => void
}

const check = (ok: boolean, streak: number) => ({ at: T0, ok, status: ok ? 200 : 500, ms: 1, error: ok ? null : 'GET / answered 500', streak })

const CAUSES: Cause[] = [
  {
    what: 'taken down here',
    word: 'maintenance',
    eligible: false,
    reason: 'set down by alice: new disk',
    since: SINCE,
    until: UNTIL,
    set: state => { state.drain = { reason: 'set down by alice: new disk', since: SINCE, until: UNTIL, isDown: true } }
  },
  { what: 'set to drain', word: 'draining', eligible: false, reason: 'the registry says drain', since: SINCE, until: null, peer: { status: 'drain' } },
  { what: 'set down', word: 'maintenance', eligible: false, reason: 'the registry says down', since: SINCE, until: null, peer: { status: 'down' } },
  { what: 'another word', word: 'maintenance', eligible: false, reason: 'the registry says canary', since: SINCE, until: null, peer: { status: 'canary' } },
  {
    what: 'drained here',
    word: 'draining',
    eligible: false,
    reason: 'drained by an operator',
    since: SINCE,
    until: UNTIL,
    set: state => { state.drain = { reason: 'drained by an operator', since: SINCE, until: UNTIL } }
  },
  { what: 'weight 0', word: 'draining', eligible: false, reason: 'weight 0 takes no new requests', since: SINCE, until: null, peer: { weight: 0 } },
  {
    what: 'weighed 0 here',
    word: 'draining',
    eligible: false,
    reason: 'weight 0 by alice',
    since: SINCE,
    until: UNTIL,
    set: state => { state.weighed = { weight: 0, reason: 'weight 0 by alice', since: SINCE, until: UNTIL } }
  },
  {
    what: 'cut down to 0',
    word: 'draining',
    eligible: false,
    reason: 'cut down to 0',
    since: SINCE,
    until: UNTIL,
    set: state => { state.cutdown = { share: 0, since: SINCE, until: UNTIL } }
  },
  {
    what: 'checks failed',
    word: 'down',
    eligible: false,
    reason: '3 checks failed',
    since: SINCE,
    until: null,
    set: state => {
      state.check = 'failing'
      state.checkReason = { reason: '3 checks failed', since: SINCE, until: null }
    }
  },
  {
    what: 'ejected',
    word: 'ejected',
    eligible: false,
    reason: '5 requests in a row',
    since: SINCE,
    until: UNTIL,
    set: state => { state.ejected = { reason: '5 requests in a row', since: SINCE, until: UNTIL } }
  },
  {
    what: 'half-open',
    word: 'probing',
    eligible: true,
    reason: 'one request probes after: 5 requests in a row',
    since: SINCE,
    until: UNTIL,
    set: state => {
      state.ejected = { reason: '5 requests in a row', since: SINCE, until: UNTIL }
      state.halfOpen = true
    }
  },
  {
    what: 'not checked yet',
    word: 'probing',
    eligible: false,
    reason: 'not checked yet',
    since: SINCE,
    until: null,
    set: state => {
      state.check = 'probing'
      state.checkReason = { reason: 'not checked yet', since: SINCE, until: null }
    }
  },
  {
    what: 'ramping up',
    word: 'warming',
    eligible: true,
    reason: 'slow start over 30 s',
    since: SINCE,
    until: SINCE + 30_000,
    peer: { slowStart: 30_000 },
    set: state => {
      state.rampFrom = SINCE
      state.ramp = 0.5
    }
  },
  {
    what: 'held off',
    word: 'degraded',
    eligible: true,
    reason: 'answered 503 with Retry-After: 5 s',
    since: SINCE,
    until: SINCE + 5000,
    set: state => { state.heldOff = { reason: 'answered 503 with Retry-After: 5 s', since: SINCE, until: SINCE + 5000 } }
  },
  {
    what: 'spared',
    word: 'degraded',
    eligible: true,
    reason: 'kept because it is the only peer',
    since: SINCE,
    until: null,
    set: state => { state.spared = { reason: 'kept because it is the only peer', since: SINCE, until: null } }
  },
  { what: 'failing a check', word: 'degraded', eligible: true, reason: 'the last 2 checks failed: GET / answered 500', since: T0, until: null, set: state => { state.lastCheck = check(false, -2) } },
  { what: 'answering 5xx', word: 'degraded', eligible: true, reason: 'the last 2 requests failed', since: T0, until: null, set: state => { state.consecutive5xx = 2 } },
  { what: 'failing requests', word: 'degraded', eligible: true, reason: 'the last 4 requests failed', since: T0, until: null, set: state => { state.consecutiveErrors = 4 } },
  { what: 'checks pass', word: 'healthy', eligible: true, reason: null, since: T0, until: null, set: state => { state.check = 'passing' } },
  { what: 'traffic', word: 'healthy', eligible: true, reason: null, since: T0, until: null, set: state => { state.statistics = {} } },
  { what: 'nothing known', word: 'unknown', eligible: true, reason: null, since: T0, until: null }
]

function stateWith (...causes: Cause[]): PeerState {
  const state = new PeerState(peer('a', Object.assign({}, ...causes.map(({ peer }) => peer ?? {}))), T0, null)
  state.registeredAt = SINCE
  for (const { set } of causes) set?.(state)
  return state
}

t.test('each cause alone', async t => {
  for (const cause of CAUSES) {
    const { what, word, eligible, reason, since, until } = cause
    t.same(conditionOf(stateWith(cause)), { state: word, eligible, reason, since, until }, what)
  }
})

t.test('of two causes the higher word counts, and either can make it ineligible', async t => {
  const order: PeerWord[] = ['maintenance', 'draining', 'down', 'ejected', 'probing', 'warming', 'degraded', 'healthy', 'unknown']
  for (const a of CAUSES) {
    for (const b of CAUSES) {
      // One registration has one status, and one ejection is either open or half-open.
      const clash = (a.peer?.status !== undefined && b.peer?.status !== undefined) || [a, b].filter(({ reason }) => /5 requests/.test(String(reason))).length > 1
      const both = [a, b].some(({ what }) => what === 'not checked yet') && [a, b].some(({ what }) => what === 'checks failed' || what === 'checks pass')
      const checked = [a, b].every(({ what }) => /^checks/.test(what))
      const drained = [a, b].every(({ what }) => what === 'drained here' || what === 'taken down here')
      if (clash || both || checked || drained) continue
      const higher = order.indexOf(a.word) <= order.indexOf(b.word) ? a : b
      const { state, eligible } = conditionOf(stateWith(a, b))
      t.equal(state, higher.word, `${a.what} and ${b.what}`)
      t.equal(eligible, a.eligible && b.eligible, `${a.what} and ${b.what}: eligible`)
    }
  }
})

t.test('small things that are not yet worth a word', async t => {
  const state = stateWith()
  state.consecutive5xx = 1
  state.lastCheck = check(true, 1)
  state.cutdown = { share: 0.5, since: T0, until: UNTIL }
  state.rampFrom = T0
  t.match(conditionOf(state), { state: 'unknown', eligible: true })
  state.lastCheck = { ...check(false, -1), error: null }
  t.equal(conditionOf(state).reason, 'the last check failed: ')
})

t.test('the three questions', async t => {
  const answers = (what: string): boolean[] => {
    const state = stateWith(...CAUSES.filter(cause => cause.what === what))
    return [inRotation(state), isHealthy(state), isEligible(state)]
  }
  t.same(answers('set down'), [false, true, false])
  t.same(answers('weight 0'), [false, true, false])
  t.same(answers('drained here'), [false, true, false])
  t.same(answers('cut down to 0'), [false, true, false])
  t.same(answers('taken down here'), [false, true, false])
  t.same(answers('weighed 0 here'), [false, true, false])
  const weighed = stateWith(...CAUSES.filter(({ what }) => what === 'weight 0'))
  weighed.weighed = { weight: 2, reason: 'weight 2 by alice', since: SINCE, until: UNTIL }
  t.ok(isEligible(weighed), 'the operator\'s weight counts in place of the registry\'s 0')
  t.match(conditionOf(weighed), { state: 'unknown', reason: null })
  t.same(answers('checks failed'), [true, false, false])
  t.same(answers('ejected'), [true, false, false])
  t.same(answers('half-open'), [true, false, true])
  t.same(answers('not checked yet'), [true, false, false])
  t.same(answers('spared'), [true, true, true])
  t.same(answers('held off'), [true, true, true])
  const probed = stateWith(...CAUSES.filter(({ what }) => what === 'half-open'))
  probed.probe = {}
  t.notOk(isEligible(probed), 'its one request is under way')
})
