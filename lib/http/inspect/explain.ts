import { BadOptionError } from '../../errors.js'
import { nameOf } from '../../picker/balancers/make.js'
import { explain } from '../../picker/explain.js'
import { conditionOf } from '../../store/condition.js'
import type { Service } from '../../store/service.js'
import type { Gateway } from '../gateway.js'
import { hideInAny } from './redact.js'
import { iso, isoOrNull, rounded } from '../as-json.js'

/** The key that was asked about, null for none. Throws FST_UPSTREAM_BAD_OPTION for several. */
export function keyOf (key: unknown): string | null {
  if (key === undefined || typeof key === 'string') return key ?? null
  throw new BadOptionError('key', 'one text', key)
}

/** Every peer of a service, and why it would or would not get the next request. Asking changes nothing. */
export function explained (gateway: Gateway, service: Service, key: string | null) {
  const { picker, settings: { zone } } = gateway
  const now = gateway.now()
  const shares = picker.shares(service, now)
  const plan = picker.plan(service, now)
  const { levels, peers, next } = explain(plan, service, zone, now, key)
  const level = (rank: number) => ({ priority: Math.floor(rank / 2), zone: zone === null ? null : rank % 2 === 0 ? 'own' as const : 'other' as const })
  return {
    service: service.name,
    now: iso(now),
    balancer: nameOf(service.settings.balancer),
    panic: plan.panic,
    key,
    next: next?.peer.id ?? null,
    levels: levels.map(({ rank, load, by }) => ({ ...level(rank), load: rounded(load), by })),
    peers: peers.toSorted((a, b) => a.state.peer.id < b.state.peer.id ? -1 : 1).map(({ state, rank, candidate, hasRoom, weighs, place }) => {
      const { state: word, eligible, reason, since, until } = conditionOf(state)
      const { id, scheme, weight, maxInflight } = state.peer
      return {
        id,
        scheme,
        state: word,
        eligible,
        reason: hideInAny(reason),
        since: iso(since),
        until: isoOrNull(until),
        candidate,
        weight: { configured: weight, effective: rounded(shares.get(state)?.effective ?? 0) },
        level: { ...level(rank), load: rounded(levels.find(level => level.rank === rank)?.load ?? 0) },
        inflight: state.inflight,
        maxInflight: maxInflight === 0 ? plan.limit : maxInflight,
        hasRoom,
        weighs: weighs === null ? null : Number(weighs.toPrecision(6)),
        place
      }
    })
  }
}
