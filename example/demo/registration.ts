/** How a service puts itself into etcd, stays there, and leaves. */
import { setTimeout as sleep } from 'node:timers/promises'
import { noop } from 'cockatiel'
import { Etcd3, type Lease } from 'etcd3'

/** How long the key outlives a service that was killed (s). */
const TTL = 10
/** Between two attempts to register while etcd is away (ms). */
const PAUSE = 500
/** Leaving must not hang on an etcd that does not answer (ms). */
const PATIENCE = 1000

/** Calls end within 2 s and fail at once when etcd is away; those who call know what to do then. */
export function connect (hosts: string): Etcd3 {
  return new Etcd3({
    hosts,
    faultHandling: { host: () => noop, global: noop },
    defaultCallOptions: call => call.isStream ? {} : { deadline: Date.now() + 2000 },
    grpcOptions: { 'grpc.max_reconnect_backoff_ms': 1000 }
  })
}

/** Keeps `key` in etcd for as long as this process lives, under a lease that etcd3 keeps alive. */
export class Registration {
  /** Resolves when the key has been written for the first time. */
  readonly done: Promise<void>
  readonly #etcd: Etcd3
  readonly #key: string
  #lease: Lease | null = null
  #isLeaving = false

  constructor (hosts: string, key: string, value: string) {
    this.#etcd = connect(hosts)
    this.#key = key
    this.done = new Promise(resolve => { this.#stay(value, resolve) })
  }

  /** A lease is lost when etcd was away for too long; then there is a new one as soon as etcd is back. */
  async #stay (value: string, written: () => void): Promise<void> {
    while (!this.#isLeaving) {
      const lease = this.#lease = this.#etcd.lease(TTL)
      const lost = new Promise(resolve => { lease.once('lost', resolve) })
      try {
        await lease.put(this.#key).value(value)
        written()
        await lost
      } catch {
        lease.release()
      }
      await sleep(PAUSE)
    }
  }

  /** Takes the key out of etcd. Never rejects: what cannot be removed now expires with the lease. */
  async leave (): Promise<void> {
    this.#isLeaving = true
    await Promise.race([this.#remove().catch(() => {}), sleep(PATIENCE)])
    this.#etcd.close()
  }

  async #remove (): Promise<void> {
    // Somebody may have put the key again without the lease, by etcdctl for one.
    await this.#etcd.delete().key(this.#key)
    await this.#lease?.revoke()
  }
}
