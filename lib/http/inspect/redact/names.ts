/** Which names say that what they name is secret: `DB_PASSWORD`, `apiKey`, `x-auth-token`, but not `author` or `tokenUrl`. */

/** No name is looked at beyond this. */
const LONGEST = 256

/** Secret as they are, in one or many. */
const WORDS = new Set([
  'password', 'passwd', 'passphrase', 'passcode', 'pass', 'pwd', 'pw', 'secret', 'token', 'credential', 'cred', 'authorization', 'auth',
  'cookie', 'session', 'signature', 'sig', 'jwt', 'otp', 'bearer'
])

/** `sessions` are counted, and so is what `pass`es. */
const ONLY_ONE = new Set(['session', 'pass', 'pw', 'auth', 'sig'])

/** Secret when `key` follows. */
const OF_KEYS = new Set([
  'api', 'app', 'access', 'private', 'secret', 'signing', 'encryption', 'decryption', 'shared', 'account', 'master', 'auth', 'license',
  'ssh', 'deploy', 'subscription', 'storage', 'hmac', 'cipher', 'aes', 'rsa', 'tls', 'ssl', 'webhook'
])

/** What comes last and tells of something about a secret that is none itself. */
const ABOUT = new Set([
  'url', 'uri', 'endpoint', 'ttl', 'timeout', 'expiry', 'expires', 'expiration', 'policy', 'name', 'ref', 'file', 'path', 'dir', 'type',
  'algorithm', 'alg', 'length', 'limit', 'limits', 'count', 'version', 'enabled', 'disabled', 'required', 'affinity', 'bucket', 'rotation',
  'age', 'domain', 'interval', 'size', 'second', 'minute', 'rate', 'mode', 'scheme', 'provider', 'store', 'manager', 'issuer', 'format',
  'kind', 'method', 'duration', 'location', 'usage', 'budget', 'server', 'service', 'host', 'port', 'at'
])

/** What comes first and counts. */
const COUNTS = new Set(['max', 'min', 'num', 'total', 'used', 'has', 'is', 'no', 'with', 'requires', 'use', 'uses'])

/** How names in one word end. */
const END = /(?:password|passwd|passphrase|passcode|pwd|secret|token|credential|cookie|apikey|accesskey|privatekey|secretkey|sessionid|sessid)s?$/

/** The words of a name, in lower case and without numbers at their ends. No step of it looks at a character twice. */
function wordsOf (name: string): string[] {
  return name.slice(0, LONGEST)
    .split(/[^\p{L}\p{N}]+|(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])/u)
    .map(word => word.toLowerCase().replace(/(?<!\d)\d+$/, ''))
    .filter(word => word !== '')
}

function isSecretWord (word: string): boolean {
  if (WORDS.has(word)) return true
  const one = word.endsWith('s') ? word.slice(0, -1) : word
  return (WORDS.has(one) && !ONLY_ONE.has(one)) || END.test(word)
}

/** Whether what has this name is to be hidden, by the words of the name. O(length), and no more than 256 characters of it. */
export function isSecretName (name: string): boolean {
  const words = wordsOf(name)
  const [last = '', first = ''] = [words.at(-1), words[0]]
  if (ABOUT.has(last) || (words.length > 1 && COUNTS.has(first))) return false
  const isKey = words.some((word, i) => (word === 'key' || word === 'keys') && OF_KEYS.has(words[i - 1] ?? ''))
  return isKey || words.some(isSecretWord) || END.test(words.join(''))
}

/** Whether this is a pair such as `{ name: 'DB_PASSWORD', value }`, as environments are written. */
export function hasSecretName (of: object): boolean {
  const name = 'name' in of ? of.name : 'key' in of ? of.key : undefined
  return typeof name === 'string' && isSecretName(name)
}
