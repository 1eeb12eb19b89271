import t from 'tap'
import { sentenceOf } from '../../lib/io/etcd/words.js'

t.test('what went wrong, who it was, and the original words', async t => {
  const rows: Array<[original: string, words: string]> = [
    ['14 UNAVAILABLE: No connection established. Last error: connect ECONNREFUSED 127.0.0.1:1. Resolution note: ', 'connection refused'],
    ['14 UNAVAILABLE: Name resolution failed for target dns:nowhere.test:2379', 'its name cannot be resolved'],
    ['14 UNAVAILABLE: No connection established. Last error: self-signed certificate in certificate chain. Resolution note:', 'its certificate is not signed by an authority that is trusted here'],
    ['14 UNAVAILABLE: unable to verify the first certificate', 'its certificate is not signed by an authority that is trusted here'],
    ["Hostname/IP does not match certificate's altnames: IP: 127.0.0.1 is not in the cert's list", 'its certificate is for another name'],
    ['14 UNAVAILABLE: ssl3_read_bytes:tlsv13 alert certificate required', 'it asks for a client certificate, or does not accept the one it was given'],
    ['etcdserver: authentication failed, invalid user ID or password', 'wrong user name or password'],
    ['3 INVALID_ARGUMENT: etcdserver: user name is empty', 'it asks for a user name and a password'],
    ['16 UNAUTHENTICATED: etcdserver: the auth token was refused', 'the token was refused, and a new one is fetched'],
    ['7 PERMISSION_DENIED: etcdserver: permission denied', 'permission denied: the role needs to read the key prefix'],
    ['14 UNAVAILABLE: etcdserver: no leader', 'no leader: the quorum is lost, or this member is cut off from the others'],
    ['4 DEADLINE_EXCEEDED: Deadline exceeded after 2.001s', 'no answer in time'],
    ['14 UNAVAILABLE: etcdserver: request timed out', 'no answer in time'],
    ['14 UNAVAILABLE: read ECONNRESET', 'the connection broke'],
    ['14 UNAVAILABLE: No connection established. Last error: Failed to connect (2026-11-25T20:20:10.360Z)', 'the connection broke'],
    ['Execution prevented because the circuit breaker is open', 'all hosts have just failed']
  ]
  for (const [original, words] of rows) {
    const sentence = sentenceOf(new Error(original), 'https://a:2379, https://b:2379')
    t.ok(sentence.startsWith(`etcd (https://a:2379, https://b:2379): ${words} (`), sentence)
    t.ok(sentence.includes(original.slice(0, 20)))
    t.notMatch(sentence, /Resolution note|2026|2\.001/)
  }
  t.equal(sentenceOf('something else', 'http://a:1'), 'etcd (http://a:1): something else')
})
