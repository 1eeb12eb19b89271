/** One peer's order of preference among the slots: `offset`, then each `skip` further on (1 … size - 1). */
export interface Preference {
  readonly offset: number
  readonly skip: number
  readonly weight: number
}

/**
 * The lookup table of Maglev (Eisenbud et al., NSDI 2016, 3.4): the peers take turns, and each takes the first slot of its
 * own order that is free, until none is. `size` is a prime. With weights as in Envoy: in round t have those a turn whose
 * weight by the largest weight, times t, has come to one more; so each has slots by its weight, and a peer that comes or
 * goes moves few slots but its own. Every slot holds the place of a peer; none for no peers.
 *
 * Who has a turn in which round is kept in lists by round, so the work grows with `size` (some log n looks for each slot),
 * however small some weights are. A peer whose weight comes to no slot gets none.
 */
export function maglev (preferences: readonly Preference[], size: number): Int32Array<ArrayBuffer> {
  const { length } = preferences
  const table = new Int32Array(length === 0 ? 0 : size)
  const free = new Uint8Array(table.length).fill(1)
  const most = preferences.reduce((a, { weight }) => Math.max(a, weight), 0)
  // Every so many rounds one has a turn. Of the heaviest this is 1 to the last bit, so it has one in each.
  const every = Float64Array.from(preferences, ({ weight }) => most / weight)
  const slots = Int32Array.from(preferences, ({ offset }) => offset)
  const skips = Int32Array.from(preferences, ({ skip }) => skip)
  const turns = new Float64Array(length)
  const rounds = new Rounds(length, size)
  every.forEach((first, place) => rounds.add(Math.ceil(first), place))
  for (let round = 1, filled = 0; filled < table.length; round++) {
    for (let place = rounds.first(round), next = -1; place !== -1 && filled < table.length; place = next) {
      const skip = skips[place] as number
      let slot = slots[place] as number
      while (free[slot] === 0) slot = slot + skip < size ? slot + skip : slot + skip - size
      free[slot] = 0
      table[slot] = place
      filled++
      slots[place] = slot
      const turn = (turns[place] as number) + 1
      turns[place] = turn
      next = rounds.next(place)
      rounds.add(Math.ceil((turn + 1) * (every[place] as number)), place)
    }
  }
  return table
}

/** Who has a turn in which round, first come first; rounds after the last possible one are forgotten. */
class Rounds {
  readonly #first: Int32Array
  readonly #last: Int32Array
  readonly #next: Int32Array

  constructor (places: number, last: number) {
    this.#first = new Int32Array(last + 1).fill(-1)
    this.#last = new Int32Array(last + 1).fill(-1)
    this.#next = new Int32Array(places).fill(-1)
  }

  first (round: number): number {
    return this.#first[round] as number
  }

  next (place: number): number {
    return this.#next[place] as number
  }

  add (round: number, place: number): void {
    if (!(round < this.#first.length)) return
    const before = this.#last[round] as number
    if (before === -1) this.#first[round] = place
    else this.#next[before] = place
    this.#last[round] = place
    this.#next[place] = -1
  }
}
