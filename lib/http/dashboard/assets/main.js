/** The page follows the event stream: figures once a second, what happens at once. */
import { open } from './detail.js'
import { el, say, set } from './dom.js'
import { Model } from './model.js'
import { showNotice } from './notice.js'
import { Table } from './table.js'
import { Timeline } from './timeline.js'
import { Tools } from './tools.js'
import { freshness, nodeLine, notices, title, totalsLine } from './view.js'
import { clock, lookOf, span } from './words.js'

/** For how long one step of drawing may take, so that no frame is late, ms. */
const SLICE = 4
/** After so long without a word the figures are old, ms. */
const SILENCE = 4000
/** When the stream was refused, ms. */
const AGAIN = 5000

const base = location.pathname.endsWith('/') ? '' : `./${location.pathname.split('/').at(-1)}/`
const [node, registryLine, totals, link, notice] = ['node', 'registry', 'totals', 'link', 'notices'].map(id => document.getElementById(id))
const model = new Model()
const timeline = new Timeline()
let hasActions = false
let lastHeard = performance.now()
let lost = ''
/** The time of the figures that are shown, by the server's clock. */
let shownAt = 0
// How old they are is not read out each second.
const [linkText, linkAge] = [el('span', { role: 'status' }), el('span')]

const stage = { base, actions: () => hasActions, paused: () => tools.paused, now: () => model.now }
const table = new Table(base, row => row.detail === null ? open(row, stage) : row.detail.close())
const tools = new Tools(table, () => {
  drawLink()
  draw()
})

/** The drawing under way; what comes meanwhile is drawn by the next one. */
let drawing = null
let isStale = false

function draw () {
  if (drawing !== null) {
    isStale = true
    return
  }
  if (model.registry === null || tools.paused) return
  drawing = steps()
  requestAnimationFrame(frame)
}

function frame () {
  const end = performance.now() + SLICE
  let isDone = true
  try {
    do isDone = drawing.next().done
    while (!isDone && performance.now() < end)
  } finally {
    // Whatever went wrong, the next figures are drawn.
    if (isDone) drawing = null
  }
  if (!isDone) requestAnimationFrame(frame)
  else if (isStale) {
    isStale = false
    draw()
  }
}

function * steps () {
  const { registry, now } = model
  shownAt = now
  const services = [...model.services.values()].map(({ service }) => service)
  // Another process may have taken over.
  say(node, nodeLine(model.node))
  say(registryLine, freshness(registry, now))
  set(registryLine, 'class', lookOf(registry.state).tone)
  say(totals, totalsLine(model.totals))
  drawNotices(notices(registry, services, now))
  drawLink()
  timeline.show(model, tools.words)
  yield
  yield * table.show(model, () => tools.words)
}

function drawNotices (all) {
  while (notice.children.length > all.length) notice.lastElementChild.remove()
  while (notice.children.length < all.length) notice.append(document.createElement('div'))
  all.forEach((one, i) => showNotice(notice.children[i], one))
}

function drawLink () {
  const silent = performance.now() - lastHeard
  const isLost = lost !== '' || silent > SILENCE
  const said = [
    ...(isLost ? [`▲ Disconnected: ${lost === '' ? 'nothing is heard' : lost}.`] : []),
    ...(tools.paused ? ['‖ Paused. Press p to go on.'] : [])
  ]
  link.hidden = said.length === 0
  // What it was is in no good colour while nobody knows.
  if (isLost) set(registryLine, 'class', 'off')
  set(link, 'class', isLost ? 'bad' : 'warn')
  say(linkText, said.join(' '))
  say(linkAge, shownAt === 0 ? '' : ` The figures are those of ${clock(new Date(shownAt).toISOString(), model.now)}, ${span(model.now - shownAt)} ago.`)
  if (model.registry === null) return
  const services = [...model.services.values()].map(({ service }) => service)
  document.title = title(model.registry, services, [...(isLost ? ['disconnected'] : []), ...(tools.paused ? ['paused'] : [])].join(', '))
}

function follow () {
  const stream = new EventSource(`${base}events`)
  const on = (name, take) => stream.addEventListener(name, ({ data }) => {
    lastHeard = performance.now()
    lost = ''
    take(JSON.parse(data))
    draw()
  })
  on('hello', ({ actions }) => { hasActions = actions })
  on('snapshot', data => model.snapshot(data))
  on('stats', data => model.stats(data))
  for (const name of ['peer', 'service', 'registry']) on(name, data => model.record(data))
  stream.addEventListener('error', event => {
    // What the gateway sends under that name has data, and there is nothing of the kind.
    if (event.data !== undefined) return
    lost = 'the gateway cannot be reached'
    drawLink()
    if (stream.readyState !== EventSource.CLOSED) return
    lost = 'the gateway refuses the event stream; too many may be looking, or it is another one by now'
    setTimeout(follow, AGAIN)
  })
}

link.replaceChildren(linkText, linkAge)
// What gets the focus is not to lie below the header.
const header = document.querySelector('header')
new ResizeObserver(() => { document.documentElement.style.scrollPaddingTop = `${header.offsetHeight + 8}px` }).observe(header)
follow()
// Only what goes by the clock of this page: all else comes from the stream.
setInterval(drawLink, 1000)
