import t from 'tap'
import { family, labelled } from '../../lib/http/metrics/exposition.js'
import { parseMetrics, valueOf, valuesOf } from '../fixtures/exposition.js'

const HEAD = '# HELP a_total Some.\n# TYPE a_total counter\n'
const HISTOGRAM = '# HELP h Some.\n# TYPE h histogram\n'

t.test('what is no valid text is not read', async t => {
  const bad: Array<[text: string, complaint: RegExp]> = [
    [`${HEAD}a_total 1`, /no end/],
    [HEAD, /no samples/],
    ['a_total 1\n', /outside/],
    ['# TYPE a_total counter\na_total 1\n', /without help/],
    ['# HELP a_total Some.\na_total 1\n', /outside/],
    ['# HELP a Some.\n# HELP b Some.\n# TYPE b gauge\nb 1\n', /no type/],
    ['# HELP a Some.\n# TYPE a summary\na 1\n', /unknown type/],
    ['# HELP a Some.\n# TYPE a counter\na 1\n', /_total/],
    ['# HELP a_total Some.\n# TYPE a_total gauge\na_total 1\n', /_total/],
    [`${HEAD}b_total 1\n`, /not of/],
    [`${HEAD}a_total 1\na_total 2\n`, /twice/],
    [`${HEAD}a_total{x="1"} 1\na_total{x="1"} 2\n`, /twice/],
    [`${HEAD}a_total 1\n${HEAD}a_total{x="1"} 1\n`, /two pieces/],
    ...['a_total -1', 'a_total NaN', 'a_total', 'a_total{} 1', 'a_total {x="1"} 1', 'a_total 1 ', 'a_total  1', '', '# a remark'].map(
      (line): [string, RegExp] => [`${HEAD}${line}\n`, /no sample|outside|not of/]),
    ...['x=1', 'x="1",', 'x="1"y="2"', 'x="a"b"', 'x="\\t"', 'x="1",x="2"', '1x="1"', ',x="1"'].map(
      (labels): [string, RegExp] => [`${HEAD}a_total{${labels}} 1\n`, /bad labels/]),
    ...['h_bucket{le="1"} 1\nh_sum 1\nh_count 1', 'h_bucket{le="+Inf"} 1\nh_count 1', 'h_bucket{le="+Inf"} 1\nh_sum 1\nh_count 2',
      'h_bucket{le="1"} 2\nh_bucket{le="+Inf"} 1\nh_sum 1\nh_count 1', 'h_bucket{le="2"} 1\nh_bucket{le="1"} 1\nh_bucket{le="+Inf"} 1\nh_sum 1\nh_count 1'].map(
      (lines): [string, RegExp] => [`${HISTOGRAM}${lines}\n`, /no histogram/])
  ]
  for (const [text, complaint] of bad) t.throws(() => parseMetrics(text), complaint, text)
})

t.test('what is written is read as it was', async t => {
  const name = 'a "b"\\c\nd,{e="f"}'
  const text = [...family('x_total', 'counter', 'Some.', [{ labels: labelled({ name, other: '' }), value: 2 ** 53 + 2 }, { value: 2n ** 64n }])].join('')
  t.same(parseMetrics(text).get('fastify_upstream_x_total'), {
    type: 'counter',
    help: 'Some.',
    samples: [
      { name: 'fastify_upstream_x_total', labels: { name, other: '' }, value: 2 ** 53 + 2 },
      { name: 'fastify_upstream_x_total', labels: {}, value: 2 ** 64 }
    ]
  })
  t.same([...family('none', 'gauge', 'None.', [])], [], 'a family without samples is left out')
  const parts = [{ part: '_bucket', labels: 'le="+Inf"', value: 3 }, { part: '_sum', value: 0.25 }, { part: '_count', value: 3 }]
  const histogram = parseMetrics([...family('h', 'histogram', 'Some.', parts)].join(''))
  t.equal(valueOf(histogram, 'h_sum'), 0.25)
  t.same(valuesOf(histogram, 'h_bucket', 'le'), { '+Inf': 3 })
  t.equal(valueOf(histogram, 'h'), undefined)
})
