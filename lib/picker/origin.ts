/**
 * A service as the origin of a URL: `orders` is `http://orders.upstream`, and `my_test-service.v1` is readable, too. What
 * a host name cannot hold, or what a URL would change, is written as its UTF-16 code: `_2f` for a slash, `_u00e9` for é.
 * So every name has one origin of its own, which any URL parser leaves as it is.
 */

const ORIGIN = /^http:\/\/([a-z0-9_.-]*)\.upstream$/
/**
 * Not a lower-case letter, digit or `_`; a dot or hyphen that is not between two of these, for there would be an empty
 * label, or one that says it is punycode; and a `_` that would read as the start of such a code.
 */
const UNFIT = /[^a-z0-9_.-]|(?<![a-z0-9_])[.-]|[.-](?![a-z0-9_])|_(?=[0-9a-f]{2}|u[0-9a-f]{4})/g
const CODE = /_(?:([0-9a-f]{2})|u([0-9a-f]{4}))/g

/** The origin that selects the service of that name. */
export function originFor (service: string): string {
  return `http://${service.replace(UNFIT, escape)}.upstream`
}

/** The name of the service that an origin selects; undefined for an origin that selects none. */
export function serviceAt (origin: string): string | undefined {
  const host = ORIGIN.exec(origin)?.[1]
  return host?.replace(CODE, (_, short: string | undefined, long: string) => String.fromCharCode(parseInt(short ?? long, 16)))
}

function escape (character: string): string {
  const code = character.charCodeAt(0)
  return code < 256 ? `_${code.toString(16).padStart(2, '0')}` : `_u${code.toString(16).padStart(4, '0')}`
}
