// What speedscope's own importer reads in a file: as JSON.
//
// The package is an application for browsers that exports nothing. Its script is run with a page that swallows all that is
// drawn, and asked for the module that it imports files with; the exact version is pinned, so the place does not move.
import fs from 'node:fs'
import path from 'node:path'
import vm from 'node:vm'
import { createRequire } from 'node:module'

const release = path.join(path.dirname(createRequire(import.meta.url).resolve('speedscope/package.json')), 'dist/release')
const script = fs.readdirSync(release).find(name => /^speedscope-.*\.js$/.test(name))
const source = fs.readFileSync(path.join(release, script), 'utf8')
const place = /(async function \w+\([\w,]*\)\{return\(await (\w+)\)\.importProfileGroupFromText\()/.exec(source)
const asked = source.replace(place[1], `globalThis.importers = () => ${place[2]};${place[1]}`)

const nothing = () => new Proxy(function () {}, {
  get: (_, key) => (key === Symbol.toPrimitive ? () => '' : key === 'then' ? undefined : nothing()),
  apply: nothing,
  construct: nothing,
  set: () => true,
})
const page = {
  console: { log() {}, warn() {}, error() {} },
  document: nothing(),
  window: { location: { protocol: 'file:', hash: '' }, addEventListener() {}, matchMedia: () => nothing() },
  localStorage: { getItem: () => null },
  matchMedia: () => nothing(),
  navigator: { userAgent: '' },
  location: { protocol: 'file:', hash: '' },
  requestAnimationFrame() {},
  self: {},
  TextDecoder, TextEncoder, Uint8Array, atob, btoa, setTimeout, Event, URL, Blob, Buffer, Response, DecompressionStream,
}
page.globalThis = page
try {
  vm.runInNewContext(asked, page)
} catch (error) {
  // Drawing the page fails, which is behind the importers.
  if (!page.importers) throw error
}
const file = process.argv[2]
const importers = await page.importers()
const group = await importers.importProfileGroupFromBase64(path.basename(file), fs.readFileSync(file).toString('base64'))
if (!group) throw new Error('speedscope knows no format like this')
console.log(JSON.stringify({
  name: group.name,
  shown: group.indexToView,
  profiles: group.profiles.map(profile => {
    const frames = []
    profile.forEachFrame(frame => frames.push(frame.name))
    return { name: profile.getName(), total: profile.getTotalWeight(), unit: profile.getWeightUnit(), frames }
  }),
}))
