/** The form below a peer: what may be done to it, for those whom the gateway lets. */
import { el } from './dom.js'

const option = (value, text = value) => el('option', { value }, text)

/** `url` is the peer's; `done` is called when something was done. */
export function actions (url, peer, done) {
  const said = el('span', { role: 'status' })
  const status = el('select', { name: 'status' }, option('', 'as it is'), option('up'), option('drain'), option('down'))
  const weight = el('input', { name: 'weight', type: 'number', min: 0, step: 'any', size: 6 })
  const minutes = el('input', { name: 'minutes', type: 'number', min: 1, value: 15, size: 4, required: true })
  const scope = el('select', { name: 'scope' }, option('local', 'on this gateway, for a while'), option('registry', 'in the registry, for all'))
  const reason = el('input', { name: 'reason', maxlength: 500, size: 24 })
  const force = el('input', { name: 'force', type: 'checkbox' })

  const send = async body => {
    said.textContent = '…'
    try {
      const answer = await fetch(url, { method: 'PATCH', headers: { 'content-type': 'application/json', 'x-upstreams-action': '1' }, body: JSON.stringify(body) })
      const { message, state } = await answer.json()
      said.textContent = answer.ok ? `Done: ${answer.status === 202 ? 'written, and not heard of yet' : `it is ${state}`}.` : `Refused (${answer.status}): ${message}`
    } catch (error) {
      said.textContent = `It could not be sent: ${error.message}`
    }
    done()
  }
  const wish = () => {
    const lasts = scope.value === 'local' && (weight.value !== '' || status.value === 'drain' || status.value === 'down')
    return {
      ...(status.value !== '' && { status: status.value }),
      ...(weight.value !== '' && { weight: Number(weight.value) }),
      ...(lasts && { for: Number(minutes.value) * 60_000 }),
      ...(reason.value.trim() !== '' && { reason: reason.value.trim() }),
      ...(force.checked && { force: true }),
      scope: scope.value
    }
  }
  const label = (text, input) => el('label', {}, `${text} `, input)
  return el('form', {
    'aria-label': `Actions for ${peer}`,
    onsubmit: event => {
      event.preventDefault()
      send(wish())
    }
  }, label('Status', status), label('Weight', weight), label('Where', scope), label('Minutes', minutes), label('Reason', reason), label('Even the last one', force),
  el('button', { type: 'submit' }, 'Do it'), el('button', { type: 'button', onclick: () => send({ check: true }) }, 'Check now'), said)
}
