/** Runs a script as Argo CD runs it: with the resource as the global `obj`, in a Lua 5.1 that can read the time. */
import { run } from '../../scripts/lib/run.ts'
import { isFields } from '../../src/crd/view.ts'

export const LUA = 'lua5.1'

/** What Argo CD's own tests replace the time by. */
const NOW = '0001-01-01T00:00:00Z'

/** Prints a value as JSON; a table is a list when it has the key 1. Empty tables become objects. */
const PRINT = `
local function quoted(text)
  return '"' .. text:gsub('[%c"\\\\]', function(char) return string.format('\\\\u%04x', char:byte()) end) .. '"'
end
function json(value)
  if type(value) == 'string' then return quoted(value) end
  if type(value) ~= 'table' then return tostring(value) end
  local parts = {}
  if value[1] ~= nil then
    for _, item in ipairs(value) do parts[#parts + 1] = json(item) end
    return '[' .. table.concat(parts, ',') .. ']'
  end
  for key, item in pairs(value) do parts[#parts + 1] = quoted(key) .. ':' .. json(item) end
  return '{' .. table.concat(parts, ',') .. '}'
end
`

/** What the script returns. Throws with Lua's own words when it fails. */
export async function runLua(script: string, resource: unknown): Promise<unknown> {
  const program = [
    PRINT,
    // Argo CD has no global os: scripts require it, and it has date and time alone.
    `local clock = { date = function(format) assert(format == '!%Y-%m-%dT%H:%M:%SZ'); return '${NOW}' end }`,
    "require = function(name) assert(name == 'os', name); return clock end",
    'os, io, dofile, loadfile, package, debug = nil, setmetatable({}, {}), nil, nil, nil, nil',
    `local obj = ${luaTable(resource)}`,
    `local result = (function()\n${script}\nend)()`,
    'print(json(result))',
  ].join('\n')
  const { code, stdout, stderr } = await run(LUA, ['-'], { input: Buffer.from(program) })
  if (code !== 0) throw new Error(`${LUA}: ${stderr.trim()}`)
  return JSON.parse(stdout) as unknown
}

/** A JSON value as a Lua expression. */
function luaTable(value: unknown): string {
  if (value === null || value === undefined) return 'nil'
  if (typeof value === 'string') return luaText(value)
  if (typeof value === 'number' || typeof value === 'boolean') return String(value)
  if (Array.isArray(value)) return `{${(value as readonly unknown[]).map(luaTable).join(', ')}}`
  if (!isFields(value)) throw new Error('no JSON value')
  return `{${Object.entries(value)
    .map(([key, member]) => `[${luaText(key)}] = ${luaTable(member)}`)
    .join(', ')}}`
}

function luaText(text: string): string {
  const bytes = [...Buffer.from(text)].map((byte) => `\\${byte.toString().padStart(3, '0')}`)
  return `"${bytes.join('')}"`
}
