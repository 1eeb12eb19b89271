/** `npm run demo` shows a gateway at work until Ctrl-C; `npm run demo -- --once` plays a story and says what came of it. */
import { parseArgs } from 'node:util'
import { atEnd, run } from './demo/ending.js'
import { findEtcd, howToGet, isHealthy, startEtcd } from './demo/etcd.js'
import { startGateway } from './demo/gateway.js'
import { connect } from './demo/registration.js'
import { startServices } from './demo/services.js'
import { tell } from './demo/story.js'
import { commandFor, showTable } from './demo/table.js'
import { Traffic } from './demo/traffic.js'

/** The etcd that somebody has already. */
function named (): string | null {
  const etcd = process.env['ETCD'] || null
  return etcd === null || etcd.includes('://') ? etcd : `http://${etcd}`
}

/** The endpoint to use: the one that ETCD names, else of an etcd started for it, else null. */
async function etcdToShow (): Promise<string | null> {
  const etcd = named()
  if (etcd !== null) {
    if (!await isHealthy(etcd)) throw new Error(`ETCD=${etcd} does not answer, or is not healthy.`)
    return etcd
  }
  const binary = findEtcd()
  return binary === null ? null : (await startEtcd(binary)).endpoint
}

async function show (): Promise<number> {
  const etcd = await etcdToShow()
  const services = await startServices(etcd, 30)
  // A check a second, so that one can watch what they find.
  const gateway = await startGateway(etcd, services, { check: { interval: 1000 } })
  const traffic = new Traffic(`${gateway.url}/shop/hello`)
  showTable({
    gateway,
    traffic,
    etcd,
    hints: width => etcd === null
      ? [howToGet]
      : ['Change a weight and watch the shares:', ...commandFor(etcd, services[0], width)]
  })
  return await new Promise<never>(() => {})
}

async function playOnce (): Promise<number> {
  // One of our own, because the story kills it; another's only when there is no binary.
  const binary = findEtcd()
  const etcd = binary === null ? null : await startEtcd(binary)
  const endpoint = etcd?.endpoint ?? await etcdToShow()
  if (endpoint === null) throw new Error(`The story needs a real etcd. ${howToGet}`)
  // No slow start, and quick checks that alone decide who is out (an ejection lasts 30 s by default): the story wants
  // exact shares, and has less than half a minute.
  const services = await startServices(endpoint, 0)
  const gateway = await startGateway(endpoint, services, { check: { interval: 200, fall: 2 }, outlier: false })
  const client = connect(endpoint)
  atEnd(() => client.close())
  return await tell({ gateway, traffic: new Traffic(`${gateway.url}/shop/hello`), client, services, etcd })
}

run(async () => {
  const { values } = parseArgs({ options: { once: { type: 'boolean', default: false } } })
  return values.once ? await playOnce() : await show()
})
