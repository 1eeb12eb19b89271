/**
 * What every contender in Node does beside proxying: it reads its configuration, says where it listens, and ends with
 * its parent. By hand, for a profile: `node --cpu-prof bench/contenders/ours.js '{"port":3000}'`, and Ctrl-C.
 */

/**
 * @typedef {object} Config
 * @property {number} port 0 for any free one
 * @property {string[]} upstreams `host:port` of the backends; contenders without a balancer take the first
 * @property {number} services how many services the registry holds; 0 for one that all paths belong to (only ours and floor)
 * @property {string | null} dist the folder of our built package; null for this checkout's (only ours)
 */

/** @type {Config} */
const defaults = { port: 0, upstreams: ['127.0.0.1:9001', '127.0.0.1:9002', '127.0.0.1:9003'], services: 0, dist: null }

function memory () {
  // Twice, because what the first one finalizes is only then garbage.
  globalThis.gc?.()
  globalThis.gc?.()
  return process.memoryUsage()
}

/**
 * Runs a contender. `start` listens on 127.0.0.1 and resolves with the port.
 * @param {(config: Config) => Promise<number>} start
 */
export async function run (start) {
  // With `--cpu-prof` the profile is written on exit, not when a signal kills.
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(0))
  process.on('disconnect', () => process.exit(0))
  process.on('message', () => process.send?.(memory()))
  const port = await start({ ...defaults, ...JSON.parse(process.argv[2] ?? '{}') })
  if (process.send === undefined) console.log(`http://127.0.0.1:${port}`)
  else process.send({ port })
}

/**
 * Listens with a plain `node:http` server.
 * @param {import('node:http').Server} server
 * @param {number} port
 * @returns {Promise<number>}
 */
export function listen (server, port) {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, '127.0.0.1', () => resolve(server.address().port))
  })
}

/**
 * Listens with a Fastify application.
 * @param {import('fastify').FastifyInstance} app
 * @param {number} port
 * @returns {Promise<number>}
 */
export async function listenFastify (app, port) {
  await app.listen({ port, host: '127.0.0.1' })
  return app.server.address().port
}
