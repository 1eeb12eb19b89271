import { Latencies } from '../../test/fixtures/simulation/latencies.js'
import { Simulation } from '../../test/fixtures/simulation/simulation.js'
import { BLUE, FAINT, ORANGE, picture, Plot, rule, text, type Point } from './chart.js'

const PEERS = 100
/** Requests a second for each; one that is ten times slower can do 40. */
const PER_PEER = 36
/** Seconds. */
const SHOWN = 120
const [FROM, TO] = [30, 90]
const WINDOW = 2
const WARM_UP = 20

interface Course {
  readonly p50: Point[]
  readonly p99: Point[]
  /** While one in ten is slow and everybody knows. */
  readonly settled: number
}

function simulate (balancer: 'round-robin' | 'p2c-ewma'): Course {
  const sim = new Simulation({ rate: PEERS * PER_PEER, settings: { balancer } })
  for (let i = 0; i < PEERS; i++) sim.join(`p${i}`)
  const slow = Array.from({ length: PEERS / 10 }, (_, i) => sim.machine(`p${10 * i}`))
  sim.at(WARM_UP + FROM, () => { for (const machine of slow) machine.slowness = 10 })
  sim.at(WARM_UP + TO, () => { for (const machine of slow) machine.slowness = 1 })
  sim.run(WARM_UP)
  const course = { p50: new Array<Point>(), p99: new Array<Point>(), settled: 0 }
  const settled = new Latencies()
  for (let second = 0; second < SHOWN; second += WINDOW) {
    sim.latencies.clear()
    sim.run(WARM_UP + second + WINDOW)
    const { latencies } = sim
    course.p50.push([second + WINDOW / 2, latencies.quantile(0.5)])
    course.p99.push([second + WINDOW / 2, latencies.quantile(0.99)])
    if (second >= FROM + 10 && second < TO) settled.addAll(latencies)
  }
  course.settled = settled.quantile(0.99)
  return course
}

/** What clients wait while one peer in ten is slow, with round-robin and with p2c-ewma. */
export function latency (): string {
  const [inTurn, byLatency] = [simulate('round-robin'), simulate('p2c-ewma')]
  const plot = new Plot({ left: 62, top: 84, width: 640, height: 270 },
    { label: 'seconds', from: 0, to: SHOWN, ticks: [0, 15, 30, 45, 60, 75, 90, 105, 120] },
    { label: 'milliseconds, logarithmic', from: 5, to: 1000, ticks: [5, 10, 20, 50, 100, 200, 500, 1000], log: true })
  const drawn = [plot.band(FROM, TO, '#f4f1ea'), plot.frame()]
  for (const second of [FROM, TO]) drawn.push(rule(plot.x(second), plot.box.top, plot.x(second), plot.y(5), FAINT, '3 3'))
  drawn.push(text(plot.x(60), plot.box.top + 16, 'one peer in ten is ten times slower', { anchor: 'middle', colour: FAINT }))
  drawn.push(plot.line(inTurn.p99, { colour: ORANGE, dash: '7 4' }), plot.line(byLatency.p99, { colour: BLUE }))
  drawn.push(plot.line(inTurn.p50, { colour: ORANGE, dash: '2 3' }), plot.line(byLatency.p50, { colour: BLUE, width: 1.2 }))
  drawn.push(text(plot.x(60), plot.y(inTurn.settled) + 30, `p99 ${Math.round(inTurn.settled)} ms`, { colour: ORANGE, anchor: 'middle', bold: true }))
  drawn.push(text(plot.x(60), plot.y(byLatency.settled) - 12, `p99 ${Math.round(byLatency.settled)} ms`, { colour: BLUE, anchor: 'middle', bold: true }))
  drawn.push(key(62, 'round-robin p99', ORANGE, 2, '7 4'), key(214, 'round-robin p50', ORANGE, 2, '2 3'))
  drawn.push(key(366, 'p2c-ewma p99', BLUE, 2), key(504, 'p2c-ewma p50', BLUE, 1.2))
  drawn.push(text(62, 70, `Quantiles of ${WINDOW} s each.`, { colour: FAINT }))
  return picture(400, `Latency: ${PEERS} peers of four servers that need 10 ms, ${PEERS * PER_PEER} requests per second`,
    `Median and 99th percentile over two minutes. While one peer in ten is ten times slower, p99 is ${Math.round(inTurn.settled)} ms with round-robin and ${Math.round(byLatency.settled)} ms with p2c-ewma; the medians hardly differ.`, drawn)
}

function key (x: number, words: string, colour: string, width: number, dash?: string): string {
  return `<path d="M${x} 46h30" stroke="${colour}" stroke-width="${width}" fill="none"${dash === undefined ? '' : ` stroke-dasharray="${dash}"`}/>\n` + text(x + 36, 50, words)
}
