import { identityOf } from '../../store/peer.js'
import { peers } from './decoded.js'
import type { ReadPeer } from './peer-reader.js'
import type { Decoded, Registration } from './registration.js'

/**
 * Peers of a value that may name many. Of several registrations of one peer the last counts, and it is told. What
 * `read` throws for one makes the whole value bad: a list is taken as it is meant, or not at all.
 */
export function readMany<T> (items: Iterable<T>, read: (item: T) => ReadPeer): Decoded {
  const byIdentity = new Map<string, Registration>()
  // A set: what is wrong with a field that all of them share is told once.
  const errors = new Set<string>()
  for (const item of items) {
    const { registration, errors: bad } = read(item)
    const identity = `${registration.service} ${identityOf(registration.peer)}`
    if (byIdentity.has(identity)) errors.add(`${identity} is there twice`)
    byIdentity.set(identity, registration)
    for (const error of bad) errors.add(error)
  }
  return peers([...byIdentity.values()], [...errors])
}
