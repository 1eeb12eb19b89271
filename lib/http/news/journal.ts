import type { Scheme } from '../../store/peer.js'
import type { PeerWord, ServiceWord } from '../../store/condition.js'
import type { RegistryWord } from '../../syncer/registry.js'

/**
 * One thing that happened, as it is kept: nothing is put into words for anybody until somebody asks (`records.ts`). Points in
 * time are epoch ms.
 */
export interface Happening {
  readonly type: 'peer' | 'service' | 'registry'
  readonly at: number
  readonly service: string | null
  readonly peer: string | null
  readonly scheme: Scheme | null
  readonly event: string
  /** How what it happened to is from then on; null when it is gone. */
  readonly state: PeerWord | ServiceWord | RegistryWord | null
  readonly cause: string | null
  readonly reason: string | null
  readonly since: number | null
  readonly until: number | null
  /** The registry's revision that brought it. */
  readonly revision: bigint | null
  /** Of what people do: what was done, and who did it. */
  readonly what: string | null
  readonly by: string | null
}

/** A happening with its number: the first one of a gateway has 1, and none is left out. */
export type Numbered = Happening & { readonly n: number }

/** How many happenings are remembered: of each service, so that a restless one does not push out all others, and in all. */
const OF_SERVICE = 50
const IN_ALL = 1000

/** The last things that happened. */
export class Journal {
  readonly #services = new Map<string, Numbered[]>()
  readonly #all: Numbered[] = []
  /** The number of the last one. */
  last = 0

  add (happening: Happening): Numbered {
    const numbered = { ...happening, n: ++this.last }
    // Trimmed by halves: moving them all for each new one would cost more than the rest.
    if (this.#all.push(numbered) >= 2 * IN_ALL) this.#all.splice(0, IN_ALL)
    const { service } = happening
    if (service === null) return numbered
    const known = this.#services.get(service) ?? []
    if (known.push(numbered) > OF_SERVICE) known.shift()
    this.#services.set(service, known)
    return numbered
  }

  /** The last of a service, oldest first. */
  of (service: string): readonly Numbered[] {
    return this.#services.get(service) ?? []
  }

  /** All after number `n`, oldest first, or null when some of them are forgotten, or `n` is none that was given yet. */
  after (n: number): readonly Numbered[] | null {
    const count = this.last - n
    return count < 0 || count > Math.min(IN_ALL, this.#all.length) ? null : this.#all.slice(this.#all.length - count)
  }

  /** The last `count`, oldest first. */
  latest (count: number): readonly Numbered[] {
    return this.#all.slice(-count)
  }

  /** Forgets a service. */
  drop (service: string): void {
    this.#services.delete(service)
  }
}
