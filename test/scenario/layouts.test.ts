import { Etcd3 } from 'etcd3'
import t from 'tap'
import { startEtcd } from '../fixtures/etcd.js'
import { startGateway } from '../fixtures/gateway.js'
import { startPeer } from '../fixtures/peer.js'
import { until } from '../fixtures/wait.js'

/** Under one prefix, as several systems would write them. `auto` tells them apart. */
const written: Record<string, (id: string) => Array<[key: string, value: string]>> = {
  plain: id => [[`plain/${id}`, '{"weight": 2}']],
  registrator: id => [['registrator/dockerhost:web.1:80', id]],
  'go-zero': id => [['go-zero/7587870460981677828', id]],
  'go-micro': id => [['go-micro/go-micro-5a1', JSON.stringify({ name: 'go.micro', version: 'latest', metadata: null, endpoints: [], nodes: [{ id: 'go-micro-5a1', address: id, metadata: {} }] })]],
  kitex: id => [[`kitex/${id}`, JSON.stringify({ network: 'tcp', address: id, weight: 10, tags: null })]],
  kratos: id => [['kratos/7d2', JSON.stringify({ id: '7d2', name: 'kratos', version: '', metadata: {}, endpoints: [`grpc://${id}?isSecure=false`, `http://${id}?isSecure=false`] })]],
  vulcand: id => [['vulcand/servers/srv1', JSON.stringify({ Id: 'srv1', URL: `http://${id}` })]],
  'default.skydns': id => [['skydns/default/x1', JSON.stringify({ host: id.split(':')[0], port: Number(id.split(':')[1]), ttl: 60 })]],
  apisix: id => [['apisix', JSON.stringify({ type: 'roundrobin', nodes: { [id]: 1 } })]],
  traefik: id => [
    ['traefik/loadbalancer/servers/0/url', `http://${id}/`],
    ['traefik/loadbalancer/servers/0/weight', '4'],
    ['traefik/loadbalancer/healthcheck/path', '/health']
  ]
}

t.test('what other systems write into etcd is listed, followed and sent to', async t => {
  const etcd = await startEtcd(t)
  const peer = await startPeer(t)
  const services = Object.entries(written)
  for (const [key, value] of services.slice(0, 5).flatMap(([, keys]) => keys(peer.id))) await etcd.put(`/all/${key}`, value)
  const { app, send } = await startGateway(t, {
    etcd: etcd.endpoint, keyPrefix: '/all/', routes: services.map(([service]) => ({ prefix: `/${service}`, service }))
  })
  for (const [key, value] of services.slice(5).flatMap(([, keys]) => keys(peer.id))) await etcd.put(`/all/${key}`, value)
  await until(() => app.upstreams.show('traefik').peers[0]?.weight === 4, { what: 'the last key' })
  for (const [service] of services) {
    t.same(app.upstreams.show(service).peers.map(({ host, port }) => `${host}:${port}`), [peer.id], service)
    t.equal((await send(`/${service}/x`)).status, 200, service)
  }
  t.same(app.upstreams.status().registry.invalidKeys, [])
})

t.test('of a Traefik server written in one transaction nobody sees half', async t => {
  const etcd = await startEtcd(t)
  const client = new Etcd3({ hosts: etcd.endpoint })
  t.teardown(() => client.close())
  const { app } = await startGateway(t, { etcd: etcd.endpoint, keyPrefix: 'traefik/http/services/', format: 'traefik', routes: [{ prefix: '/web', service: 'web' }] })
  const at = (field: string) => `traefik/http/services/web/loadbalancer/servers/0/${field}`
  const seen = new Set<string>()
  const look = setInterval(() => app.upstreams.show('web').peers.forEach(({ port, weight }) => seen.add(`${port}*${weight}`)), 1)
  t.teardown(() => clearInterval(look))
  for (let i = 1; i <= 20; i++) {
    await client.if('never', 'Create', '==', 0).then(
      client.put(at('url')).value(`http://127.0.0.1:${i}`), client.put(at('weight')).value(String(i))).commit()
  }
  await until(() => app.upstreams.show('web').peers[0]?.port === 20, { what: 'the last transaction' })
  await until(() => seen.has('20*20'), { what: 'a look at it' })
  t.same([...seen].filter(it => it.split('*')[0] !== it.split('*')[1]), [], `saw ${seen.size}`)
  await client.delete().all().prefix('traefik/')
  await until(() => app.upstreams.show('web').peers.length === 0, { what: 'the end of the server' })
})
