/** Where registrations come from: `etcd`, or the embedded `peers`. */
import { BadOptionError, OptionsError } from '../errors.js'
import { duration, keysOf, layOver, list, serviceName, type Checks, type Read } from './check.js'
import { copy } from './copy.js'
import { entriesOf, exactly, given, isPlain, join } from './names.js'
import type { EtcdSettings, EtcdTlsSettings, PeersSettings } from './settings.js'
import { certificate, checkMaterial, hidden, notEmpty, privateKey } from './tls.js'

const HOST = /^(?:(https?):\/\/)?([\w.-]+|\[[\da-f:.]+\])(?::(\d{1,5}))?\/?$/i
const HOST_EXPECTED = 'a host as in http://host:2379, https://host:2379 or host:2379'
const PORT = 2379

/** Always `scheme://host:port`. */
const host: Read<string> = (value, path) => {
  const [, scheme = 'http', name = '', port = PORT] = HOST.exec(typeof value === 'string' ? value : '') ?? []
  const url = `${scheme.toLowerCase()}://${name}:${Number(port)}`
  if (name === '' || Number(port) === 0 || !URL.canParse(url)) throw new BadOptionError(path, HOST_EXPECTED, value)
  return url
}

const hostList = list(host, 'a host or a list of at least one', 1)

const hosts: Read<readonly string[]> = (value, path) => {
  const result = typeof value === 'string' ? Object.freeze([host(value, path)]) : hostList(value, path)
  if (new Set(result.map(isSecure)).size > 1) throw new BadOptionError(path, 'all http:// or all https://', value)
  return result
}

function isSecure (url: string): boolean {
  return url.startsWith('https:')
}

const password: Read<string> = (value, path) => {
  if (typeof value !== 'string') throw new BadOptionError(path, 'a string', hidden(value))
  return value
}

const noTls: EtcdTlsSettings = Object.freeze({ ca: null, cert: null, key: null, serverName: null })
const tlsChecks: Checks<EtcdTlsSettings> = { ca: certificate, cert: certificate, key: privateKey, serverName: notEmpty }
const tlsNames = exactly(keysOf(tlsChecks))

const tls: Read<EtcdTlsSettings> = (value, path) => {
  const result = layOver(tlsChecks, given(value, path, tlsNames), noTls)
  checkMaterial(result, path)
  return result
}

const authChecks: Checks<{ readonly username: string, readonly password: string }> = { username: notEmpty, password }
const authNames = exactly(keysOf(authChecks))

const auth: Read<{ readonly username: string, readonly password: string }> = (value, path) => {
  if (!isPlain(value)) throw new BadOptionError(path, 'an object { username, password }', hidden(value))
  const found = given(value, path, authNames, undefined, keysOf(authChecks))
  return layOver(authChecks, found, { username: '', password: '' })
}

const etcdChecks: Checks<EtcdSettings> = { hosts, auth, tls, timeout: duration }
const etcdNames = exactly(keysOf(etcdChecks))
const etcdDefaults: EtcdSettings = { hosts: [], auth: null, tls: null, timeout: 2000 }

/** `etcd`: a host, a list of hosts, or `{ hosts, auth, tls, timeout }`. */
export const etcd: Read<EtcdSettings> = (value, path) => {
  const found = typeof value === 'string' || Array.isArray(value)
    ? new Map([['hosts', { path, value }]])
    : given(value, path, etcdNames, 'a host, a list of hosts or an object', ['hosts'])
  const result = layOver(etcdChecks, found, etcdDefaults)
  const secure = result.hosts.every(isSecure)
  if (result.tls !== null && !secure) throw new OptionsError(`option "${path}.tls" needs hosts that start with https://`)
  return secure && result.tls === null ? Object.freeze({ ...result, tls: noTls }) : result
}

/** `peers`: service → `host:port` → value. The values are copied as they are, for the codec to judge. */
export const peers: Read<PeersSettings> = (value, path) => frozenMap(entriesOf(value, path).map(([name, registrations]) => {
  const below = join(path, serviceName(name, path))
  return [name, frozenMap(entriesOf(registrations, below).map(([address, registration]) =>
    [address, copy(registration, join(below, address))]))]
}))

function frozenMap<T> (entries: ReadonlyArray<[string, T]>): ReadonlyMap<string, T> {
  return Object.freeze(new Map(entries))
}
