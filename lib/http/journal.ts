/** One thing that happened to a service. `at` is epoch ms. */
export interface Happening {
  readonly at: number
  readonly peer: string | null
  readonly event: string
  readonly reason: string | null
  /** Of actions: what was done, by whom, and until when it lasts (epoch ms; null where it stays). */
  readonly what?: string
  readonly by?: string
  readonly until?: number | null
}

/** How many happenings of a service are remembered. */
const REMEMBERED = 50

/** The last things that happened, by service, for its page. */
export class Journal {
  readonly #services = new Map<string, Happening[]>()

  add (service: string, happening: Happening): void {
    const known = this.#services.get(service) ?? []
    known.push(happening)
    if (known.length > REMEMBERED) known.shift()
    this.#services.set(service, known)
  }

  /** Oldest first. */
  of (service: string): readonly Happening[] {
    return this.#services.get(service) ?? []
  }

  /** Forgets a service. */
  drop (service: string): void {
    this.#services.delete(service)
  }
}
