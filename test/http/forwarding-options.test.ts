import t from 'tap'
import { checkForwarding, type ForwardingOptions } from '../../lib/http/forward/forwarding-options.js'

t.test('retry is an object or false; what is in it is read later', async t => {
  for (const retry of [false, {}, { attempts: 1 }, undefined] as const) t.doesNotThrow(() => checkForwarding({ retry } as ForwardingOptions))
  const rows: Array<[unknown, string]> = [
    [true, 'option "retry" must be an object or false, got true'],
    [null, 'option "retry" must be an object or false, got null'],
    [2, 'option "retry" must be an object or false, got 2']
  ]
  for (const [retry, message] of rows) {
    t.throws(() => checkForwarding({ retry } as ForwardingOptions), { code: 'FST_UPSTREAM_BAD_OPTION', message })
  }
  t.throws(() => checkForwarding({ rety: false } as ForwardingOptions), { message: 'unknown option "rety" of reply.forward, known: path, query, headers, key, timeout, retry, onResponse' })
})
