/** What the stream has told: how all was at the last snapshot, and all that has changed since. */

/** How many records are kept, and how far back seconds reach. */
const RECORDS = 300
const REACH = 60

const keyOf = ({ scheme, id }) => `${scheme}://${id}`

export class Model {
  registry = null
  totals = null
  node = null
  /** Name → service, with `peers`: key → { status, history }. */
  services = new Map()
  /** Newest first; `ids` are theirs. */
  records = []
  #ids = new Set()
  /** The server's time when something was told last, and this machine's then. */
  #told = { server: Date.now(), here: performance.now() }

  /** The time by the server's clock, epoch ms. */
  get now () {
    return this.#told.server + performance.now() - this.#told.here
  }

  #heard (now) {
    this.#told = { server: Date.parse(now), here: performance.now() }
  }

  snapshot ({ now, node, registry, totals, services, events }) {
    this.#heard(now)
    Object.assign(this, { node, registry, totals })
    this.services = new Map(services.map(({ peers, ...service }) => [service.name, {
      service,
      peers: new Map(peers.map(({ history, ...status }) => [keyOf(status), { status, history }]))
    }]))
    for (const record of events) this.#note(record)
  }

  stats ({ now, second, registry, totals, services }) {
    this.#heard(now)
    this.registry = { ...this.registry, ...registry }
    this.totals = totals
    for (const { peers, ...service } of services) {
      const known = this.services.get(service.name) ?? { service, peers: new Map() }
      this.services.set(service.name, known)
      known.service = service
      for (const { history, ...status } of peers) {
        const peer = known.peers.get(keyOf(status)) ?? { status: {}, history: [] }
        known.peers.set(keyOf(status), peer)
        peer.status = { ...peer.status, ...status }
        peer.history = [...peer.history.filter(([at]) => at > second - REACH && !history.some(([other]) => other === at)), ...history]
      }
    }
  }

  /** What has happened counts at once; figures follow within a second. Returns the peer or service that it is about. */
  record (record) {
    if (!this.#note(record)) return
    const { type, service, scheme, peer, event, state, reason, since, until } = record
    if (type === 'registry') this.registry = { ...this.registry, state, lastError: event === 'clear' ? null : reason ?? this.registry.lastError }
    const known = this.services.get(service)
    if (known === undefined) return
    if (type === 'service') {
      if (state === null) this.services.delete(service)
      else known.service = { ...known.service, state, ...(event === 'state' && { reason }) }
    } else if (state === null) known.peers.delete(`${scheme}://${peer}`)
    else {
      const found = known.peers.get(`${scheme}://${peer}`)
      if (found !== undefined && found.status.state !== state) found.status = { ...found.status, state, reason, since: since ?? record.at, until }
    }
  }

  /** Keeps it, once. */
  #note (record) {
    if (this.#ids.has(record.id)) return false
    this.#ids.add(record.id)
    this.records.unshift(record)
    while (this.records.length > RECORDS) this.#ids.delete(this.records.pop().id)
    return true
  }
}
