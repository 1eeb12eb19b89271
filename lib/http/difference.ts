import type { Peer } from '../store/peer.js'

/** What a registration says about a peer that people look at first. */
const FIELDS = ['weight', 'status', 'slowStart', 'checkUrl', 'priority', 'zone', 'maxInflight', 'startAt'] as const

/** What is otherwise than it was, in words: `weight 1 → 3, status up → drain`. */
export function difference (was: Peer, is: Peer): string {
  const words = FIELDS.filter(field => was[field] !== is[field]).map(field => `${field} ${was[field] ?? 'none'} → ${is[field] ?? 'none'}`)
  return words.length === 0 ? 'params' : words.join(', ')
}
