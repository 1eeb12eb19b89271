import { Service } from './service.js'
import type { ServiceSettings } from './settings.js'

/** All that is known, by service. A name never reaches an object's prototype: this is a Map. */
export class Store {
  readonly services = new Map<string, Service>()
  readonly #settingsOf: (name: string) => ServiceSettings

  /** `settingsOf` gives the settings that a newly seen service starts with. */
  constructor (settingsOf: (name: string) => ServiceSettings) {
    this.#settingsOf = settingsOf
  }

  get (name: string): Service | undefined {
    return this.services.get(name)
  }

  /** The service of that name, made when it is new. */
  ensure (name: string): Service {
    let service = this.services.get(name)
    if (service === undefined) {
      service = new Service(name, this.#settingsOf(name))
      this.services.set(name, service)
    }
    return service
  }

  /** Forgets a service that has neither peers nor anyone who names it. */
  prune (name: string): boolean {
    const service = this.services.get(name)
    if (service === undefined || service.pinned || service.settingsKey || service.peers.size > 0) return false
    return this.services.delete(name)
  }

  /** Services sorted by name, as every report shows them. */
  sorted (): Service[] {
    return [...this.services.values()].sort((a, b) => a.name < b.name ? -1 : 1)
  }
}
