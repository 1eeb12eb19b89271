/** Where the members of a JSON object stand in its text, so that one can be changed and every other byte stays. */

/** A member's name, and where its value begins and ends. */
export interface Member {
  readonly name: string
  readonly from: number
  readonly to: number
}

/** A text, a bracket, a colon, a comma, or a word such as a number. */
const TOKEN = /"(?:[^"\\]+|\\.)*"|[{}[\],:]|[^\s"{}[\],:]+/g

/** The members of the object that begins at `open`, in order, equal names included. `text` must be good JSON. O(length). */
export function membersOf (text: string, open: number): Member[] {
  const members: Member[] = []
  const tokens = new RegExp(TOKEN)
  tokens.lastIndex = open
  let name: string | null = null
  let [depth, from, to] = [0, -1, -1]
  for (let found = tokens.exec(text); found !== null; found = tokens.exec(text)) {
    const [token] = found
    const isEnd = token === '}' || token === ']'
    if (depth === 1 && (isEnd || token === ',')) {
      if (name !== null) members.push({ name, from, to })
      if (isEnd) break
      name = null
      from = -1
    } else if (depth === 1 && name === null) {
      name = String(JSON.parse(token))
    } else if (depth !== 1 || token !== ':') {
      if (depth > 0 && from === -1) from = found.index
      if (token === '{' || token === '[') depth++
      else if (isEnd) depth--
      to = tokens.lastIndex
    }
  }
  return members
}

/** The text with the value of `name` in the object at `open` replaced, wherever it is there, or added as its last member. */
export function withMember (text: string, open: number, name: string, json: string): string {
  const members = membersOf(text, open)
  const own = members.filter(member => member.name === name)
  if (own.length > 0) return own.reduceRight((text, { from, to }) => text.slice(0, from) + json + text.slice(to), text)
  const last = members.at(-1)
  const added = `${JSON.stringify(name)}:${json}`
  return last === undefined
    ? text.slice(0, open + 1) + added + text.slice(open + 1)
    : `${text.slice(0, last.to)},${added}${text.slice(last.to)}`
}
