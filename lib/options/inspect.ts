/** `inspect`: where the page and its routes are, and who may read them. */
import { keysOf, layOver, list, oneOf, onlyFalse, text, type Checks, type Read } from './check.js'
import { hookNames, readHooks } from './hooks.js'
import { exactly, given } from './names.js'
import type { InspectSettings } from './settings.js'

type Plain = Omit<InspectSettings, 'hooks'>

const checks: Checks<Plain> = {
  path: text(/^(?:\/|(?:\/[\w.~!$&'()+,;=@-]+)+)$/, 'a path such as "/_upstreams", without parameters or a "/" at the end'),
  access: oneOf('loopback', 'all'),
  open: list(oneOf('ready', 'metrics'), 'a list of "ready" or "metrics"')
}
const later: Checks<{ actions: false }> = { actions: onlyFalse }
const names = exactly([...keysOf(checks), ...keysOf(later), ...hookNames])

/** What holds where the caller says nothing. */
export const inspectDefaults: InspectSettings = Object.freeze({
  path: '/_upstreams',
  access: 'loopback',
  open: Object.freeze(['ready'] as const),
  hooks: Object.freeze({})
})

/** An object or `false`. An `onRequest` hook without `access` means `'all'`: the hook decides who may read. */
export const inspect: Read<InspectSettings | false> = (value, path) => {
  if (value === false) return false
  const found = given(value, path, names, 'an object or false')
  layOver(later, found, { actions: false })
  const hooks = readHooks(found)
  const { path: below, open } = inspectDefaults
  return Object.freeze({ ...layOver(checks, found, { path: below, open, access: hooks.onRequest === undefined ? 'loopback' : 'all' }), hooks })
}
