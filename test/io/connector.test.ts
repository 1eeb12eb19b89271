import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { connector } from '../../lib/io/connector.js'
import { Pools } from '../../lib/io/pools.js'
import { serviceDefaults } from '../../lib/options.js'
import { PeerState } from '../../lib/store/peer.js'
import { Asked } from '../fixtures/asked.js'
import { pem } from '../fixtures/pem.js'
import { freePort } from '../fixtures/port.js'
import { peer, settings } from '../fixtures/pure.js'

/** Options would refuse it; what TLS throws for other reasons must do no more harm. */
const unusable = { ...serviceDefaults.tls, cert: pem('client.pem'), key: pem('server.key') }

t.test('what TLS throws is a connection that failed, told once and later, and no timer is left', async t => {
  const connect = connector({ timeout: 20, tls: unusable, allowH2: false })
  const told: Array<Error | null> = []
  const options = { hostname: '127.0.0.1', host: '127.0.0.1', protocol: 'https:', port: String(await freePort()) }
  connect(options, (...[error]) => { told.push(error) })
  t.same(told, [], 'not from within the call')
  // An error of the timer's would be nobody's, and end the process.
  await sleep(60)
  t.match(told, [{ message: /key values mismatch/ }])
  t.equal(told.length, 1)
})

t.test('a pool is made all the same, and each request by it fails', async t => {
  const pools = new Pools()
  t.teardown(async () => await pools.close())
  for (const allowH2 of [false, true]) {
    const registered = peer(`127.0.0.1:${await freePort()}`, { scheme: 'https', host: '127.0.0.1' })
    const pool = pools.for(new PeerState(registered, 0, null), registered, settings({ tls: unusable, pool: { ...serviceDefaults.pool, allowH2 } }), 'plain')
    await t.rejects(new Asked(pool, {}).answered, /key values mismatch/)
  }
})
