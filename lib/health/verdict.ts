/**
 * What health decided about a peer; somebody else logs, shows and acts on it. `eject` and `probe` and `restore` come
 * from outcomes, `down` and `up` from checks; `spare` is an ejection that a guard refused.
 */
export interface Verdict {
  readonly action: 'eject' | 'probe' | 'restore' | 'spare' | 'down' | 'up'
  readonly service: string
  readonly peer: string
  /** In words, with the numbers. */
  readonly reason: string
  /** Epoch ms. */
  readonly since: number
  readonly until: number | null
}
