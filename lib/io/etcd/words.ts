/** What goes wrong between a gateway and etcd, in the words of whoever has to mend it. */

/** How etcd, grpc-js and OpenSSL word it, in the order in which they are looked for, and what it comes to. */
const CAUSES: ReadonlyArray<readonly [pattern: RegExp, words: string]> = [
  [/ECONNREFUSED/, 'connection refused'],
  [/ENOTFOUND|EAI_AGAIN|Name resolution failed/, 'its name cannot be resolved'],
  [/does not match certificate|altnames|Hostname\/IP/i, 'its certificate is for another name'],
  [/self[- ]signed|unable to (?:verify|get)|issuer|CERT_|certificate has expired|certificate is not yet/i, 'its certificate is not signed by an authority that is trusted here'],
  [/certificate required|bad certificate|handshake failure|alert/i, 'it asks for a client certificate, or does not accept the one it was given'],
  [/authentication failed|invalid user ID or password/, 'wrong user name or password'],
  [/user name is empty/, 'it asks for a user name and a password'],
  [/auth token was refused|invalid auth token|auth store is old/, 'the token was refused, and a new one is fetched'],
  [/permission denied/, 'permission denied: the role needs to read the key prefix'],
  [/no leader/, 'no leader: the quorum is lost, or this member is cut off from the others'],
  [/DEADLINE_EXCEEDED|[Dd]eadline exceeded|timed out|did not create the watch/, 'no answer in time'],
  [/ECONNRESET|EPIPE|Failed to connect|socket hang up|read ETIMEDOUT|[Cc]onnection dropped|ended the watch/, 'the connection broke'],
  [/circuit breaker/, 'all hosts have just failed']
]

/** A sentence about a failed call: who, what it comes to, and the original words. */
export function sentenceOf (error: unknown, hosts: string): string {
  const message = error instanceof Error ? error.message : String(error)
  // grpc-js words its errors with an empty note at the end, or with times that differ from error to error.
  const original = message.replace(/\.? ?Resolution note:\s*$/, '').replace(/(?<=Deadline exceeded) after .*/s, '').replace(/ ?\(\d{4}-\d\d-\d\dT[^)]*\)/g, '')
  const words = CAUSES.find(([pattern]) => pattern.test(original))?.[1]
  return words === undefined ? `etcd (${hosts}): ${original}` : `etcd (${hosts}): ${words} (${original})`
}
