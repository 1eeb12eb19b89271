/** `inspect`: where the page and its routes are, and who may read them. */
import { BadOptionError } from '../errors.js'
import { keysOf, layOver, list, oneOf, text, type Checks, type Read } from './check.js'
import { hookNames, readHooks } from './hooks.js'
import { exactly, given } from './names.js'
import type { ActionSettings, InspectSettings } from './settings.js'

type Plain = Omit<InspectSettings, 'hooks'>

const authorizeNames = exactly(['authorize'])

/** There are no actions that nobody has to be authorized for. */
const actions: Read<ActionSettings | false> = (value, path) => {
  if (value === false) return false
  const authorize = given(value, path, authorizeNames, 'false or { authorize (request) }', ['authorize']).get('authorize')?.value
  if (typeof authorize !== 'function') throw new BadOptionError(`${path}.authorize`, 'a function of the request', authorize)
  // What it takes cannot be seen from outside, and what it returns is looked at on each request.
  return Object.freeze({ authorize: authorize as ActionSettings['authorize'] })
}

const checks: Checks<Plain> = {
  path: text(/^(?:\/|(?:\/(?!\.{1,2}(?:\/|$))[\w.~!$&'()+,;=@-]+)+)$/, 'a path such as "/_upstreams", without parameters or a "/" at the end'),
  access: oneOf('loopback', 'all'),
  open: list(oneOf('ready', 'metrics'), 'a list of "ready" or "metrics"'),
  actions
}
const names = exactly([...keysOf(checks), ...hookNames])

/** What holds where the caller says nothing. */
export const inspectDefaults: InspectSettings = Object.freeze({
  path: '/_upstreams',
  access: 'loopback',
  open: Object.freeze(['ready'] as const),
  actions: false,
  hooks: Object.freeze({})
})

/** An object or `false`. An `onRequest` hook without `access` means `'all'`: the hook decides who may read. */
export const inspect: Read<InspectSettings | false> = (value, path) => {
  if (value === false) return false
  const found = given(value, path, names, 'an object or false')
  const hooks = readHooks(found)
  const { hooks: _none, ...plain } = inspectDefaults
  return Object.freeze({ ...layOver(checks, found, { ...plain, access: hooks.onRequest === undefined ? 'loopback' : 'all' }), hooks })
}
