/**
 * Secrets within text, by what stands before them or by how they look. Every expression here takes linear time: it begins only
 * where a run begins, or what it repeats has a bound, for the text may be 64 KiB of anything.
 */
import { isSecretName } from './names.js'
import { hideRuns } from './runs.js'

/** What stands where a secret was. */
export const HIDDEN = '[hidden]'

const PRIVATE_KEY = /-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----[\s\S]*?(?:-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----|$)/g

/**
 * `user:password@` of a URL: all up to the last `@` before its path, else, for passwords that hold a `/`, up to the first one
 * where no port stands, else what messages have cut off.
 */
const IN_URL = /(:\/\/[^\s/?#:[\]]{0,256}:)(?:[^\s/?#]+(?=@)|(?!\d{0,5}(?:[/?#\s…]|$))(?:[^\s@]{1,512}(?=@)|[^\s@]{1,512}(?=…)))/g

/** `name=value` wherever it stands, a query included. */
const NAME = /(?<![\w.-])([\w.-]{1,64})=/g
const VALUE = /"(?:[^"\\]|\\.)*"?|'[^']*'?|(?:(?!,[\w.-]{1,64}=)[^\s&;#"'<>])+/y

/** `name: "value"`, as YAML and messages have it. */
const FIELD = /(?<!["\w.-])([\w.-]{1,64}):\s{0,8}(?=["'])/g

/** `"name": value` in JSON, also where that JSON is quoted itself. */
const MEMBER = /(?<!["\w.-])(\\?)(["'])([\w.-]{1,64})\1\2\s{0,8}:\s{0,8}/g
const QUOTED = /"(?:[^"\\]|\\[\s\S])*"?|'(?:[^'\\]|\\[\s\S])*'?|[^\s,}\]"']+/y
const QUOTED_TWICE = /\\"(?:[^"\\]|\\\\\\"|\\(?!"))*(?:\\")?|[^\s,}\]"'\\]+/y

/** How names are told from text, and where their values end. */
const NAMED: ReadonlyArray<[RegExp, (found: RegExpMatchArray) => RegExp]> = [
  [NAME, () => VALUE],
  [FIELD, () => QUOTED],
  [MEMBER, ([, escape]) => escape === '' ? QUOTED : QUOTED_TWICE]
]

const CREDENTIALS = /(?<![\w-])(bearer|basic)((?:\s|%20|\+){1,64})(?!\s|%20|\+)([\w.~+/%-]+={0,2})/gi
/** What follows the word `bearer` in a sentence. */
const SENTENCE = new Set(['token', 'tokens', 'auth', 'authentication', 'authorization', 'credentials', 'is', 'was', 'of', 'in', 'or', 'and', 'for', 'not', 'realm', 'scheme', 'header'])

/** Of a JSON Web Token, and of what else is JSON in base64: it begins with `{"`. */
const JSON_WEB_TOKEN = /(?<![\w-])eyJ[\w-]{8,}(?:\.[\w-]*){0,4}/g

const PREFIXED = new RegExp(`(?<![A-Za-z0-9])(?:${[
  'gh[pousr]_\\w{4,}', 'github_pat_\\w{4,}', 'gl(?:pat|dt|rt|cbt|ptt|ft|soat|agent|oas|imt)-[\\w-]{8,}',
  'sk-(?:[a-z0-9]{1,10}-){0,3}(?=[A-Za-z_]{0,100}\\d)\\w{16,}[\\w-]*', '[srp]k_(?:live|test)_\\w{4,}', 'whsec_[\\w+/]{8,}',
  'xox[a-z]-[\\w-]{8,}', 'xapp-\\d-[\\w-]{8,}', '(?:AKIA|ASIA|AROA|AIDA)[A-Z0-9]{12,}', 'AIza[\\w-]{16,}', 'ya29\\.[\\w-]{8,}', 'GOCSPX-[\\w-]{8,}',
  'npm_[A-Za-z0-9]{16,}', 'pypi-[\\w-]{16,}', 'hv[sbr]\\.[\\w-]{8,}', 'SG\\.[\\w-]{8,}(?:\\.[\\w-]*)?', 'do[opr]_v1_[a-f0-9]{16,}',
  'dp\\.(?:pt|st|ct)\\.[\\w.-]{8,}', 'shp(?:at|ca|pa|ss)_[A-Fa-f0-9]{16,}', 'hf_[A-Za-z0-9]{16,}', 'AGE-SECRET-KEY-1[A-Z0-9]{16,}'
].join('|')})`, 'g')

/** The same text with `[hidden]` for each secret in it, and nothing else changed. Hiding again changes nothing. O(length). */
export function hideIn (text: string): string {
  // No rule finds a secret in so little.
  if (text.length < 6) return text
  const unsigned = text.replace(PRIVATE_KEY, HIDDEN).replace(IN_URL, `$1${HIDDEN}`)
  const named = NAMED.reduce((left, [names, valueOf]) => hideNamed(left, names, valueOf), unsigned)
  const plain = named.replace(CREDENTIALS, hideCredentials).replace(JSON_WEB_TOKEN, HIDDEN).replace(PREFIXED, HIDDEN)
  return hideRuns(plain, HIDDEN)
}

/** Hides the values that follow secret names; one that stays is looked at itself. */
function hideNamed (text: string, names: RegExp, valueOf: (found: RegExpMatchArray) => RegExp): string {
  const parts: string[] = []
  let end = 0
  for (const found of text.matchAll(names)) {
    const start = found.index + found[0].length
    if (found.index < end || !isSecretName(found.at(-1) ?? '')) continue
    const secret = valueAt(text, start, valueOf(found))
    const quote = /^\\?["']/.exec(secret)?.[0] ?? ''
    if (secret === quote) continue
    parts.push(text.slice(end, start), quote, HIDDEN, quote !== '' && secret.endsWith(quote) ? quote : '')
    end = start + secret.length
  }
  return parts.length === 0 ? text : parts.join('') + text.slice(end)
}

/** An object or a list is a value as a whole. */
function valueAt (text: string, start: number, one: RegExp): string {
  if (text.startsWith(HIDDEN, start)) return HIDDEN
  if (one !== VALUE && /[{[]/.test(text.charAt(start))) return text.slice(start, closing(text, start))
  one.lastIndex = start
  return one.exec(text)?.[0] ?? ''
}

/** Where what is opened at `start` has ended; the end of the text when it never does. */
function closing (text: string, start: number): number {
  let depth = 0
  for (let at = start; at < text.length; at++) {
    const letter = text.charAt(at)
    if (letter === '{' || letter === '[') depth++
    else if ((letter === '}' || letter === ']') && --depth === 0) return at + 1
  }
  return text.length
}

function hideCredentials (all: string, scheme: string, space: string, value: string): string {
  const isProse = scheme.toLowerCase() === 'bearer' ? SENTENCE.has(value.toLowerCase().replace(/\W+$/, '')) : /^(?:[a-z]{2,}|[A-Z]{2,})\W*$/.test(value)
  return isProse ? all : `${scheme}${space}${HIDDEN}`
}
