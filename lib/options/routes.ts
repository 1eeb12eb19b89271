/** `routes` and `services`: what is forwarded where, and the settings that hold for each service named. */
import { BadOptionError, OptionsError } from '../errors.js'
import type { ServiceSettings } from '../store/settings.js'
import { boolean, keysOf, layOver, list, serviceName, text, type Checks, type Read } from './check.js'
import { copyFields } from './copy.js'
import { hookNames, readHooks } from './hooks.js'
import { entriesOf, exactly, given, isPlain, join, type Given } from './names.js'
import { layService, readServiceSettings, serviceKeys, serviceNames } from './service.js'
import type { RouteSettings } from './settings.js'
import { quote } from '../errors/show.js'

type Plain = Omit<RouteSettings, 'hooks'>

const service: Read<RouteSettings['service']> = (value, path) => {
  // What the function returns can only be looked at on each request.
  if (typeof value === 'function') return value as (request: unknown) => string
  return serviceName(value, path)
}

const constraints: Read<RouteSettings['constraints']> = (value, path) => {
  if (!isPlain(value)) throw new BadOptionError(path, 'an object', value)
  return copyFields(value, path)
}

const checks: Checks<Plain> = {
  prefix: text(/^\/[^\s\p{Cc}?#*]*$/u, 'a path that starts with "/"'),
  service,
  rewritePrefix: text(/^\/[^\s\p{Cc}?#]*$/u, 'a path that starts with "/"'),
  methods: list(text(/^[A-Z]+(?:-[A-Z]+)?$/, 'a method in upper case'), 'a list of at least one method', 1),
  constraints,
  websocket: boolean
}
const defaults: Plain = { prefix: '', service: '', rewritePrefix: '/', methods: null, constraints: null, websocket: false }
const names = new Map([...exactly([...keysOf(checks), ...hookNames]), ...serviceNames])

/** A route, and all options it gives, those of its service among them. */
interface RouteGiven { readonly settings: RouteSettings, readonly path: string, readonly found: Given }

const route: Read<RouteGiven> = (value, path) => {
  const found = given(value, path, names, undefined, ['prefix', 'service'])
  const settings = Object.freeze({ ...layOver(checks, found, defaults), hooks: readHooks(found) })
  const own = serviceKeys.find((key) => found.has(key))
  if (typeof settings.service === 'function' && own !== undefined) {
    throw new OptionsError(`option "${path}.${own}" needs a service given by name, not by a function`)
  }
  return { settings, path, found }
}

const routeList = list(route, 'a list of routes')

/** `routes`, and every service that a route or `services` names, with its settings. */
export interface Named {
  readonly routes: readonly RouteSettings[]
  readonly services: ReadonlyMap<string, ServiceSettings>
}

/**
 * Reads `services` and `routes` among the options that were given. A service's settings are the gateway's, under those
 * of `services`, under those of its routes, which must not contradict each other.
 */
export function readNamed (found: Given, gateway: ServiceSettings): Named {
  const services = readServices(found, gateway)
  const option = found.get('routes')
  const routes = option === undefined ? [] : routeList(option.value, option.path)
  for (const [name, own] of byService(routes)) services.set(name, settle(name, own, services.get(name) ?? gateway))
  return { services: Object.freeze(services), routes: Object.freeze(routes.map(({ settings }) => settings)) }
}

function readServices (found: Given, gateway: ServiceSettings): Map<string, ServiceSettings> {
  const services = new Map<string, ServiceSettings>()
  const option = found.get('services')
  for (const [name, value] of option === undefined ? [] : entriesOf(option.value, option.path)) {
    const path = join('services', serviceName(name, 'services'))
    services.set(name, readServiceSettings(value, gateway, path))
  }
  return services
}

function byService (routes: readonly RouteGiven[]): Map<string, RouteGiven[]> {
  const groups = new Map<string, RouteGiven[]>()
  for (const route of routes) {
    const name = route.settings.service
    if (typeof name === 'function') continue
    const group = groups.get(name) ?? []
    groups.set(name, group)
    group.push(route)
  }
  return groups
}

/** Lays all over `base`. Whoever still finds something to change afterwards has been overruled by a later route. */
function settle (name: string, routes: readonly RouteGiven[], base: ServiceSettings): ServiceSettings {
  const settled = routes.reduce((settings, { found }) => layService(found, settings), base)
  for (const { found, path } of routes) {
    const again = layService(found, settled)
    const key = serviceKeys.find((key) => !isSame(again[key], settled[key]))
    if (key !== undefined) throw new OptionsError(`option "${path}.${key}" contradicts another route to service ${quote(name)}`)
  }
  return settled
}

/** Functions, and objects with functions, are the same only when they are one. */
function isSame (a: unknown, b: unknown): boolean {
  return a === b || (isPlain(a) && isPlain(b) && Object.values(a).every(field => typeof field !== 'function') && JSON.stringify(a) === JSON.stringify(b))
}
