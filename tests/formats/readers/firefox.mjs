// What the Firefox Profiler's own code (its command line) reads in a profile: threads, markers and functions as JSON.
import { spawnSync } from 'node:child_process'
import path from 'node:path'
import { createRequire } from 'node:module'

const [, , file] = process.argv
const home = path.dirname(file)
const cli = path.join(path.dirname(createRequire(import.meta.url).resolve('@firefox-devtools/profiler-cli/package.json')), 'dist/profiler-cli.js')
// A session of its own, without a network: names are in the profile already.
const env = { ...process.env, HOME: home, PROFILER_CLI_SESSION_DIR: path.join(home, 'session'), PROFILER_CLI_NO_SYMBOLICATE: '1' }

function ask(...args) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [cli, ...args], { env, encoding: 'utf8', maxBuffer: 1 << 28 })
  if (status !== 0) throw new Error(`${args.join(' ')}: ${stderr || stdout}`)
  return stdout
}

ask('load', file)
try {
  const threads = JSON.parse(ask('thread', 'list', '--json'))
  const handles = threads.threads.map(thread => thread.threadHandle ?? thread.handle)
  const each = (...args) => handles.map(handle => JSON.parse(ask('thread', ...args, '--thread', handle, '--json')))
  const functions = each('functions')
  const names = functions.flatMap(of => of.functions ?? []).map(of => of.functionHandle ?? of.handle)
  console.log(JSON.stringify({
    threads,
    markers: each('markers', '--list'),
    functions,
    expanded: names.map(handle => JSON.parse(ask('function', 'expand', handle, '--json'))),
  }))
} finally {
  ask('stop')
}
