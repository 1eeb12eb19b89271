import { Readable } from 'node:stream'
import t from 'tap'
import { Upload } from '../../lib/io/upload.js'
import { until } from '../fixtures/wait.js'

t.test('an upload that nobody came to read is read away', async t => {
  const source = Readable.from(['a', 'b', 'c'], { objectMode: false })
  const upload = new Upload(source, 0, () => 0)
  upload.open()
  upload.giveUp()
  t.ok(await until(() => source.readableEnded, { what: 'its end' }))
})
