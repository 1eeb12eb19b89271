import type { Peer, PeerState } from '../store/peer.js'
import type { Service } from '../store/service.js'
import type { CheckSettings } from '../store/settings.js'
import { note } from './check-runs.js'
import { roundsOf } from './rounds.js'
import { verdictOn, type Verdict } from './verdict.js'

/** One active check that is due: what to ask of whom. `path` is null for a check by connecting. */
export interface CheckTask {
  readonly service: Service
  readonly state: PeerState
  readonly peer: Peer
  readonly settings: CheckSettings
  readonly path: string | null
}

/** What came of a check; `error` says what was wrong when it is not `ok`. */
export interface CheckAnswer {
  readonly ok: boolean
  readonly status: number | null
  readonly ms: number
  readonly error: string | null
}

/** What to ask of `peer`: a path, null for connecting only, undefined when there is nothing to check. */
export function targetOf (peer: Peer, settings: CheckSettings | false): string | null | undefined {
  if (settings === false) return undefined
  if (settings.type === 'tcp') return null
  return peer.checkUrl ?? settings.path ?? undefined
}

/**
 * Makes a peer's condition fit what is to be checked now. Peers of the first listing were serving before this gateway
 * came and stay eligible; a newcomer must pass once. Somebody already judged keeps the verdict.
 */
export function admit (service: Service, state: PeerState, isNew: boolean, boot: boolean, now: number): void {
  if (targetOf(state.peer, service.settings.check) === undefined) {
    if (state.check === 'none') return
    state.check = 'none'
    state.checkReason = null
    roundsOf(service).failing.delete(state)
    state.lastCheck = null
    state.checkRuns = []
  } else if (state.check === 'none') {
    state.check = isNew && !boot ? 'probing' : 'unchecked'
    state.checkReason = { reason: 'not checked yet', since: now, until: null }
  } else return
  service.touch()
}

/** Takes a check's answer into account: `fall` failures in a row take a peer out, `rise` successes put it back. */
export function conclude (task: CheckTask, answer: CheckAnswer, now: number): Verdict | undefined {
  const { service, state, settings } = task
  // Removed meanwhile, or no longer checked: the answer is about nobody.
  if (state.isRemoved || state.check === 'none') return undefined
  const before = state.lastCheck?.streak ?? 0
  const streak = answer.ok ? Math.max(before, 0) + 1 : Math.min(before, 0) - 1
  state.lastCheck = { ...answer, at: now, streak }
  note(state, state.lastCheck)
  if (answer.ok && state.check !== 'passing' && (state.check !== 'failing' || streak >= settings.rise)) {
    return pass(service, state, streak, now)
  }
  if (!answer.ok && state.check !== 'failing' && -streak >= settings.fall) {
    return fail(service, state, `${checksThat('failed', -streak)}: ${answer.error ?? 'no answer'}`, now)
  }
  return undefined
}

function pass (service: Service, state: PeerState, streak: number, now: number): Verdict | undefined {
  const was = state.check
  state.check = 'passing'
  state.checkReason = null
  roundsOf(service).failing.delete(state)
  state.settledAt = now
  // Who was out starts slowly and with a clean sheet; a newcomer's ramp counts from when it was first seen.
  if (was === 'failing') {
    state.rampFrom = now
    state.consecutive5xx = 0
    state.consecutiveErrors = 0
  }
  service.touch()
  if (was === 'unchecked') return undefined
  const reason = was === 'probing' ? 'the first check passed' : checksThat('passed', streak)
  return verdictOn(service, state, 'up', 'checks', reason, now)
}

function fail (service: Service, state: PeerState, reason: string, now: number): Verdict {
  state.check = 'failing'
  state.checkReason = { reason, since: now, until: null }
  roundsOf(service).failing.add(state)
  service.touch()
  return verdictOn(service, state, 'down', 'checks', reason, now)
}

function checksThat (ended: 'failed' | 'passed', n: number): string {
  return n === 1 ? `the last check ${ended}` : `${n} checks ${ended} in a row`
}
