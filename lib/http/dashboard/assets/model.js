/** What the stream has told: how all was at the last snapshot, and all that has changed since. */

/** How many records are kept, and how far back seconds reach. */
const RECORDS = 300
const REACH = 60

const goneKey = (service, peer = '') => JSON.stringify([service, peer])

/** A record's place in the order of what happened. */
const numberOf = ({ id }) => Number(id.slice(id.lastIndexOf('-') + 1))

const keyOf = ({ scheme, id }) => `${scheme}://${id}`

export class Model {
  registry = null
  totals = null
  node = null
  /** Name → service, with `peers`: key → { status, history }. */
  services = new Map()
  /** Newest first, of one run of the gateway. */
  records = []
  #ids = new Set()
  /** What has left, by name and key → when: figures that were worked out before that do not bring it back. */
  #gone = new Map()
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
    if (this.node !== null && this.node.startedAt !== node.startedAt) {
      this.records = []
      this.#ids.clear()
    }
    this.#gone.clear()
    Object.assign(this, { node, registry, totals })
    this.services = new Map(services.map(({ peers, ...service }) => [service.name, {
      service,
      peers: new Map(peers.map(({ history, ...status }) => [keyOf(status), { status, history }]))
    }]))
    for (const record of events) this.#note(record)
    // Some of them may be older than what has come by itself.
    this.records.sort((a, b) => numberOf(b) - numberOf(a))
  }

  stats ({ now, second, registry, totals, services }) {
    this.#heard(now)
    this.registry = { ...this.registry, ...registry }
    this.totals = totals
    const told = Date.parse(now)
    for (const [key, at] of this.#gone) if (at < told) this.#gone.delete(key)
    for (const { peers, ...service } of services) {
      if (this.#gone.has(goneKey(service.name))) continue
      const known = this.services.get(service.name) ?? { service, peers: new Map() }
      this.services.set(service.name, known)
      known.service = service
      for (const { history, ...status } of peers) {
        if (this.#gone.has(goneKey(service.name, keyOf(status)))) continue
        const peer = known.peers.get(keyOf(status)) ?? { status: {}, history: [] }
        known.peers.set(keyOf(status), peer)
        peer.status = { ...peer.status, ...status }
        peer.history = [...peer.history.filter(([at]) => at > second - REACH && !history.some(([other]) => other === at)), ...history]
      }
    }
  }

  /** What has happened counts at once; figures follow within a second. */
  record (record) {
    // What comes before the first snapshot is in it.
    if (!this.#note(record) || this.registry === null) return
    if (record.type === 'registry') this.#registryRecord(record)
    else if (record.type === 'service') this.#serviceRecord(record)
    else this.#peerRecord(record)
  }

  #registryRecord ({ event, state, reason }) {
    this.registry = { ...this.registry, state, lastError: event === 'clear' ? null : reason ?? this.registry.lastError }
  }

  #serviceRecord ({ service, event, state, reason, at }) {
    const key = goneKey(service)
    if (event === 'removed') this.#gone.set(key, Date.parse(at))
    else this.#gone.delete(key)
    const known = this.services.get(service)
    if (event === 'removed') this.services.delete(service)
    // Of what somebody does to a whole service its state is not told.
    else if (known !== undefined && state !== null) known.service = { ...known.service, state, ...(event === 'state' && { reason }) }
  }

  #peerRecord ({ service, scheme, peer, state, reason, since, until, at }) {
    const id = `${scheme}://${peer}`
    const key = goneKey(service, id)
    if (state === null) this.#gone.set(key, Date.parse(at))
    else this.#gone.delete(key)
    const peers = this.services.get(service)?.peers
    const found = peers?.get(id)
    if (found === undefined) return
    if (state === null) peers.delete(id)
    else if (found.status.state !== state) found.status = { ...found.status, state, reason, since: since ?? at, until }
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
