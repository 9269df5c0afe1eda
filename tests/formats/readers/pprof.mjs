// What pprof-format, generated from the published profile.proto, reads in a profile: as JSON.
import fs from 'node:fs'
import zlib from 'node:zlib'
import { Profile } from 'pprof-format'

const profile = Profile.decode(zlib.gunzipSync(fs.readFileSync(process.argv[2])))
const text = index => profile.stringTable.strings[Number(index)]
const types = profile.sampleType.map(type => [text(type.type), text(type.unit)])
const sums = Object.fromEntries(types.map(([name], at) => [name, String(profile.sample.reduce((sum, sample) => sum + BigInt(sample.value[at]), 0n))]))
const labels = {}
for (const label of profile.sample.flatMap(sample => sample.label)) {
  (labels[text(label.key)] ??= new Set()).add(label.str ? text(label.str) : String(label.num))
}
const functions = new Map(profile.function.map(of => [String(of.id), [text(of.name), text(of.systemName), text(of.filename)]]))
console.log(JSON.stringify({
  types,
  sums,
  first: text(profile.defaultSampleType),
  labels: Object.fromEntries(Object.entries(labels).map(([key, values]) => [key, [...values].sort()])),
  mappings: profile.mapping.map(of => [String(of.memoryStart), text(of.filename), text(of.buildId)]),
  locations: profile.location.map(of => ({
    address: String(of.address),
    mapping: Number(of.mappingId),
    lines: of.line.map(line => [...functions.get(String(line.functionId)), Number(line.line)]),
  })),
}))
