import { access } from './access.js'
import { boot } from './boot.js'
import { members } from './members.js'
import { path } from './path.js'
import { size } from './size.js'
import type { Drill } from './stage.js'
import { store } from './store.js'
import { stream } from './stream.js'

export const drills: readonly Drill[] = [...stream, ...path, ...store, ...members, ...boot, ...access, ...size]
