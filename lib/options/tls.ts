/** Readers of what TLS is told, towards etcd and towards peers. */
import { X509Certificate } from 'node:crypto'
import { createSecureContext } from 'node:tls'
import { BadOptionError, OptionsError } from '../errors.js'
import { boolean, fields, text, type Check, type Checks, type Read } from './check.js'
import type { TlsSettings } from '../store/settings.js'

/** What stands in messages for a value that nobody may see. */
export function hidden (value: unknown): unknown {
  return value === undefined ? value : '[hidden]'
}

/** PEM as text or bytes, kept as text; a file's name is the usual mistake. */
function pem (shown: (value: unknown) => unknown): Read<string> {
  return (value, path) => {
    const content = value instanceof Uint8Array ? new TextDecoder().decode(value) : value
    if (typeof content === 'string' && content.includes('-----BEGIN ')) return content
    throw new BadOptionError(path, 'PEM text or a Buffer of it', shown(value))
  }
}

/** A certificate, or several. */
export const certificate = pem((value) => value)

/** A private key, which no message shows. */
export const privateKey = pem(hidden)

/** Text that says something: names of users and servers. */
export const notEmpty = text(/^[^\p{Cc}]+$/u, 'a string that is not empty and holds no control characters')

/**
 * Throws FST_UPSTREAM_BAD_OPTION unless a certificate and its key are both there or neither is, and unless OpenSSL takes
 * all of it: otherwise every single connection would find out.
 */
export function checkMaterial ({ ca, cert, key }: Pick<TlsSettings, 'ca' | 'cert' | 'key'>, path: string): void {
  if ((cert === null) !== (key === null)) throw new OptionsError(`options "${path}.cert" and "${path}.key" need each other`)
  // A context made with an authority that cannot be read is made without a word, and trusts nobody.
  if (ca !== null) usable(() => new X509Certificate(ca), `option "${path}.ca" holds`)
  // Without authorities, or it would read Node's own.
  if (cert !== null && key !== null) usable(() => createSecureContext({ ca: [], cert, key }), `options "${path}.cert" and "${path}.key" hold`)
}

/** OpenSSL's reasons name what was wrong with the text, never any of it. */
function usable (attempt: () => unknown, who: string): void {
  try {
    attempt()
  } catch (error) {
    throw new OptionsError(`${who} what TLS refuses: ${error instanceof Error ? error.message : String(error)}`)
  }
}

/** Null takes back what held before. */
function orNull<T> (read: Read<T>): Read<T | null> {
  return (value, path) => value === null ? null : read(value, path)
}

const checks: Checks<TlsSettings> = {
  rejectUnauthorized: boolean,
  ca: orNull(certificate),
  cert: orNull(certificate),
  key: orNull(privateKey),
  serverName: orNull(notEmpty)
}
const readFields = fields(checks)

/** What holds where nobody says anything. */
export const defaultTls: TlsSettings = Object.freeze({ rejectUnauthorized: true, ca: null, cert: null, key: null, serverName: null })

/** `tls` of a service. A certificate may come from here and its key from `base`, or the reverse. */
export const tls: Check<TlsSettings> = (value, path, base) => {
  const result = readFields(value, path, base)
  checkMaterial(result, path)
  return result
}
