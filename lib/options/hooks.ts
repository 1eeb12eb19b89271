/** Route hooks, as Fastify names them. */
import { BadOptionError } from '../errors.js'
import { list, type Read } from './check.js'
import type { Given } from './names.js'
import type { HookName, RouteHooks } from './settings.js'

/** Every hook a route may have. */
export const hookNames: readonly HookName[] = ['onRequest', 'preParsing', 'preValidation', 'preHandler', 'preSerialization',
  'onSend', 'onResponse', 'onTimeout', 'onError', 'onRequestAbort']

const EXPECTED = 'a function or a list of functions'

const hook: Read<unknown> = (value, path) => {
  if (typeof value !== 'function') throw new BadOptionError(path, EXPECTED, value)
  return value
}

const hooks = list(hook, EXPECTED)

/** The hooks among the options that were given, frozen; an empty list is no hook. */
export function readHooks (found: Given): RouteHooks {
  const result: Partial<Record<HookName, unknown>> = {}
  for (const name of hookNames) {
    const option = found.get(name)
    if (option === undefined) continue
    const value = typeof option.value === 'function' ? option.value : hooks(option.value, option.path)
    if (!Array.isArray(value) || value.length > 0) result[name] = value
  }
  // Which arguments a function takes cannot be seen from outside; that it is a function has been.
  return Object.freeze(result) as RouteHooks
}
