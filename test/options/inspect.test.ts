import t from 'tap'
import { errors } from '../../lib/errors.js'
import { readOptions, type InspectSettings } from '../../lib/options.js'

const defaults = { path: '/_upstreams', access: 'loopback', open: ['ready'], actions: false, hooks: {} }

function read (inspect: unknown): InspectSettings | false {
  return readOptions({ peers: {}, inspect }).inspect
}

function refusal (inspect: unknown): string {
  try {
    read(inspect)
  } catch (error) {
    if (error instanceof errors.BAD_OPTION) return error.message
    throw error
  }
  return 'accepted'
}

t.test('good values', async (t) => {
  const hook = async () => {}
  const rows: Array<[unknown, unknown]> = [
    [undefined, defaults],
    [{}, defaults],
    [false, false],
    [{ actions: false }, defaults],
    [{ path: '/' }, { ...defaults, path: '/' }],
    [{ path: '/admin/up_streams.v1' }, { ...defaults, path: '/admin/up_streams.v1' }],
    [{ access: 'all' }, { ...defaults, access: 'all' }],
    [{ open: [] }, { ...defaults, open: [] }],
    [{ open: ['metrics', 'ready'] }, { ...defaults, open: ['metrics', 'ready'] }]
  ]
  for (const [given, expected] of rows) t.strictSame(read(given), expected)
  const authorize = (): boolean => true
  const { actions } = read({ actions: { authorize } }) as InspectSettings
  t.strictSame(actions, { authorize })
  t.ok(Object.isFrozen(actions))
  t.strictSame(read({ onSend: hook }), { ...defaults, hooks: { onSend: hook } })
})

t.test('an onRequest hook is the guard, unless access is said', async (t) => {
  const hook = async () => {}
  t.strictSame(read({ onRequest: hook }), { ...defaults, access: 'all', hooks: { onRequest: hook } })
  t.strictSame(read({ onRequest: [hook] }), { ...defaults, access: 'all', hooks: { onRequest: [hook] } })
  t.strictSame(read({ onRequest: hook, access: 'loopback' }), { ...defaults, hooks: { onRequest: hook } })
  t.strictSame(read({ onRequest: [] }), defaults, 'an empty list guards nothing')
  t.strictSame(read({ onRequest: undefined }), defaults)
})

t.test('bad values', async (t) => {
  const path = 'a path such as "/_upstreams", without parameters or a "/" at the end'
  const rows: Array<[unknown, string]> = [
    [true, 'option "inspect" must be an object or false, got true'],
    [null, 'option "inspect" must be an object or false, got null'],
    ['/x', 'option "inspect" must be an object or false, got "/x"'],
    [{ path: 'x' }, `option "inspect.path" must be ${path}, got "x"`],
    [{ path: '' }, `option "inspect.path" must be ${path}, got ""`],
    [{ path: '/x/' }, `option "inspect.path" must be ${path}, got "/x/"`],
    [{ path: '//x' }, `option "inspect.path" must be ${path}, got "//x"`],
    [{ path: '/:x' }, `option "inspect.path" must be ${path}, got "/:x"`],
    [{ path: '/x\n' }, `option "inspect.path" must be ${path}, got "/x\\n"`],
    [{ path: '/x/../y' }, `option "inspect.path" must be ${path}, got "/x/../y"`],
    [{ path: '/.' }, `option "inspect.path" must be ${path}, got "/."`],
    [{ path: '/*' }, `option "inspect.path" must be ${path}, got "/*"`],
    [{ access: 'any' }, 'option "inspect.access" must be "loopback" or "all", got "any"'],
    [{ open: 'ready' }, 'option "inspect.open" must be a list of "ready" or "metrics", got "ready"'],
    [{ open: ['events'] }, 'option "inspect.open[0]" must be "ready" or "metrics", got "events"'],
    [{ actions: true }, 'option "inspect.actions" must be false or { authorize (request) }, got true'],
    [{ actions: null }, 'option "inspect.actions" must be false or { authorize (request) }, got null'],
    [{ actions: () => true }, 'option "inspect.actions" must be false or { authorize (request) }, got [function]'],
    [{ actions: {} }, 'option "inspect.actions.authorize" must be a function of the request, got undefined'],
    [{ actions: { authorize: true } }, 'option "inspect.actions.authorize" must be a function of the request, got true'],
    [{ actions: { authorise () {} } }, 'unknown option "inspect.actions.authorise", did you mean "inspect.actions.authorize"?'],
    [{ onRequest: true }, 'option "inspect.onRequest" must be a function or a list of functions, got true'],
    [{ acess: 'all' }, 'unknown option "inspect.acess", did you mean "inspect.access"?']
  ]
  for (const [inspect, message] of rows) t.equal(refusal(inspect), message)
})
