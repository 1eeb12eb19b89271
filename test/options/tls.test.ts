import t from 'tap'
import { errors } from '../../lib/errors.js'
import { readOptions, readServiceSettings, serviceDefaults } from '../../lib/options.js'
import { pem } from '../fixtures/pem.js'
import { Registry } from '../fixtures/registry.js'

const [ca, cert, key] = [pem('ca.pem'), pem('client.pem'), pem('client.key')]
const wrapped = (what: string, text: string): string => `-----BEGIN ${what}-----\n${text}\n-----END ${what}-----\n`

/** What OpenSSL takes for nothing, though it looks like PEM. */
const refused: Array<[what: string, tls: object, who: RegExp]> = [
  ['a certificate and the key of another', { cert, key: pem('server.key') }, /^options "[\w.]*tls\.cert" and "[\w.]*tls\.key" hold what TLS refuses: .*key values mismatch/],
  ['no certificate within', { cert: wrapped('CERTIFICATE', 'Zm9v'), key }, /tls\.cert" and .* refuses: \S/],
  ['no key within', { cert, key: wrapped('PRIVATE KEY', 'Zm9v') }, /tls\.cert" and .* refuses: \S/],
  ['each in the place of the other', { cert: key, key: cert }, /tls\.cert" and .* refuses: \S/],
  ['a key under a passphrase', { cert, key: wrapped('ENCRYPTED PRIVATE KEY', 'Zm9v') }, /tls\.cert" and .* refuses: \S/],
  ['no authority within', { ca: wrapped('CERTIFICATE', 'Zm9v') }, /^option "[\w.]*tls\.ca" holds what TLS refuses: \S/],
  ['a key for an authority', { ca: key }, /^option "[\w.]*tls\.ca" holds what TLS refuses: \S/]
]
const secrets = [key, pem('server.key')].flatMap(text => text.split('\n')).filter(line => line !== '' && !line.startsWith('-----'))

function refusal (read: () => unknown): string {
  try {
    read()
  } catch (error) {
    if (error instanceof errors.BAD_OPTION) return error.message
    throw error
  }
  return 'accepted'
}

t.test('what TLS would refuse is refused when it is read, and no key is shown', async t => {
  for (const [what, tls, who] of refused) {
    const messages = [
      refusal(() => readServiceSettings({ tls }, serviceDefaults, '')),
      refusal(() => readOptions({ peers: {}, services: { shop: { tls } } })),
      refusal(() => readOptions({ etcd: { hosts: 'https://a', tls } }))
    ]
    for (const message of messages) {
      t.match(message, who, what)
      t.notOk(secrets.some(line => message.includes(line)), 'no line of a key')
    }
  }
  const base = readServiceSettings({ tls: { ca, cert, key } }, serviceDefaults, '')
  t.match(refusal(() => readServiceSettings({ tls: { key: pem('server.key') } }, base, '')), /key values mismatch/, 'a key that does not go with the certificate there')
  t.equal(refusal(() => readServiceSettings({ tls: { ca: `${ca}${pem('other-ca.pem')}` } }, base, '')), 'accepted', 'several authorities')
})

t.test('in etcd it is an invalid key, and what was good stays', async t => {
  for (const [what, tls, who] of refused) {
    const registry = new Registry()
    registry.put('shop', { tls: { ca, cert, key } })
    t.same(registry.put('shop', { tls }), [], what)
    t.match(registry.syncer.invalidKeys.get('/services/shop'), /services\.shop\.tls/)
    t.match(registry.syncer.invalidKeys.get('/services/shop'), new RegExp(who.source.replace('^', '')))
    t.equal(registry.store.get('shop')?.settings.tls.key, key)
  }
})
