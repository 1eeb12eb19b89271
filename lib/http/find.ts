import { UnknownServiceError } from '../errors.js'
import type { Service } from '../store/service.js'
import type { Gateway } from './gateway.js'

/** The service of that name. Throws FST_UPSTREAM_UNKNOWN_SERVICE. */
export function find ({ store }: Gateway, name: string): Service {
  const service = store.get(name)
  if (service === undefined) throw new UnknownServiceError(name)
  return service
}
