import type { Peer } from '../../store/peer.js'

/** What a registration says about a peer that people look at first. */
const FIELDS = ['weight', 'status', 'slowStart', 'checkUrl', 'priority', 'zone', 'maxInflight', 'startAt'] as const

/** What is otherwise than it was, in words: `weight 1 → 3, status up → drain`; `params` when it is nothing of these. */
export function difference (was: Peer, is: Peer): string {
  const words = FIELDS.filter(field => was[field] !== is[field]).map(field => `${field} ${word(was, field)} → ${word(is, field)}`)
  return words.length === 0 ? 'params' : words.join(', ')
}

function word (peer: Peer, field: typeof FIELDS[number]): string {
  const value = peer[field]
  if (value === null) return 'none'
  return field === 'startAt' ? new Date(value).toISOString() : String(value)
}
