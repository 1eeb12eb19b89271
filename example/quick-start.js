import Fastify from 'fastify'
import upstreamEtcd from 'fastify-upstream-etcd'

const app = Fastify({ logger: true })

await app.register(upstreamEtcd, {
  etcd: 'http://127.0.0.1:2379',
  keyPrefix: '/v1/testing/services/',
  routes: [{ prefix: '/shop', service: 'my_test_service' }]
})

app.all('/orders/*', (request, reply) => reply.forward('orders'))

await app.listen({ port: 3000 })      // see http://localhost:3000/_upstreams
